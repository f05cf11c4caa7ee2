"""Rotation: the protocol's words, the credential and what a login may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from polyvault.domain.secret import SecretValue


class Step(StrEnum):
    """The four steps, as Secrets Manager spells them in the event (not create_secret, as one page of its docs does)."""

    CREATE = "createSecret"
    SET = "setSecret"
    TEST = "testSecret"
    FINISH = "finishSecret"


class Strategy(StrEnum):
    """How a rotation keeps somebody logged in."""

    SINGLE_USER = "single-user"
    ALTERNATING_USERS = "alternating-users"
    DUAL_CREDENTIAL = "dual-credential"


@dataclass(frozen=True, slots=True)
class RotationRequest:
    """One call of the protocol. ``rotation_token`` is forwarded to each PutSecretValue and never logged."""

    secret_id: str
    client_request_token: str
    step: Step
    rotation_token: SecretValue | None = None


@dataclass(frozen=True, slots=True)
class Credential:
    """What a secret's JSON says about a login. Keys that we do not know stay in ``document`` and are kept.

    ``strategy`` is what the secret asks for, ``owner_role`` the role that it wants alternating users to share.
    """

    engine: str
    host: str
    port: int
    username: str
    password: SecretValue
    dbname: str | None = None
    tls: bool = True
    admin_secret_arn: str | None = None
    strategy: Strategy | None = None
    owner_role: str | None = None
    document: SecretValue = field(default_factory=lambda: SecretValue("{}"))

    @property
    def endpoint(self) -> Mapping[str, str | int | None]:
        """What must not differ between two versions of one secret, by the secret's own keys."""
        return {
            "engine": self.engine,
            "host": self.host,
            "port": self.port,
            "dbname": self.dbname,
            "ssl": self.tls,
            "masterarn": self.admin_secret_arn,
            "strategy": self.strategy,
            "ownerRole": self.owner_role,
        }

    def differences(self, other: Credential) -> tuple[str, ...]:
        """The keys in which the two point elsewhere."""
        theirs = other.endpoint
        return tuple(key for key, ours in self.endpoint.items() if ours != theirs[key])


@dataclass(frozen=True, slots=True)
class Access:
    """What a login is and may do, in one engine's canonical words. Two equal values mean equal rights.

    ``identity`` is who logged in (PostgreSQL ``session_user``); ``acts_as`` is whose rights it has (``current_user``).
    """

    identity: str
    acts_as: str
    privileges: frozenset[str]

    def difference(self, other: Access) -> tuple[frozenset[str], frozenset[str]]:
        """What ``other`` lacks of these privileges, and what it has beyond them."""
        return self.privileges - other.privileges, other.privileges - self.privileges
