"""What a store knows about itself, and the checks that come before a call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from polyvault.domain.audit import Actor
from polyvault.domain.capability import Capability, StoreLimits
from polyvault.domain.retry import RetryPolicy
from polyvault.domain.secret import RawVersion, SecretValue
from polyvault.errors import InvalidInputError, MissingCapabilityError
from polyvault.ports import AuditLog, Clock, MetadataDriver, StagingDriver, StoreDriver
from polyvault.store.seam import Seam


class CheckedStore:
    """Identity, limits and checks of one store."""

    def __init__(
        self,
        driver: StoreDriver,
        *,
        name: str,
        clock: Clock,
        audit: AuditLog,
        actor: Actor,
        retry: RetryPolicy | None = None,
        draw: Callable[[], float] | None = None,
    ) -> None:
        self._seam = Seam(driver, name=name, clock=clock, audit=audit, actor=actor, retry=retry, draw=draw)

    @property
    def name(self) -> str:
        """The store's name in the stores document."""
        return self._seam.name

    @property
    def provider(self) -> str:
        """The provider's id."""
        return self._seam.driver.provider

    @property
    def capabilities(self) -> Capability:
        """What the vault can do, natively and atomically."""
        return self._seam.driver.capabilities

    @property
    def limits(self) -> StoreLimits:
        """What the vault accepts."""
        return self._seam.driver.limits

    # Checks before the call

    def _need(self, capability: Capability) -> None:
        missing = capability & ~self.capabilities
        if missing:
            raise MissingCapabilityError(f"{self._seam.name}: {self.provider} does not offer {missing.name}")

    def _metadata_driver(self) -> MetadataDriver:
        self._need(Capability.METADATA)
        return cast("MetadataDriver", self._seam.driver)

    def _staging_driver(self) -> StagingDriver:
        self._need(Capability.STAGING_LABELS)
        return cast("StagingDriver", self._seam.driver)

    def _check_name(self, name: str) -> None:
        if not self.limits.name_pattern.fullmatch(name):
            raise InvalidInputError("name", f"is not a name in {self.provider}: {self.limits.name_rule}")

    def _check_value(self, name: str, value: SecretValue) -> None:
        self._check_name(name)
        if len(value) > self.limits.max_value_bytes:
            raise InvalidInputError(
                "value", f"is larger than the {self.limits.max_value_bytes} bytes of {self.provider}"
            )
        if not len(value) and not self.limits.allows_empty:
            raise InvalidInputError("value", f"is empty, which {self.provider} does not take")
        if not value.is_text and Capability.BINARY not in self.capabilities:
            raise InvalidInputError("value", f"is binary, which {self.provider} does not take")


def version_of(version: RawVersion) -> Mapping[str, str]:
    """The audit event's detail for one version."""
    return {"versionId": version.version_id}
