"""Settings of a HashiCorp store."""

from __future__ import annotations

from dataclasses import dataclass

from polyvault.errors import InvalidInputError

_METHODS = ("approle", "token", "jwt")


@dataclass(frozen=True, slots=True)
class Settings:
    """``ca_certificate`` is public PEM text; times are seconds. The credential itself is no setting.

    ``auth_method``: ``approle`` needs ``role_id`` and a secret id as credential, ``jwt`` needs ``role`` and a JWT,
    ``token`` needs a token.
    """

    url: str
    mount: str = "secret"
    kv_version: int = 2
    auth_method: str = "approle"
    auth_mount: str | None = None
    role_id: str | None = None
    role: str | None = None
    namespace: str | None = None
    ca_certificate: str | None = None
    connect_seconds: float = 1.0
    read_seconds: float = 3.0

    def __post_init__(self) -> None:
        if not self.url.startswith("https://"):
            raise InvalidInputError("url", "must start with https://")
        if self.auth_method not in _METHODS:
            raise InvalidInputError("authMethod", f"must be one of {', '.join(_METHODS)}")
        if self.kv_version not in (1, 2):
            raise InvalidInputError("kvVersion", "must be 1 or 2")
        if self.auth_method == "approle" and not self.role_id:
            raise InvalidInputError("roleId", "is missing for authMethod approle")
        if self.auth_method == "jwt" and not self.role:
            raise InvalidInputError("role", "is missing for authMethod jwt")
        if not self.mount.strip("/"):
            raise InvalidInputError("mount", "is empty")
