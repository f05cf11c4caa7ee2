"""A secret under a customer key opens only for callers who may use that key, through Secrets Manager."""

from __future__ import annotations

from ministack.core.responses import get_account_id, get_region
from ministack.services import kms

from local.aws import iam, iam_condition_keys
from local.aws.strict_answers import Refusal, Secret

_AWS_MANAGED = ("", "alias/aws/secretsmanager")


def planned_arn(name: str) -> str:
    """The ARN of a secret that does not exist yet, for policies on it; its last six characters are not known."""
    return f"arn:aws:secretsmanager:{get_region()}:{get_account_id()}:secret:{name}-??????"


def check_use(secret: Secret, version_id: str | None, *actions: str) -> None:
    """Refuse when the key is missing or unusable, or when the caller may not do these kms: actions with it.

    A call without a caller (the emulator's own) is not checked. The codes for an unusable key are AWS's names,
    unverified for the single states.
    """
    key_id = secret.get("KmsKeyId") or ""
    if key_id.rpartition(":")[2] in _AWS_MANAGED:
        return
    reading = actions == ("kms:Decrypt",)
    key = kms._resolve_key(key_id)
    if key is None or kms._check_key_state(key) is not None:
        code = "DecryptionFailure" if reading else "EncryptionFailure"
        raise Refusal(code, "Secrets Manager can't use the KMS key. Check that it exists and is enabled.")
    caller = iam.caller_access_key.get()
    if caller is None:
        return
    region, account = get_region(), get_account_id()
    context = iam_condition_keys.of_kms_use(secret["ARN"], version_id, region, account)
    for action in actions:
        if not iam.may(caller, action, "kms", region, key["Arn"], context):
            raise Refusal("AccessDeniedException", "Access to KMS is not allowed")
