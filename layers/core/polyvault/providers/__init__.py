"""Vaults, one module a product, with its SDK imported when the provider is opened.

A provider module exports ``Provider`` (a driver: ``Provider(settings, *, credential, clock)``), ``Settings`` (a plain
frozen dataclass), ``LAYER`` (the layer that carries its SDK, None when the runtime does) and ``ROTATES`` (whether its
vault rotates a secret when asked, known without opening it). Nothing else lists them.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from polyvault.contracts.answers import IncompleteAnswer
from polyvault.domain.secret import SecretValue
from polyvault.errors import ConfigurationError, MissingLayerError, UnknownProviderError
from polyvault.ports import Clock, StoreDriver

__all__ = ["CredentialSource", "IncompleteAnswer", "available", "load", "open_driver", "required"]

type CredentialSource = Callable[[], SecretValue]
"""Fetches the store's own credential when the driver logs in, so that a rotated one is picked up."""


def available() -> tuple[str, ...]:
    """Provider ids, sorted; imports none of them."""
    return tuple(sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__)))


def load(provider_id: str) -> ModuleType:
    """The provider's module. Unlisted ids are refused: no dotted path comes from configuration."""
    if provider_id not in available():
        raise UnknownProviderError(f"there is no provider of that name; there are {', '.join(available())}")
    return import_module(f"{__name__}.{provider_id.replace('-', '_')}")


def open_driver(
    provider_id: str, settings: object, *, credential: CredentialSource | None, clock: Clock
) -> StoreDriver:
    """A driver of the provider; raises MissingLayerError when its SDK is not in this function."""
    module = load(provider_id)
    try:
        driver: StoreDriver = module.Provider(settings, credential=credential, clock=clock)
    except ModuleNotFoundError as exc:
        if (exc.name or "").split(".")[0] == "polyvault":
            raise
        where = f"needs layers/{module.LAYER} in this function" if module.LAYER else f"needs {exc.name}"
        raise MissingLayerError(f"{provider_id} {where}") from exc
    return driver


def required(credential: CredentialSource | None, why: str) -> CredentialSource:
    """The credential source, or ConfigurationError that says which setting needs one."""
    if credential is None:
        raise ConfigurationError(f"{why} needs credentialSecretArn")
    return credential
