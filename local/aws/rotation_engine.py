"""RotateSecret as Secrets Manager does it: four steps on the deployed function, retried whole with one token.

The state is on the secret, so that it survives a restart of a launcher that keeps its state. MiniStack's fields are
AWS's; ours start with an underscore:

* ``_RotationToken``: the version that a rotation in progress makes; absent when none is, or when its attempts failed;
* ``_RotationBase``: epoch seconds from which the schedule counts: configuration, last rotation or last attempt.
"""

from __future__ import annotations

import contextvars
import json
import logging
import secrets
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import json_response
from ministack.services import lambda_svc
from ministack.services import secretsmanager as service

from local.aws import invoke_permission, schedule
from local.aws.secret_versions import add_pending, labelled, unfinished
from local.aws.settings import settings
from local.aws.strict_answers import Data, Refusal, Response, Secret, answering, writable

log = logging.getLogger("rotation")

STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")

Listener = Callable[[str, Secret, dict[str, Any]], None]

on_rotation_event: list[Listener] = []
"""Called with RotationStarted, RotationSucceeded, RotationFailed, RotationAbandoned, TestRotationStarted,
TestRotationSucceeded or TestRotationFailed, the secret and details without values."""

IN_PROGRESS = "A previous rotation isn't complete. That rotation will be reattempted."
NOT_PERMITTED = (
    "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function policy grants access to "
    "the principal secretsmanager.amazonaws.com."
)

start_lock = threading.Lock()
"""Held while it is decided whether a rotation starts."""
_running: set[str] = set()  # ARNs of secrets whose steps run in this process


class StepFailedError(Exception):
    """The function failed at a step; the message is its error class, never a value."""


def rotate_secret(data: Data) -> Response:
    """RotateSecret: check, keep the configuration, label an empty AWSPENDING version, run the steps behind."""
    token = data.get("ClientRequestToken")
    if token is not None and not 32 <= len(token) <= 64:
        raise Refusal("InvalidParameterException", "ClientRequestToken must be 32 to 64 characters long.")
    try:
        schedule.parse(data.get("RotationRules") or {}, fast=settings().fast_schedules)
    except schedule.ScheduleError as problem:
        raise Refusal("InvalidParameterException", str(problem)) from problem
    secret = writable(data)
    function_arn = data.get("RotationLambdaARN") or secret.get("RotationLambdaARN")
    if not function_arn:
        message = "No Lambda rotation function ARN is associated with this secret."
        raise Refusal("InvalidRequestException", message)
    if not invoke_permission.granted(function_arn, secret["ARN"]):
        raise Refusal("AccessDeniedException", NOT_PERMITTED)
    if not invoke_permission.caller_may_invoke(function_arn):
        message = f"The caller is not authorized to perform: lambda:InvokeFunction on resource: {function_arn}"
        raise Refusal("AccessDeniedException", message)  # AWS documents the check, not the wording
    with start_lock:
        return _accept(secret, function_arn, data)


def _accept(secret: Secret, function_arn: str, data: Data) -> Response:
    token = data.get("ClientRequestToken") or str(uuid.uuid4())
    if token in secret["Versions"]:  # the same request again: it starts nothing
        return _answer(secret, token)
    if is_running(secret):  # also in the moment between the label's move and the answer of finishSecret
        raise Refusal("InvalidRequestException", IN_PROGRESS)
    if pending := unfinished(secret):
        if secret.get("RotationEnabled"):
            start(secret, pending)
        raise Refusal("InvalidRequestException", IN_PROGRESS)
    secret["RotationLambdaARN"], secret["RotationEnabled"] = function_arn, True
    if data.get("RotationRules"):
        secret["RotationRules"] = dict(data["RotationRules"])
    secret["_RotationBase"] = time.time()
    if data.get("RotateImmediately") is False:
        _background(_test_configuration, secret, token)
        return _answer(secret, None)
    add_pending(secret, token)
    start(secret, token)
    return _answer(secret, token)


def cancel_rotate_secret(data: Data) -> Response:
    """CancelRotateSecret: no more steps and no more schedule; the labels stay where they are."""
    secret = writable(data)
    if not secret.get("RotationEnabled"):
        raise Refusal("InvalidRequestException", "You can't cancel rotation of a secret that has it turned off.")
    with start_lock:
        secret["RotationEnabled"] = False
        return _answer(secret, secret.pop("_RotationToken", None))


# --- The steps --------------------------------------------------------------------------------------


def is_running(secret: Secret) -> bool:
    """Whether steps of this secret run now, or wait for their next attempt."""
    return secret["ARN"] in _running


def start(secret: Secret, token: str) -> None:
    """Run the steps for this pending version in a thread; the caller holds ``start_lock``."""
    secret["_RotationToken"] = token
    _running.add(secret["ARN"])
    _notify("RotationStarted", secret)
    _background(_rotate, secret, token)


