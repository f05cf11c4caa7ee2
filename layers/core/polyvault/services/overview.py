"""What there is: the health of each store, its secrets and their versions. Never a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from polyvault.domain.audit import Caller
from polyvault.domain.query import check_limit, page_token, position_of
from polyvault.domain.secret import Health, SecretInfo, VersionInfo
from polyvault.errors import PolyvaultError, UnknownStoreNameError
from polyvault.store import SecretStore


@dataclass(frozen=True, slots=True)
class SecretPage:
    """Secrets of one store by name, and the token of the next page (None at the end)."""

    store: str
    secrets: tuple[SecretInfo, ...]
    next_token: str | None = None


class Overview:
    """``providers`` is the provider of each store by name, in the order of their priority.

    ``stores`` opens a store when it is asked for, and may raise for one that cannot be opened.
    """

    def __init__(self, stores: Mapping[str, SecretStore], providers: Mapping[str, str]) -> None:
        self._stores = stores
        self._providers = providers

    def health(self) -> tuple[Health, ...]:
        """Each store's health, asked side by side; a store that cannot be opened is unhealthy and hides no other."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max_workers=max(1, len(self._providers))) as pool:
            return tuple(pool.map(self._health, self._providers))

    def secrets(
        self, caller: Caller, *, store: str | None = None, prefix: str = "", limit: int, token: str | None = None
    ) -> SecretPage:
        """A page of the store's secrets whose names start with the prefix; the first store's when none is named.

        Each page lists the store anew: a secret made meanwhile appears in its place, and none appears twice.
        """
        name = self.store_name(store)
        question = f"secrets|{name}|{prefix}"
        after = None if token is None else position_of(question, token)
        check_limit(limit)
        found = sorted(self.open(name, caller).list_secrets(prefix), key=lambda secret: secret.name)
        rest = [secret for secret in found if after is None or secret.name > after]
        page = tuple(rest[:limit])
        more = len(rest) > limit
        return SecretPage(name, page, page_token(question, page[-1].name) if more else None)

    def versions(self, caller: Caller, secret: str, *, store: str | None = None) -> tuple[VersionInfo, ...]:
        """The versions of one secret that its vault shows."""
        return self.open(self.store_name(store), caller).list_secret_versions(secret)

    def store_name(self, name: str | None) -> str:
        """The named store, or the first; UnknownStoreNameError when there is none."""
        found = next(iter(self._providers), None) if name is None else name
        if found is None or found not in self._providers:
            raise UnknownStoreNameError("there is no store of that name")
        return found

    def open(self, name: str, caller: Caller) -> SecretStore:
        """The store, whose audit events will name the caller."""
        return self._stores[name].for_actor(caller.actor, ip_address=caller.ip_address, user_agent=caller.user_agent)

    def _health(self, name: str) -> Health:
        try:
            store = self._stores[name]
        except PolyvaultError as error:
            return Health(name, self._providers[name], healthy=False, latency_ms=0.0, error=error.code)
        return store.health_check()
