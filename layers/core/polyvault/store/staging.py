"""Rotation on staging labels: what the four steps and their requests need of a store."""

from __future__ import annotations

from polyvault.domain.audit import EventType
from polyvault.domain.capability import Capability
from polyvault.domain.secret import RawVersion, RotationState, SecretValue, StagingLabel, VersionRef
from polyvault.errors import ErrorCode
from polyvault.ports import StagingDriver
from polyvault.store.checks import CheckedStore, version_of


class StagingOperations(CheckedStore):
    """Needs STAGING_LABELS; MissingCapabilityError before the call elsewhere."""

    def rotation_state(self, name: str) -> RotationState:
        """Labels, rotation function and state of the secret."""
        self._check_name(name)
        driver = self._staging_driver()
        return self._seam.run(EventType.METADATA_READ, "describe", name, lambda: driver.rotation_state(name))

    def pending(self, name: str, client_request_token: str) -> SecretValue | None:
        """The pending value under that token; None while its version is not there, holds no value or is not pending."""
        self._check_name(name)
        self._staging_driver()
        ref = VersionRef(client_request_token, StagingLabel.PENDING)

        def read() -> RawVersion | None:
            try:
                return self._seam.driver.get(name, ref)
            except Exception as exc:
                if self._seam.driver.classify(exc) is ErrorCode.VERSION_NOT_FOUND:
                    return None
                raise

        found = self._seam.run(
            EventType.SECRET_READ, "pending", name, read, lambda _: {"versionId": client_request_token}
        )
        return found.value if found else None

    def stage(
        self, name: str, value: SecretValue, *, client_request_token: str, rotation_token: SecretValue | None
    ) -> None:
        """Make ``value`` the pending version of that token. Twice is once; another value for it is refused."""
        self._check_value(name, value)
        driver = self._staging_driver()

        def put() -> RawVersion:
            return driver.put_staged(
                name,
                value,
                version_id=client_request_token,
                label=StagingLabel.PENDING,
                rotation_token=rotation_token,
            )

        self._seam.run(EventType.SECRET_UPDATED, "stage", name, put, version_of)

    def publish(self, name: str, *, client_request_token: str, expect_current: str | None) -> None:
        """Move AWSCURRENT to the token's version if it is still at ``expect_current``, then end its pending state.

        Twice is once: a version that is current already only loses AWSPENDING.
        """
        self._check_name(name)
        driver = self._staging_driver()

        def move() -> None:
            current = driver.rotation_state(name).holder_of(StagingLabel.CURRENT)
            if current != client_request_token:
                if current != expect_current:
                    raise self._seam.error(ErrorCode.VERSION_CONFLICT, "publish", name)
                driver.move_label(name, StagingLabel.CURRENT, to=client_request_token, expect_at=expect_current)
            self._drop_pending(driver, name, client_request_token)

        self._seam.run(EventType.SECRET_UPDATED, "publish", name, move, lambda _: {"versionId": client_request_token})

    def discard(self, name: str, *, client_request_token: str) -> None:
        """Take AWSPENDING off the token's version. Twice is once; another version's label is left alone."""
        self._check_name(name)
        driver = self._staging_driver()
        self._seam.run(
            EventType.SECRET_UPDATED,
            "discard",
            name,
            lambda: self._drop_pending(driver, name, client_request_token),
            lambda _: {"versionId": client_request_token},
        )

    def request_rotation(self, name: str, *, client_request_token: str) -> str:
        """Have the vault rotate; answers the new version's id. A token that is current already is done: a no-op."""
        self._check_name(name)
        self._need(Capability.NATIVE_ROTATION)
        driver = self._staging_driver()

        def request() -> str:
            if driver.rotation_state(name).holder_of(StagingLabel.CURRENT) == client_request_token:
                return client_request_token
            return driver.request_rotation(name, client_request_token=client_request_token)

        return self._seam.run(
            EventType.ROTATION_REQUESTED, "rotate", name, request, lambda version_id: {"versionId": version_id}
        )

    @staticmethod
    def _drop_pending(driver: StagingDriver, name: str, version_id: str) -> None:
        if driver.rotation_state(name).holder_of(StagingLabel.PENDING) == version_id:
            driver.move_label(name, StagingLabel.PENDING, to=None, expect_at=version_id)
