"""Calls to Secrets Manager and outcomes of rotations, on the default event bus as CloudTrail delivers them.

Delivery runs behind the request in one thread, in order; AWS takes minutes and may drop events. Rules get read-only
management events only in the state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS. Secrets that CloudFormation makes
inside the emulator leave no record.
"""

from __future__ import annotations

import json
import logging
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region, get_request_client_ip, request_scope
from ministack.core.router import extract_access_key_id
from ministack.services import eventbridge

from local.aws import cloudtrail_records, rotation_engine, strict_values
from local.aws.cloudtrail_records import Record

log = logging.getLogger(__name__)

Response = tuple[int, dict[str, str], bytes]

API_CALL = "AWS API Call via CloudTrail"
SERVICE_EVENT = "AWS Service Event via CloudTrail"
ALL_EVENTS = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"

_records: queue.SimpleQueue[tuple[str, Record]] = queue.SimpleQueue()


def publish(detail_type: str, record: Record) -> None:
    """Hand a record over for delivery; returns at once."""
    _records.put((detail_type, record))


def _deliver_forever() -> None:
    while True:
        detail_type, record = _records.get()
        account, region = record["recipientAccountId"], record["awsRegion"]
        event = {
            "EventId": str(uuid.uuid4()),
            "Source": "aws.secretsmanager",
            "DetailType": detail_type,
            "Detail": json.dumps(record),
            "EventBusName": "default",
            "Time": int(time.time()),
            "Resources": [],
            "Account": account,
            "Region": region,
        }
        try:
            with request_scope(account, region):
                eventbridge._dispatch_event(event)
                eventbridge._archive_event(event)
        except Exception:
            # One event must not end the delivery of all others.
            log.exception("%s was not delivered", record["eventName"])


# --- Calls ------------------------------------------------------------------------------------------

_serve = app._dispatch_service_request


async def _dispatch(
    method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
) -> Response:
    """Serve any request; record those to Secrets Manager, allowed or not."""
    answer: Response = await _serve(method, path, headers, body, query, request_id)
    target = headers.get("x-amz-target", "")
    if target.startswith("secretsmanager."):
        call = _call(target.partition(".")[2], headers, body, query, request_id, answer)
        for record in cloudtrail_records.of_call(call) if call else ():
            publish(API_CALL, record)
    return answer


def _call(
    action: str, headers: Mapping[str, str], body: bytes, query: Any, request_id: str, answer: Response
) -> cloudtrail_records.Call | None:
    """What was asked and answered; None when the caller could not be told, as CloudTrail then has no identity."""
    key = extract_access_key_id(headers, query) or ""
    caller = iam_evaluator.resolve_credential(key, get_account_id())
    if not isinstance(caller, iam_evaluator.ResolvedCredential) or _unauthenticated(answer):
        return None
    return cloudtrail_records.Call(
        action=action,
        data=_object(body),
        status=answer[0],
        answer=_object(answer[2]),
        caller=caller,
        request_id=request_id,
        account=get_account_id(),
        region=get_region(),
        source_ip=get_request_client_ip(),
        user_agent=headers.get("user-agent", ""),
        host=headers.get("host", ""),
    )


def _unauthenticated(answer: Response) -> bool:
    codes = {"UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException"}
    return answer[0] >= 400 and _object(answer[2]).get("__type") in codes


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


# --- Rotations --------------------------------------------------------------------------------------


def _on_rotation(name: str, secret: Mapping[str, Any], details: Mapping[str, Any]) -> None:
    publish(SERVICE_EVENT, cloudtrail_records.of_service_event(name, secret["ARN"], details.get("message")))


def _on_abandoned(secret: Mapping[str, Any], version_id: str) -> None:
    """A newer value took AWSPENDING away; the engine reports it itself when its steps are under way."""
    if secret.get("_RotationToken") != version_id:
        _on_rotation("RotationAbandoned", secret, {})


# --- Rules ------------------------------------------------------------------------------------------


def _is_withheld(rule: Mapping[str, Any], event: Mapping[str, Any]) -> bool:
    """Whether the rule's state keeps this event from it: a management event that only reads."""
    if rule.get("State") == ALL_EVENTS or event.get("DetailType") != API_CALL:
        return False
    if not str(event.get("Source", "")).startswith("aws."):
        return False
    name = _object(str(event.get("Detail", "")).encode()).get("eventName", "")
    return str(name).startswith(("Get", "List", "Describe"))


def _dispatch_event(event: Mapping[str, Any], view: Any = None) -> None:
    """Deliver to every rule of the bus that is enabled for this event and matches it."""
    seen = set(event.get("_DispatchPath") or [])
    view = view or eventbridge._pattern_event_view(event)
    for key, rule in list(eventbridge._rules.items()):
        if rule.get("EventBusName", "default") != event.get("EventBusName", "default") or not rule.get("EventPattern"):
            continue
        if rule.get("State") not in {"ENABLED", ALL_EVENTS} or _is_withheld(rule, event):
            continue
        if key in seen:
            log.warning("%s would deliver to itself", key)
        elif eventbridge._matches_pattern_view(rule["EventPattern"], view, f"rule {key}"):
            for target in eventbridge._targets.get(key, []):
                eventbridge._invoke_target(target, event, rule, view)


def install() -> None:
    """Record from now on; call once, last, so that the record says what the caller saw."""
    app._dispatch_service_request = _dispatch
    eventbridge._dispatch_event = _dispatch_event
    rotation_engine.on_rotation_event.append(_on_rotation)
    strict_values.on_abandoned.append(_on_abandoned)
    threading.Thread(target=_deliver_forever, name="cloudtrail", daemon=True).start()
