"""Everything that is changed in MiniStack, in the order in which it is put on."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version

MINISTACK = "1.5.33"


class WrongMiniStackError(Exception):
    """Private functions are replaced, so any other version may break silently."""


def check_version() -> None:
    """Refuse a MiniStack that these changes were not written for."""
    found = version("ministack")
    if found != MINISTACK:
        raise WrongMiniStackError(f"ministack {MINISTACK} is needed, {found} is installed")


# A module takes hold of what it wraps when it is imported, so each is imported after those it stands upon are
# installed: strict checks over the engine's actions, the trail over the finished service, as the caller sees it.
LAYERS = (
    "lambda_worker",
    "rotation_facts",
    "rotation_engine",
    "cloudformation",
    "cloudformation_changes",
    "rest_api",
    "strictness",
    "iam",
    "cloudtrail",
    "rotation_clock",
)


def install() -> None:
    """Put every change on; once, before MiniStack serves."""
    for name in LAYERS:
        import_module(f"local.aws.{name}").install()
