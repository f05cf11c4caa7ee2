"""KV v1: no versions, no check-and-set, no metadata; what is deleted is gone."""

from __future__ import annotations

from collections.abc import Iterable

from polyvault.domain.capability import Capability
from polyvault.domain.secret import RawVersion, SecretInfo, SecretValue, VersionInfo, VersionRef
from polyvault.providers.hashicorp_vault.connection import NameTaken, data_of
from polyvault.providers.hashicorp_vault.kv import KvDriver, limits, unwrap, wrap

UNVERSIONED = "unversioned"


class Kv1(KvDriver):
    """One KV v1 mount. create and put look before they write, and are not atomic: nothing here is."""

    capabilities = Capability.READ | Capability.WRITE | Capability.LIST
    limits = limits(max_tags=0)

    def get(self, name: str, version: VersionRef) -> RawVersion:
        answer = self._connection.call(lambda client: client.secrets.kv.v1.read_secret(name, mount_point=self._mount))
        return RawVersion(UNVERSIONED, unwrap(data_of(answer)))

    def create(self, name: str, value: SecretValue, *, like: str | None, version_id: str | None) -> RawVersion:
        from hvac.exceptions import InvalidPath

        try:
            self.get(name, VersionRef())
        except InvalidPath:
            return self._write(name, value)
        raise NameTaken(name)

    def put(self, name: str, value: SecretValue, *, expect: str | None, version_id: str | None) -> RawVersion:
        self.get(name, VersionRef())
        return self._write(name, value)

    def versions(self, name: str) -> Iterable[VersionInfo]:
        self.get(name, VersionRef())
        return (VersionInfo(UNVERSIONED),)

    def list(self, prefix: str) -> Iterable[SecretInfo]:
        return self._infos(
            self._walk(
                prefix, lambda client, folder: client.secrets.kv.v1.list_secrets(folder, mount_point=self._mount)
            )
        )

    def delete(self, name: str, *, recovery_days: int | None) -> None:
        self.get(name, VersionRef())  # the engine answers the same for a name that is not there
        self._connection.call(lambda client: client.secrets.kv.v1.delete_secret(name, mount_point=self._mount))

    def _write(self, name: str, value: SecretValue) -> RawVersion:
        self._connection.call(
            lambda client: client.secrets.kv.v1.create_or_update_secret(
                name, wrap(value), method="POST", mount_point=self._mount
            )
        )
        return RawVersion(UNVERSIONED, value)
