"""What the launcher is told by its environment, read once at start."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
RUNTIME_DIR = PROJECT / "build" / "lambda-runtime"

_ENVIRONMENT: MutableMapping[str, str] = os.environ  # noqa: TID251 - the launcher's one door to its environment

# MiniStack reads these when it is imported: loopback only, no MQTT or SFTP listener, no container engine,
# IAM enforced.
_MINISTACK_DEFAULTS = {
    "BIND_HOST": "127.0.0.1",
    "GATEWAY_PORT": "4566",
    "IOT_MTLS_ENABLED": "0",
    "SFTP_ENABLED": "0",
    "DOCKER_HOST": "unix:///nonexistent.sock",
    "LAMBDA_EXECUTOR": "local",
    "AUTH": "true",
}


class SettingsError(Exception):
    """A variable does not say what it must; the message names it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Times are seconds."""

    gateway_port: int
    pythons: Mapping[str, str]
    runtime_dir: Path
    environments_per_function: int
    rotation_attempts: int
    rotation_retry_seconds: float
    fast_schedules: bool
    secret_writes_per_second: int
    secret_visible_after_seconds: float

    @property
    def endpoint_url(self) -> str:
        """Where this launcher answers; functions are told this address."""
        return f"http://127.0.0.1:{self.gateway_port}"

    def python_for(self, runtime: str) -> str | None:
        """The interpreter of a Lambda runtime such as ``python3.13``; None when this machine has none."""
        if runtime in self.pythons:
            return self.pythons[runtime]
        ours = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return sys.executable if runtime == ours else None


def set_ministack_defaults() -> None:
    """Fill in what MiniStack reads at import; call before the first import of it."""
    for name, value in _MINISTACK_DEFAULTS.items():
        _ENVIRONMENT.setdefault(name, value)


@cache
def settings() -> Settings:
    """The launcher's settings; SettingsError names a variable that cannot be read."""
    return Settings(
        gateway_port=int(_number("GATEWAY_PORT", "4566")),
        pythons=_pythons(_ENVIRONMENT.get("MINISTACK_PYTHONS", "{}")),
        runtime_dir=Path(_ENVIRONMENT.get("POLYVAULT_LOCAL_RUNTIME_DIR") or RUNTIME_DIR),
        environments_per_function=int(_number("POLYVAULT_LOCAL_LAMBDA_ENVIRONMENTS", "4")),
        rotation_attempts=int(_number("POLYVAULT_LOCAL_ROTATION_ATTEMPTS", "3")),
        rotation_retry_seconds=_number("POLYVAULT_LOCAL_ROTATION_RETRY_SECONDS", "2"),
        fast_schedules=_ENVIRONMENT.get("POLYVAULT_LOCAL_FAST_SCHEDULES") == "1",
        secret_writes_per_second=int(_number("POLYVAULT_LOCAL_SECRET_WRITES_PER_SECOND", "0")),
        secret_visible_after_seconds=_number("POLYVAULT_LOCAL_SECRET_VISIBLE_AFTER_SECONDS", "0"),
    )


def _number(name: str, default: str) -> float:
    text = _ENVIRONMENT.get(name, default)
    try:
        return float(text)
    except ValueError:
        raise SettingsError(f"{name} must be a number") from None


def _pythons(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(path, str) for path in found.values()):
        raise SettingsError('MINISTACK_PYTHONS must be JSON such as {"python3.13": "/path/to/python3.13"}')
    return found
