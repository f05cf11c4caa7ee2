"""Engines whose credentials are rotated, one module each, imported when a secret names its engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from polyvault.errors import InvalidInputError, MissingLayerError
from polyvault.ports import Clock, Target

# What a secret's `engine` says, and the module and class for it.
_ENGINES: Mapping[str, tuple[str, str]] = {
    "postgres": ("postgresql", "PostgresqlTarget"),
    "postgresql": ("postgresql", "PostgresqlTarget"),
    "aurora-postgresql": ("postgresql", "PostgresqlTarget"),
}


def loader(*, clock: Clock, ca_file: Path | None) -> Callable[[str], Target]:
    """A function from a secret's engine to its target, made on first use and kept.

    It raises InvalidInputError for an engine that nobody wrote a target for, and MissingLayerError when this function
    is deployed without the database drivers.
    """
    made: dict[str, Target] = {}

    def load(engine: str) -> Target:
        if engine not in _ENGINES:
            raise InvalidInputError("engine", f"is none of {', '.join(_ENGINES)}")
        if engine not in made:
            module, name = _ENGINES[engine]
            made[engine] = getattr(_module(module), name)(clock=clock, ca_file=ca_file)
        return made[engine]

    return load


def _module(name: str) -> object:
    try:
        return import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as exc:
        if exc.name is None or exc.name.startswith("polyvault"):
            raise
        raise MissingLayerError(f"{name} needs layers/targets in this function") from exc
