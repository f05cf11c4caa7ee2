"""Text of one SSM parameter. Needs ssm:GetParameter on it."""

from __future__ import annotations

from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.errors import ConfigurationError


def read_parameter(client: Any, name: str, *, calls: AwsCalls) -> str:
    """The parameter's text, a SecureString's in the clear; ConfigurationError with its name when it cannot be read."""
    try:
        answer = calls(client.get_parameter, Name=name, WithDecryption=True)
    except FAILURES as exc:
        raise ConfigurationError(f"the SSM parameter {name} cannot be read ({error_code(exc)})") from exc
    return str(answer["Parameter"]["Value"])
