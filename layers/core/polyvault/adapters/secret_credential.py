"""A store's own credential, kept in Secrets Manager. Needs secretsmanager:GetSecretValue on it."""

from __future__ import annotations

from typing import Any

from polyvault.adapters.aws_calls import AwsCalls
from polyvault.adapters.aws_client import FAILURES, error_code
from polyvault.domain.secret import SecretValue
from polyvault.errors import ConfigurationError


class SecretCredential:
    """Reads the credential at each call: a driver calls when it logs in, and finds the rotated one."""

    def __init__(self, client: Any, *, arn: str, calls: AwsCalls) -> None:
        self._client = client
        self._arn = arn
        self._calls = calls

    def __call__(self) -> SecretValue:
        """The text of AWSCURRENT; ConfigurationError with the ARN when it cannot be read."""
        try:
            answer = self._calls(self._client.get_secret_value, SecretId=self._arn)
        except FAILURES as exc:
            raise ConfigurationError(f"the credential {self._arn} cannot be read ({error_code(exc)})") from exc
        if "SecretString" not in answer:
            raise ConfigurationError(f"the credential {self._arn} is not text")
        return SecretValue(answer["SecretString"])
