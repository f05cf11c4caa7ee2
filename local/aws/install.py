"""Everything that is changed in MiniStack, in the order in which it is put on."""

from __future__ import annotations

from importlib.metadata import version

MINISTACK = "1.5.33"


class WrongMiniStackError(Exception):
    """Private functions are replaced, so any other version may break silently."""


def check_version() -> None:
    """Refuse a MiniStack that these changes were not written for."""
    found = version("ministack")
    if found != MINISTACK:
        raise WrongMiniStackError(f"ministack {MINISTACK} is needed, {found} is installed")


def install() -> None:
    """Put every change on; once, before MiniStack serves.

    The order matters: the rotation engine replaces RotateSecret, the strict checks wrap what is there, and the
    trail wraps the finished service so that it records what the caller saw.
    """
    from local.aws import (
        cloudformation,
        cloudformation_changes,
        lambda_worker,
        rest_api,
        rotation_clock,
        rotation_engine,
        rotation_facts,
    )

    lambda_worker.install()
    rotation_facts.install()
    rotation_engine.install()
    cloudformation.install()
    cloudformation_changes.install()
    rest_api.install()
    _install_strictness()
    rotation_clock.install()


def _install_strictness() -> None:
    from importlib import import_module
    from importlib.util import find_spec

    for name in ("strictness", "iam", "cloudtrail"):
        if find_spec(f"local.aws.{name}"):
            import_module(f"local.aws.{name}").install()
