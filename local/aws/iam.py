"""IAM enforced as on AWS: every request runs under its caller's policies, functions under their role's.

MiniStack evaluates identity policies, boundaries, session and resource policies once its AUTH mode is on.
What it lacks is added here: the condition keys that Secrets Manager, KMS and DynamoDB policies use
(`iam_condition_keys`), AWS's status and wording of a denial, a denial for calls that name no known action,
resource policies of EventBridge targets (`iam_deliveries`), and credentials for a function's role.

The deployer's own key (`test`, or what AWS_ACCESS_KEY_ID says) is the account's root and keeps every right.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.core.responses import get_account_id, get_region
from ministack.core.router import extract_access_key_id
from ministack.services import iam as iam_service
from ministack.services import lambda_svc, sts

from local.aws import iam_condition_keys, iam_deliveries, iam_functions, iam_keys

Response = tuple[int, dict[str, str], bytes]

# AWS answers a denial in these protocols with HTTP 400; MiniStack says 403.
_JSON_SERVICES = frozenset({"secretsmanager", "kms", "dynamodb", "events", "states", "ssm", "logs", "tagging"})

caller_access_key: ContextVar[str | None] = ContextVar("caller_access_key", default=None)
"""The access key of the request being served, once its policies allowed it; None outside a request."""

# The use of a key that denied the request, for the message: MiniStack would name the call that needed the key.
_denied_key: ContextVar[tuple[str, str] | None] = ContextVar("denied_key", default=None)
# Address and transport of the request; work that no request started comes from the service itself, over TLS.
_request_origin: ContextVar[tuple[str, bool]] = ContextVar("request_origin", default=("127.0.0.1", True))

_role_sessions: dict[tuple[str, str], dict[str, str]] = {}


def role_credentials(role_arn: str, *, session_name: str) -> dict[str, str]:
    """The three AWS_* variables of a session of this role, as Lambda hands them to a function.

    Same role and session name: same credentials, also after a reset of the emulator. A role that does not exist
    yet gets credentials too; its requests are denied until it has policies.
    """
    account = role_arn.split(":")[4]
    role_name = role_arn.rsplit("/", 1)[-1]
    credentials = _role_sessions.setdefault(
        (role_arn, session_name),
        {
            "AWS_ACCESS_KEY_ID": f"ASIA{secrets.token_hex(8).upper()}",
            "AWS_SECRET_ACCESS_KEY": secrets.token_hex(20),
            "AWS_SESSION_TOKEN": secrets.token_hex(32),
        },
    )
    role = iam_service._roles.get_scoped(account, None, role_name) or {}
    sts.register_session(
        credentials["AWS_ACCESS_KEY_ID"],
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name}/{session_name}",
            "UserId": f"{role.get('RoleId', role_name)}:{session_name}",
            "SecretAccessKey": credentials["AWS_SECRET_ACCESS_KEY"],
            "SessionToken": credentials["AWS_SESSION_TOKEN"],
            "AccountId": account,
            "PrincipalType": "AssumedRole",
        },
    )
    return dict(credentials)


def _execution_credentials(config: Mapping[str, Any]) -> dict[str, str]:
    """MiniStack's own executors ask here: the session of a function is named after it, as on AWS."""
    return role_credentials(config["Role"], session_name=config["FunctionName"][:64])


def may(access_key: str, action: str, service: str, region: str, resource_arn: str, context: Mapping[str, Any]) -> bool:
    """Whether the holder of this key may do this now, by all policies that apply, those of an encryption key too."""
    return _decide(access_key, action, service, region, resource_arn, context) is None


def role_may(role_arn: str, session_name: str, action: str, service: str, resource_arn: str) -> bool:
    """Whether a session of this role may do this: for what a service does under a function's role."""
    key = role_credentials(role_arn, session_name=session_name)["AWS_ACCESS_KEY_ID"]
    return may(key, action, service, resource_arn.split(":")[3] or get_region(), resource_arn, {})


_evaluate = iam_evaluator.enforce


def _decide(
    access_key: str, action: str, service: str, region: str, resource_arn: str, context: Mapping[str, Any]
) -> Any:
    """None when allowed. Condition keys of the resource are added; the use of its encryption key is part of it."""
    known = {**iam_condition_keys.of_resource(service, resource_arn), **context}
    denied = _evaluate(access_key, action, service, region, resource_arn, known)
    if denied is not None or iam_evaluator.is_root_access_key(access_key):
        return denied
    use = iam_keys.of(action, resource_arn, region)
    for key_action in use.actions if use else ():
        denied = use and _evaluate(access_key, key_action, "kms", region, use.key_arn, use.context)
        if use and denied is not None:
            _denied_key.set((key_action, use.key_arn))
            return denied
    return None


