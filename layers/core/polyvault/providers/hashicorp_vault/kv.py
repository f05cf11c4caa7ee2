"""What KV v1 and KV v2 have in common."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

from polyvault.domain.capability import StoreLimits
from polyvault.domain.secret import SecretInfo, SecretValue
from polyvault.errors import ErrorCode
from polyvault.providers.hashicorp_vault.connection import Connection, classify, data_of, is_vaults, retry_after

VALUE = "value"
# A segment is not empty, "." or "..", and holds no control character and no lone surrogate.
_SEGMENT = r"(?!\.{1,2}(?:/|$))[^/\x00-\x1f\x7f-\x9f\ud800-\udfff]+"
_NAME = re.compile(rf"(?=.{{1,512}}$){_SEGMENT}(?:/{_SEGMENT})*", re.DOTALL)
_NAME_RULE = "1 to 512 characters, segments between / that are not empty, . or .."
_MAX_VALUE_BYTES = 500_000  # an entry of a Consul backend holds 512 KiB, escapes and envelope included
_MAX_TAGS = 60  # KV v2 keeps 64 entries, of which we use up to four


def limits(*, max_tags: int) -> StoreLimits:
    """Limits of a KV engine."""
    return StoreLimits(_NAME, _NAME_RULE, _MAX_VALUE_BYTES, allows_empty=True, max_tags=max_tags)


def wrap(value: SecretValue) -> dict[str, str]:
    """The object that is stored for a value."""
    return {VALUE: value.reveal()}


def unwrap(stored: Mapping[str, Any]) -> SecretValue:
    """The value of a stored object; a foreign object becomes compact JSON text."""
    if set(stored) == {VALUE} and isinstance(stored[VALUE], str):
        return SecretValue(stored[VALUE])
    return SecretValue(json.dumps(stored, ensure_ascii=False, separators=(",", ":")))


class KvDriver:
    """Session, health and errors; the engines add their own reads and writes."""

    provider: ClassVar[str] = "hashicorp-vault"

    def __init__(self, connection: Connection, mount: str) -> None:
        self._connection = connection
        self._mount = mount.strip("/")

    def ping(self) -> None:
        self._connection.ping()

    def close(self) -> None:
        self._connection.close()

    def classify(self, exc: Exception) -> ErrorCode:
        return classify(exc)

    def retry_after(self, exc: Exception) -> float | None:
        return retry_after(exc)

    def _walk(self, prefix: str, list_folder: Callable[[Any, str], Any]) -> Iterator[str]:
        """Names below the prefix, folder by folder: a listing is one folder whole, without pages."""
        folders = [prefix.rpartition("/")[0]]
        while folders:
            folder = folders.pop()
            for key in self._keys(folder, list_folder):
                name = f"{folder}/{key}" if folder else key
                if name.endswith("/"):
                    if name.startswith(prefix) or prefix.startswith(name):
                        folders.append(name.rstrip("/"))
                elif name.startswith(prefix):
                    yield name

    def _keys(self, folder: str, list_folder: Callable[[Any, str], Any]) -> Iterable[str]:
        from hvac.exceptions import InvalidPath

        try:
            answer = self._connection.call(lambda client: list_folder(client, folder))
        except InvalidPath as exc:
            if exc.errors or not is_vaults(exc):  # no such mount, or somebody else's 404: not an empty folder
                raise
            return ()
        keys: list[str] = data_of(answer, "keys")["keys"]
        return keys

    def _infos(self, names: Iterable[str]) -> Iterator[SecretInfo]:
        return (SecretInfo(name) for name in names)