def _rotate(secret: Secret, token: str) -> None:
    """All attempts at one rotation. Ends with the value current, or AWSPENDING left where the failure put it."""
    current_before = labelled(secret, "AWSCURRENT")
    try:
        for attempt in range(1, settings().rotation_attempts + 1):
            if attempt > 1:
                time.sleep(settings().rotation_retry_seconds)
            try:
                if not _attempt(secret, token, current_before):
                    return
            except StepFailedError as failure:
                if _is_superseded(secret, token, current_before):
                    _abandon(secret, token)
                    return
                log.warning("rotation of %s: attempt %d: %s", secret["Name"], attempt, failure)
                _notify("RotationFailed", secret, message=str(failure), attempt=attempt)
                continue
            _succeeded(secret, token)
            return
    finally:
        with start_lock:
            _running.discard(secret["ARN"])
            if secret.get("_RotationToken") == token:
                del secret["_RotationToken"]
            secret["_RotationBase"] = time.time()


def _attempt(secret: Secret, token: str, current_before: str | None) -> bool:
    """The four steps once; False when there is nothing left to do for this token."""
    for step in STEPS:
        if not secret.get("RotationEnabled") or secret.get("DeletedDate"):
            return False
        if _is_superseded(secret, token, current_before):
            _abandon(secret, token)
            return False
        _invoke(secret, step, token)
    if labelled(secret, "AWSCURRENT") != token or labelled(secret, "AWSPENDING") not in {None, token}:
        raise StepFailedError("finishSecret: AWSCURRENT is not on the new version")
    return True


def _is_superseded(secret: Secret, token: str, current_before: str | None) -> bool:
    return labelled(secret, "AWSCURRENT") not in {current_before, token}


def _succeeded(secret: Secret, token: str) -> None:
    secret["LastRotatedDate"] = secret["LastChangedDate"] = int(time.time())
    service._sync_replicas(secret)
    log.info("rotation of %s: version %s is current", secret["Name"], token)
    _notify("RotationSucceeded", secret)


def _abandon(secret: Secret, token: str) -> None:
    """Somebody wrote a new value meanwhile: as on AWS the rotation gives way and takes its label off."""
    service._remove_stage(secret, token, "AWSPENDING")
    log.info("rotation of %s: abandoned, another version became current", secret["Name"])
    _notify("RotationAbandoned", secret)


def _test_configuration(secret: Secret, token: str) -> None:
    """RotateImmediately=false: testSecret alone, on a pending copy of the current value that is removed after."""
    current = secret["Versions"].get(labelled(secret, "AWSCURRENT"))
    pending_before = labelled(secret, "AWSPENDING")
    _notify("TestRotationStarted", secret)
    add_pending(secret, token, current)
    try:
        _invoke(secret, "testSecret", token)
    except StepFailedError as failure:
        log.warning("test of the rotation of %s: %s", secret["Name"], failure)
        _notify("TestRotationFailed", secret, message=str(failure))
    else:
        _notify("TestRotationSucceeded", secret)
    finally:
        secret["Versions"].pop(token, None)
        if pending_before:
            service._add_stage(secret, pending_before, "AWSPENDING")


def _invoke(secret: Secret, step: str, token: str) -> None:
    event = {
        "Step": step,
        "SecretId": secret["ARN"],
        "ClientRequestToken": token,
        "RotationToken": secrets.token_urlsafe(48),
    }
    function, config, name = lambda_svc._get_func_record_for_ref(secret["RotationLambdaARN"])
    if not function or not config:
        raise StepFailedError(f"{step}: the function {name} does not exist")
    record = lambda_svc._execution_record_for_config(function, config)
    started = time.monotonic()
    result = lambda_svc._execute_function_with_config_scope(record, event)
    failed = bool(result.get("error") or result.get("throttle"))
    lambda_svc._emit_lambda_metrics(
        name, (time.monotonic() - started) * 1000, error=failed, throttle=bool(result.get("throttle"))
    )
    if failed:
        body = result.get("body")
        error_class = body.get("errorType") or body.get("Type") if isinstance(body, dict) else None
        raise StepFailedError(f"{step}: {error_class or 'the function failed'}")


# --- Answers --------------------------------------------------------------------------------------


def _answer(secret: Secret, version_id: str | None) -> Response:
    body = {"ARN": secret["ARN"], "Name": secret["Name"]}
    answer: Response = json_response({**body, "VersionId": version_id} if version_id else body)
    return answer


def _notify(name: str, secret: Secret, **details: Any) -> None:
    for listener in list(on_rotation_event):
        listener(name, secret, details)


def _background(work: Callable[..., None], *args: Any) -> None:
    """Run in a thread that keeps the request's account and Region (context variables)."""
    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(work, *args), daemon=True, name="rotation").start()


_handle_request = service.handle_request


async def handle_request(method: str, path: str, headers: Mapping[str, str], body: bytes, query: Any) -> Response:
    """Secrets Manager's dispatcher, with CancelRotateSecret."""
    if headers.get("x-amz-target", "").endswith(".CancelRotateSecret"):
        return answering(cancel_rotate_secret)(json.loads(body or b"{}"))
    answer: Response = await _handle_request(method, path, headers, body, query)
    return answer


def install() -> None:
    """Put the engine in the place of MiniStack's stub."""
    service._rotate_secret = answering(rotate_secret)
    service.handle_request = handle_request
