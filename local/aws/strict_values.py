"""The actions that write or read a value: CreateSecret, PutSecretValue, UpdateSecret, GetSecretValue, in AWS's rules.

A request either does all it says or changes nothing.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from typing import Any

from ministack.core.responses import json_response
from ministack.services import secretsmanager as sm

from local.aws import strict_kms, strict_labels, strict_names, strict_timing
from local.aws.strict_answers import Data, Refusal, Response, Secret, alive, writable
from local.aws.strict_labels import CURRENT, Version

on_abandoned: list[Callable[[Secret, str], None]] = []
"""Called with the secret and the version id whose AWSPENDING a newer value took away."""


def has_value(version: Version) -> bool:
    """False for the version that RotateSecret makes: it carries AWSPENDING and no value yet."""
    return version.get("SecretString") is not None or version.get("SecretBinary") is not None


def _check_both(data: Data) -> bool:
    """Whether the request carries a value; text and binary together are refused."""
    text, binary = data.get("SecretString") is not None, data.get("SecretBinary") is not None
    if text and binary:
        raise Refusal(
            "InvalidParameterException",
            "You can't specify both a binary secret value and a string secret value in the same secret.",
        )
    return text or binary


def _same_value(version: Version, data: Data) -> bool:
    return all(version.get(member) == data.get(member) for member in ("SecretString", "SecretBinary"))


def _token_in_use(secret: Secret, token: str) -> Refusal:
    return Refusal(
        "ResourceExistsException",
        f"You can't use ClientRequestToken {token} because that value is already in use "
        f"for a version of secret {secret['ARN']}.",
    )


def _version(data: Data) -> Version:
    now = time.time()
    return {
        "SecretString": data.get("SecretString"),
        "SecretBinary": data.get("SecretBinary"),
        "CreatedDate": int(now),
        "Stages": [],
        "_VisibleFrom": strict_timing.visible_from(now),
    }


def _add_version(secret: Secret, version_id: str, data: Data, labels: list[str]) -> None:
    """Store the value under its id and move the labels to it; a version made empty keeps its own labels."""
    versions = secret["Versions"]
    kept = versions.get(version_id, {"Stages": []})["Stages"]
    pending = strict_labels.holder(versions, strict_labels.PENDING)
    versions[version_id] = {**_version(data), "Stages": list(kept)}
    strict_labels.attach(versions, version_id, labels)
    if CURRENT in labels and strict_labels.abandon_pending(versions, version_id):
        for listener in on_abandoned:
            listener(secret, pending or "")
    strict_labels.prune(versions, time.time())
    secret["LastChangedDate"] = int(time.time())
    sm._sync_replicas(secret)
    for label in labels:
        if label not in (strict_labels.PENDING, strict_labels.PREVIOUS):
            sm._emit_secret_label_updated(secret, label, version_id)


def create_secret(data: Data) -> Response:
    """CreateSecret: the token becomes the version id; the same request again is answered the same."""
    name, token = data["Name"], data.get("ClientRequestToken") or str(uuid.uuid4())
    has_new_value = _check_both(data)
    strict_names.check_tags(data.get("Tags") or [], [])
    known = sm._secrets.get(name)
    if known:
        return _created_before(known, token, data)
    planned = {"ARN": strict_kms.planned_arn(name), "KmsKeyId": data.get("KmsKeyId")}
    strict_kms.check_use(planned, token, "kms:GenerateDataKey", "kms:Decrypt")
    sm._store_new_secret(
        name,
        description=data.get("Description", ""),
        tags=data.get("Tags"),
        kms_key_id=data.get("KmsKeyId"),
    )
    secret = sm._secrets[name]
    # Without a value there is no version at all.
    secret["Versions"] = {token: {**_version(data), "Stages": [CURRENT]}} if has_new_value else {}
    return _created(secret, token if has_new_value else None)


def _created_before(secret: Secret, token: str, data: Data) -> Response:
    if secret.get("DeletedDate"):
        raise Refusal(
            "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
        )
    version = secret["Versions"].get(token)
    if version is None:
        raise Refusal(
            "ResourceExistsException", f"The operation failed because the secret {secret['Name']} already exists."
        )
    if not _same_value(version, data):
        raise _token_in_use(secret, token)
    return _created(secret, token)


def _created(secret: Secret, version_id: str | None) -> Response:
    answer: dict[str, Any] = {"ARN": secret["ARN"], "Name": secret["Name"]}
    if version_id:
        answer["VersionId"] = version_id
    response: Response = json_response(answer)
    return response


def put_secret_value(data: Data) -> Response:
    """PutSecretValue: the same token and value again do nothing; another value under a token is refused."""
    secret = writable(data)
    if not _check_both(data):
        raise Refusal("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
    token = data.get("ClientRequestToken") or str(uuid.uuid4())
    versions = secret["Versions"]
    version = versions.get(token)
    if version and has_value(version):
        strict_kms.check_use(secret, token, "kms:Decrypt")
        if not _same_value(version, data):
            raise _token_in_use(secret, token)
        return _put(secret, token)
    labels = list(data.get("VersionStages") or [CURRENT])
    if not any(has_value(known) for known in versions.values()) and CURRENT not in labels:
        labels.append(CURRENT)  # the first value of a secret is current whatever was asked
    strict_labels.check_room(versions, labels)
    strict_kms.check_use(secret, token, "kms:GenerateDataKey")
    _add_version(secret, token, data, labels)
    return _put(secret, token)


def _put(secret: Secret, version_id: str) -> Response:
    answer: Response = json_response(
        {
            "ARN": secret["ARN"],
            "Name": secret["Name"],
            "VersionId": version_id,
            "VersionStages": sorted(secret["Versions"][version_id]["Stages"]),
        }
    )
    return answer


def update_secret(data: Data) -> Response:
    """UpdateSecret: description and key, and a new current value when one is given. A used token is refused."""
    secret = writable(data)
    has_new_value = _check_both(data)
    token = data.get("ClientRequestToken") or str(uuid.uuid4())
    if has_new_value and token in secret["Versions"]:
        raise _token_in_use(secret, token)
    key_id = data.get("KmsKeyId", secret.get("KmsKeyId"))
    if has_new_value or key_id != secret.get("KmsKeyId"):
        strict_kms.check_use({**secret, "KmsKeyId": key_id}, token, "kms:GenerateDataKey", "kms:Decrypt")
    if has_new_value:
        strict_labels.check_room(secret["Versions"], [CURRENT])
    secret["KmsKeyId"] = key_id
    secret["Description"] = data.get("Description", secret.get("Description", ""))
    secret["LastChangedDate"] = int(time.time())
    if has_new_value:
        _add_version(secret, token, data, [CURRENT])
    else:
        sm._sync_replicas(secret)
    return _created(secret, token if has_new_value else None)


def get_secret_value(data: Data) -> Response:
    """GetSecretValue: by version id, by label, or by both when they agree. A version without a value is not found."""
    secret = alive(data)
    version_id = _wanted(secret, data.get("VersionId"), data.get("VersionStage"))
    version = secret["Versions"][version_id]
    strict_kms.check_use(secret, version_id, "kms:Decrypt")
    secret["LastAccessedDate"] = version["LastAccessedDate"] = _today()
    answer = {
        "ARN": secret["ARN"],
        "Name": secret["Name"],
        "VersionId": version_id,
        "VersionStages": _labels_seen(version, data) or None,
        "CreatedDate": version["CreatedDate"],
        "SecretString": version.get("SecretString"),
        "SecretBinary": _base64(version.get("SecretBinary")),
    }
    response: Response = json_response({name: value for name, value in answer.items() if value is not None})
    return response


def _labels_seen(version: Version, data: Data) -> list[str]:
    """The version's labels; a reader who is behind still sees AWSCURRENT where it was."""
    behind = not data.get("VersionId") and data.get("VersionStage", CURRENT) not in version["Stages"]
    return [CURRENT] if behind else sorted(version["Stages"])


def _wanted(secret: Secret, version_id: str | None, label: str | None) -> str:
    versions = secret["Versions"]
    if version_id:
        version = versions.get(version_id)
        if version is None or not strict_timing.is_visible(version):
            raise _no_value(f"VersionId: {version_id}")
        if label and label not in version["Stages"]:
            raise Refusal(
                "InvalidRequestException",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )
        if not has_value(version):
            raise _no_value(f"VersionId: {version_id}")
        return version_id
    label = label or CURRENT
    found = strict_labels.holder(versions, label)
    if label == CURRENT and found and not strict_timing.is_visible(versions[found]):
        # A reader that does not see the new version yet still sees the one before.
        found = strict_labels.holder(versions, strict_labels.PREVIOUS)
    if not found or not has_value(versions[found]) or not strict_timing.is_visible(versions[found]):
        raise _no_value(f"staging label: {label}")
    return found


def _no_value(which: str) -> Refusal:
    return Refusal("ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {which}")


def _today() -> int:
    """AWS truncates the last access to the day."""
    return int(time.time()) // 86400 * 86400


def _base64(value: str | bytes | None) -> str | None:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
