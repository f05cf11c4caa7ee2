"""Secrets Manager as strict as AWS, over MiniStack's records. `install()` replaces its actions.

Where the answer of AWS is documented or was recorded by others it is used; a comment says where it is not.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import json_response
from ministack.services import secretsmanager as sm

from local.aws import strict_labels, strict_limits, strict_names, strict_timing, strict_values
from local.aws.strict_answers import Data, Refusal, Response, alive, answering, known
from local.aws.strict_labels import CURRENT

MAX_BATCH = 20
# Recorded: a raw request without a token is refused; the SDKs make one up.
_NEED_TOKEN = {
    "CreateSecret": "InvalidRequestException",
    "UpdateSecret": "InvalidRequestException",
    "PutSecretValue": "InvalidRequestException",
    "RotateSecret": "InvalidParameterException",
}

_wrapped: dict[str, Callable[..., Any]] = {}
"""What stood in the service when `install` came: MiniStack's own actions, or the rotation engine's."""


def _with_values_only(entry: Data) -> Data:
    """AWS leaves out what has no value: code that reads such a field must say so."""
    return {name: value for name, value in entry.items() if value not in (None, "", [], {})}


def _describe_secret(data: Data) -> Response:
    known(data)
    status, headers, body = _wrapped["_describe_secret"](data)
    return status, headers, json.dumps(_with_values_only(json.loads(body))).encode()


def _list_secrets(data: Data) -> Response:
    status, headers, body = _wrapped["_list_secrets"](data)
    answer = json.loads(body)
    if status == 200:
        answer["SecretList"] = [_with_values_only(entry) for entry in answer["SecretList"]]
    return status, headers, json.dumps(answer).encode()


def _batch_get_secret_value(data: Data, access_key: str | None = None) -> Response:
    """At most 20 secrets: more ids are refused, more matches of a filter come in pages."""
    wanted, filters = data.get("SecretIdList"), data.get("Filters")
    if bool(wanted) == bool(filters):
        message = "Give either SecretIdList or Filters, and not both."
        return Refusal("InvalidParameterException", message).response()
    if wanted and data.get("MaxResults"):
        message = "MaxResults can only be used with Filters."
        return Refusal("InvalidParameterException", message).response()
    status, headers, body = _wrapped["_batch_get_secret_value"](data, access_key)
    if wanted or status != 200:
        return status, headers, body
    return _page(data, json.loads(body))


def _page(data: Data, answer: Data) -> Response:
    size = data.get("MaxResults") or MAX_BATCH
    try:
        start = int(base64.b64decode(data.get("NextToken") or b"MA==", validate=True))
    except ValueError:
        return Refusal("InvalidNextTokenException", "The NextToken value is invalid.").response()
    matches = sorted(
        [entry["ARN"] for entry in answer["SecretValues"]] + [entry["SecretId"] for entry in answer["Errors"]]
    )
    shown = set(matches[start : start + size])
    page: Data = {
        "SecretValues": [entry for entry in answer["SecretValues"] if entry["ARN"] in shown],
        "Errors": [entry for entry in answer["Errors"] if entry["SecretId"] in shown],
    }
    if start + size < len(matches):
        page["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    response: Response = json_response(page)
    return response


def _update_secret_version_stage(data: Data) -> Response:
    """Move a label; AWSCURRENT only from version to version, and 20 labels at most."""
    secret = alive(data)
    label, target = data.get("VersionStage"), data.get("MoveToVersionId")
    if label == CURRENT and not target:
        raise Refusal(
            "InvalidParameterException",
            "You can only move staging label AWSCURRENT to a different secret version. It can't be completely removed.",
        )
    if target and label:
        strict_labels.check_room(secret["Versions"], [label])
    answer: Response = _wrapped["_update_secret_version_stage"](data)
    for version in secret["Versions"].values():
        version["Stages"].sort()  # as AWS answers them
    return answer


def _list_secret_version_ids(data: Data) -> Response:
    """The versions, without deprecated ones unless IncludeDeprecated."""
    secret = known(data)
    key_id = secret.get("KmsKeyId") or "DefaultEncryptionKey"
    shown = [
        {
            "VersionId": version_id,
            "VersionStages": sorted(version["Stages"]) or None,
            "CreatedDate": version["CreatedDate"],
            "LastAccessedDate": version.get("LastAccessedDate"),
            "KmsKeyIds": [key_id],
        }
        for version_id, version in sorted(secret["Versions"].items())
        if version["Stages"] or data.get("IncludeDeprecated")
    ]
    try:
        start = int(base64.b64decode(data.get("NextToken") or b"MA==", validate=True))
    except ValueError:
        raise Refusal("InvalidNextTokenException", "The NextToken value is invalid.") from None
    end = start + (data.get("MaxResults") or 100)
    answer: Data = {
        "ARN": secret["ARN"],
        "Name": secret["Name"],
        "Versions": [
            {name: value for name, value in version.items() if value is not None} for version in shown[start:end]
        ],
    }
    if end < len(shown):
        answer["NextToken"] = base64.b64encode(str(end).encode()).decode()
    response: Response = json_response(answer)
    return response


def _promote(secret: Data, version_id: str) -> None:
    """MiniStack's own promotion, used for other services' secrets, in AWS's rules: nothing is dropped at once."""
    strict_labels.attach(secret["Versions"], version_id, [CURRENT])
    strict_labels.abandon_pending(secret["Versions"], version_id)
    sm._emit_secret_label_updated(secret, CURRENT, version_id)


async def _handle_request(
    method: str, path: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
) -> Response:
    """Check the request's form and the quota, then let the action answer."""
    action = headers.get("x-amz-target", "").rpartition(".")[2]
    try:
        data = json.loads(body) if body else {}
        if isinstance(data, dict):
            _check_form(action, data)
    except ValueError:
        pass  # MiniStack answers SerializationException
    except Refusal as refusal:
        return refusal.response()
    answer: Response = await _wrapped["handle_request"](method, path, headers, body, query_params)
    return answer


def _check_form(action: str, data: Data) -> None:
    strict_limits.check(action, data)
    strict_names.check_names(data)
    if action in _NEED_TOKEN and not data.get("ClientRequestToken"):
        message = "You must provide a ClientRequestToken value. We recommend a UUID-type value."
        raise Refusal(_NEED_TOKEN[action], message)
    strict_timing.check_quota(action)


_ACTIONS: dict[str, Callable[[Data], Response]] = {
    "_create_secret": strict_values.create_secret,
    "_put_secret_value": strict_values.put_secret_value,
    "_update_secret": strict_values.update_secret,
    "_get_secret_value": strict_values.get_secret_value,
    "_describe_secret": _describe_secret,
    "_list_secrets": _list_secrets,
    "_list_secret_version_ids": _list_secret_version_ids,
    "_update_secret_version_stage": _update_secret_version_stage,
    "_tag_resource": strict_names.tag_resource,
    "_put_resource_policy": strict_names.put_resource_policy,
    "_delete_resource_policy": strict_names.delete_resource_policy,
    "_validate_resource_policy": strict_names.validate_resource_policy,
}


def install() -> None:
    """Replace the actions that stand; call once, after the rotation engine and before the server starts."""
    for name in (*_ACTIONS, "_batch_get_secret_value", "handle_request"):
        _wrapped[name] = getattr(sm, name)
    for name, action in _ACTIONS.items():
        setattr(sm, name, answering(action))
    sm._batch_get_secret_value = _batch_get_secret_value
    sm._apply_current_promotion = _promote
    sm.handle_request = _handle_request