def _enforce(
    access_key: str,
    iam_action: str,
    service: str,
    region: str,
    resource_arn: str = "*",
    service_context: Mapping[str, Any] | None = None,
) -> Any:
    """Decide about the request being served; remember who was allowed."""
    _denied_key.set(None)
    denied = _decide(access_key or "", iam_action, service, region, resource_arn, service_context or {})
    if denied is None:
        caller_access_key.set(access_key)
    return denied


_extract_action = iam_actions.extract_iam_action
# Batch calls are authorised as the single ones: IAM has no actions of their own for them.
_AUTHORISED_AS = {
    "sqs:SendMessageBatch": "sqs:SendMessage",
    "sqs:DeleteMessageBatch": "sqs:DeleteMessage",
    "sqs:ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "sns:PublishBatch": "sns:Publish",
}


def _action(*request: Any) -> str | None:
    found: str | None = _extract_action(*request)
    return _AUTHORISED_AS.get(found or "", found)


_request_tags = iam_actions.request_tag_context


def _request_context(service: str, iam_action: str, body: bytes, params: Mapping[str, Any]) -> dict[str, Any]:
    return {**_request_tags(service, iam_action, body, params), **iam_condition_keys.of_request(service, body)}


_denial = iam_actions.access_denied_response


def _access_denied(service: str, action: str, principal_arn: str, request_id: str, **about: Any) -> Response:
    """A denial with AWS's status, naming the resource, in the protocols whose clients read JSON."""
    if (key_use := _denied_key.get()) and not about.get("error_code"):
        action, about["resource_arn"] = key_use
        about["message"] = iam_actions.identity_denial_message(action, principal_arn, key_use[1], False)
    if service not in _JSON_SERVICES or about.get("error_code"):
        answer: Response = _denial(service, action, principal_arn, request_id, **about)
        return answer
    resource = about.get("resource_arn", "*")
    explicit = bool(about.get("explicit_deny"))
    message = about.get("message") or ""
    if not message and explicit and about.get("resource_policy_arn"):
        message = iam_actions._resource_policy_denial(service, action, principal_arn, resource)
    if not message and resource != "*":
        message = iam_actions.identity_denial_message(action, principal_arn, resource, explicit)
    _, headers, body = _denial(service, action, principal_arn, request_id, **{**about, "message": message})
    answered = json.loads(body)
    text = answered.get("message") or answered.get("Message")
    # AWS capitalises this one member for a denial; SDKs read either.
    return 400, headers, json.dumps({"__type": answered["__type"], "Message": text}).encode()


_check_credentials_only = app._authenticate_only


def _deny_unknown_action(service: str, headers: Mapping[str, str], query: Mapping[str, Any], request_id: str) -> Any:
    """A call that maps to no IAM action passes for root only: what is not known is not allowed."""
    failure = _check_credentials_only(service, headers, query, request_id)
    if failure or not app.AUTH:
        return failure
    principal = iam_evaluator.resolve_principal(extract_access_key_id(headers, query) or "", get_account_id())
    if isinstance(principal, iam_evaluator.AuthError) or principal.policies is None:
        return None
    return _access_denied(
        service, f"{service}:Unknown", principal.arn, request_id, headers=headers, message="No such action."
    )


_origin = iam_evaluator.pin_request_origin


def _loopback_counts_as_tls(source_ip: str, secure_transport: bool) -> None:
    """`aws:SecureTransport` is true for a caller on this machine.

    The endpoint is plain http on loopback, so a bucket policy that refuses non-TLS requests would refuse everybody:
    that one condition is not proved here.
    """
    _origin(source_ip, secure_transport or source_ip in {"127.0.0.1", "::1"})


def install() -> None:
    """Turn enforcement on; call once, before the server starts."""
    app.AUTH = True
    app.pin_request_origin = _loopback_counts_as_tls
    app._authenticate_only = _deny_unknown_action
    iam_evaluator._request_origin = _request_origin
    iam_evaluator.enforce = _enforce
    iam_actions.extract_iam_action = _action
    iam_actions.request_tag_context = _request_context
    iam_actions.access_denied_response = _access_denied
    lambda_runtime.execution_credentials = _execution_credentials
    lambda_svc.execution_credentials = _execution_credentials
    iam_deliveries.install()
    iam_functions.install(role_may)
