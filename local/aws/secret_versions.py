"""The versions and staging labels of a secret, as MiniStack keeps them in memory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from ministack.services import secretsmanager as service

from local.aws.strict_answers import Secret


def labelled(secret: Secret, label: str) -> str | None:
    """The id of the version that carries the label."""
    version_id: str | None = service._find_stage_version(secret, label)[0]
    return version_id


def unfinished(secret: Secret) -> str | None:
    """The version that an earlier rotation left pending: AWSPENDING anywhere but on the current version."""
    pending = labelled(secret, "AWSPENDING")
    return None if pending == labelled(secret, "AWSCURRENT") else pending


def add_pending(secret: Secret, token: str, like: Mapping[str, Any] | None = None) -> None:
    """A new version with AWSPENDING, without a value or with the value of another version."""
    service._remove_stage_everywhere(secret, "AWSPENDING")
    secret["Versions"][token] = {
        "SecretString": (like or {}).get("SecretString"),
        "SecretBinary": (like or {}).get("SecretBinary"),
        "CreatedDate": int(time.time()),
        "Stages": ["AWSPENDING"],
    }
