"""KV v2: numbered versions, check-and-set, soft delete of versions, custom metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from polyvault.domain.capability import Capability
from polyvault.domain.secret import (
    RawVersion,
    SecretInfo,
    SecretMetadata,
    SecretValue,
    VersionInfo,
    VersionRef,
    VersionState,
)
from polyvault.providers.hashicorp_vault.connection import NameTaken, NoSuchVersion, data_of, has_metadata
from polyvault.providers.hashicorp_vault.kv import KvDriver, limits, unwrap, wrap

_OURS, _OURS_HERE = "polyvault:", "polyvault_"  # custom metadata keeps our tags under the second prefix
_DESCRIPTION = "polyvault_description"


class Kv2(KvDriver):
    """One KV v2 mount. A put without ``expect`` is bound to the version it found: a rival write is a conflict."""

    capabilities = (
        Capability.READ
        | Capability.WRITE
        | Capability.LIST
        | Capability.VERSIONS
        | Capability.METADATA
        | Capability.CHECK_AND_SET
        | Capability.SOFT_DELETE
    )
    limits = limits(max_tags=60)

    def get(self, name: str, version: VersionRef) -> RawVersion:
        from hvac.exceptions import InvalidPath

        number = _number(version.version_id) if version.version_id else None
        try:
            answer = self._connection.call(
                lambda client: client.secrets.kv.v2.read_secret_version(
                    name, version=number, mount_point=self._mount, raise_on_deleted_version=True
                )
            )
        except InvalidPath as exc:
            if number is not None and not has_metadata(exc.json):
                self._metadata_of(name)  # raises InvalidPath again when it is the secret that is missing
                raise NoSuchVersion(name) from None
            raise
        data = data_of(answer, "data", "metadata")
        return _raw(data["metadata"], unwrap(data["data"]))

    def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion:
        from hvac.exceptions import InvalidRequest

        try:
            return self._write(name, value, check=0)
        except InvalidRequest as exc:
            if not any("check-and-set" in str(error) for error in exc.errors or ()):
                raise
        raise NameTaken(name)

    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion:
        current = int(self._metadata_of(name)["current_version"])
        return self._write(name, value, check=current if expect is None else _number(expect))

    def versions(self, name: str) -> Iterable[VersionInfo]:
        now = self._connection.clock.now()
        return [_version(number, entry, now) for number, entry in self._metadata_of(name)["versions"].items()]

    def list(self, prefix: str) -> Iterable[SecretInfo]:
        """A secret whose newest version is deleted keeps its name here: the listing does not say."""
        return self._infos(
            self._walk(
                prefix, lambda client, folder: client.secrets.kv.v2.list_secrets(folder, mount_point=self._mount)
            )
        )

    def delete(self, name: str, *, recovery_days: int | None) -> None:
        self._metadata_of(name)  # the engine answers the same for a name that is not there
        self._connection.call(
            lambda client: client.secrets.kv.v2.delete_latest_version_of_secret(name, mount_point=self._mount)
        )

    def metadata(self, name: str) -> SecretMetadata:
        entry = self._metadata_of(name)
        custom = dict(entry.get("custom_metadata") or {})
        description = custom.pop(_DESCRIPTION, None)
        return SecretMetadata(
            description=description,
            tags={_ours(key): value for key, value in custom.items()},
            created_at=_instant(entry["created_time"]),
            updated_at=_instant(entry.get("updated_time")),
        )

    def update_metadata(self, name: str, *, description: str | None, tags: Mapping[str, str] | None) -> None:
        custom = dict(self._metadata_of(name).get("custom_metadata") or {})
        custom |= {_theirs(key): value for key, value in (tags or {}).items()}
        custom |= {} if description is None else {_DESCRIPTION: description}
        # hvac's own update_metadata sends delete_version_after "0s" whether asked or not
        url = f"/v1/{quote(self._mount)}/metadata/{quote(name)}"
        self._connection.call(lambda client: client.adapter.post(url=url, json={"custom_metadata": custom}))

    def _metadata_of(self, name: str) -> dict[str, Any]:
        answer = self._connection.call(
            lambda client: client.secrets.kv.v2.read_secret_metadata(name, mount_point=self._mount)
        )
        return data_of(answer, "current_version", "created_time", "versions")

    def _write(self, name: str, value: SecretValue, *, check: int) -> RawVersion:
        answer = self._connection.call(
            lambda client: client.secrets.kv.v2.create_or_update_secret(
                name, wrap(value), cas=check, mount_point=self._mount
            )
        )
        return _raw(data_of(answer, "version"), value)


def _raw(metadata: Mapping[str, Any], value: SecretValue) -> RawVersion:
    return RawVersion(str(metadata["version"]), value, _instant(metadata.get("created_time")))


def _version(number: str, entry: Mapping[str, Any], now: datetime) -> VersionInfo:
    state = VersionState.ENABLED
    deleted_at = _instant(entry.get("deletion_time"))
    if entry.get("destroyed"):
        state = VersionState.DESTROYED
    elif deleted_at is not None and deleted_at <= now:  # with delete_version_after it is a time to come
        state = VersionState.DELETED
    return VersionInfo(number, _instant(entry.get("created_time")), state=state)


def _number(version_id: str) -> int:
    if not version_id.isascii() or not version_id.isdecimal() or len(version_id) > 18:
        raise NoSuchVersion(version_id)
    return int(version_id)


def _ours(key: str) -> str:
    return _OURS + key.removeprefix(_OURS_HERE) if key.startswith(_OURS_HERE) else key


def _theirs(key: str) -> str:
    return _OURS_HERE + key.removeprefix(_OURS) if key.startswith(_OURS) else key


def _instant(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text).astimezone(UTC) if text else None
