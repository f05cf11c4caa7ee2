"""What Lambda does on a function's behalf, it does under the function's role: its queue source, its destinations.

AWS refuses a mapping whose role may not read the queue, and drops a failed event whose role may not write to the
destination. Both are checked here, encryption keys included; streams as sources are not.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core.responses import error_response_json
from ministack.services import lambda_svc
from ministack.services.cloudformation import provisioners

log = logging.getLogger(__name__)

RoleMay = Callable[[str, str, str, str, str], bool]

_NEEDED = ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
_HANDS_ON = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}
_MAPPING = "AWS::Lambda::EventSourceMapping"


def _missing(role_may: RoleMay, request: Mapping[str, Any]) -> str | None:
    """Why the mapping is refused; None when the function's role may read its queue."""
    source = str(request.get("EventSourceArn", ""))
    _, config, name = lambda_svc._get_func_record_for_ref(request.get("FunctionName", ""))
    if not source.startswith("arn:aws:sqs:") or not config:
        return None
    for action in _NEEDED:
        if not role_may(config["Role"], name, action, "sqs", source):
            call = action.partition(":")[2]
            return f"The function execution role does not have permissions to call {call} on SQS"
    return None


def install(role_may: RoleMay) -> None:
    """Check mappings and destinations with ``role_may(role_arn, function, action, service, resource_arn)``."""
    create_mapping, route_failure = lambda_svc._create_esm, lambda_svc._route_async_failure
    handlers = provisioners._RESOURCE_HANDLERS[_MAPPING]
    create_in_stack = handlers["create"]

    def create(request: Mapping[str, Any]) -> Any:
        if missing := _missing(role_may, request):
            return error_response_json("InvalidParameterValueException", missing, 400)
        return create_mapping(request)

    def create_of_stack(logical_id: str, properties: Mapping[str, Any], stack: str) -> Any:
        if missing := _missing(role_may, properties):
            raise ValueError(missing)
        return create_in_stack(logical_id, properties, stack)

    def hand_on(target_arn: str, function: str, event: Any, result: Any) -> None:
        _, config, _ = lambda_svc._get_func_record_for_ref(function)
        service = target_arn.split(":")[2]
        action = _HANDS_ON.get(service)
        if config and action and not role_may(config["Role"], function, action, service, target_arn):
            log.warning("%s may not hand a failed event on to %s: its role does not allow it", function, target_arn)
            return
        route_failure(target_arn, function, event, result)

    lambda_svc._create_esm = create
    handlers["create"] = create_of_stack
    lambda_svc._route_async_failure = hand_on
