"""All configured stores by name, each opened when it is first used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from polyvault.errors import UnknownStoreNameError
from polyvault.store.portable import SecretStore


class StoreDirectory(Mapping[str, SecretStore]):
    """Stores in order of priority. A name that is not there is UnknownStoreNameError."""

    def __init__(self, names: Sequence[str], open_store: Callable[[str], SecretStore]) -> None:
        self._names = tuple(names)
        self._open = open_store
        self._opened: dict[str, SecretStore] = {}

    def __getitem__(self, name: str) -> SecretStore:
        if name not in self._names:
            raise UnknownStoreNameError(f"there is no store of that name; there are {', '.join(self._names)}")
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
