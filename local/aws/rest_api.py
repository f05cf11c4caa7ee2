"""REST APIs as API Gateway serves them: the path still encoded, the caller in requestContext, access logs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any

from ministack import app
from ministack.core.responses import get_region, get_request_client_ip
from ministack.services import apigateway_v1, cloudwatch_logs

Response = tuple[int, dict[str, str], bytes]

# What a REST event says of a caller it does not know, or knows by other means than IAM.
_NOBODY = dict.fromkeys(
    (
        *("accessKey", "accountId", "apiKey", "apiKeyId", "caller", "cognitoAuthenticationProvider"),
        *("cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId", "principalOrgId"),
        *("user", "userArn"),
    )
)

_served: ContextVar[dict[str, Any] | None] = ContextVar("served_rest_event", default=None)
"""The event of the request being served, for its access log; None when it reached no function."""

_handle = app._handle_execute_api_request
_build_event = apigateway_v1._build_lambda_event_v1
_execute = apigateway_v1.handle_execute


async def _handle_encoded(
    host: str,
    path: str,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    query: Any,
    raw_path: str | None = None,
    raw_query_string: str | None = None,
) -> Any:
    """A REST API matches and hands on the path with its escapes: %2F is no slash. HTTP APIs decode it, as here."""
    parsed = app._parse_execute_api_url(host, raw_path) if raw_path and "%" in raw_path else None
    if parsed and apigateway_v1.find_api_scope(parsed[0]) is not None:
        path = str(raw_path)
    return await _handle(host, path, method, headers, body, query, raw_path, raw_query_string)


def _build_whole_event(api_id: str, stage_name: str, *rest: Any, **options: Any) -> dict[str, Any]:
    """MiniStack's event with the fields it lacks; the source address is the peer's, whatever a header says."""
    event: dict[str, Any] = _build_event(api_id, stage_name, *rest, **options)
    event.pop("version", None)  # HTTP APIs send one
    context = event["requestContext"]
    domain = f"{api_id}.execute-api.{get_region()}.amazonaws.com"
    context.update(domainName=domain, domainPrefix=api_id)
    identity = {**_NOBODY, **context["identity"], "sourceIp": get_request_client_ip()}
    context["identity"] = identity
    _served.set(event)
    return event


# --- Access logs ------------------------------------------------------------------------------------


async def _execute_logged(
    api_id: str, stage_name: str, method: str, path: str, headers: Any, body: bytes, query: Any
) -> Response:
    """Serve, then write the line that the stage's accessLogSettings describe."""
    _served.set(None)
    started = time.monotonic()
    answer: Response = await _execute(api_id, stage_name, method, path, headers, body, query)
    stage = apigateway_v1.stages_for_api(api_id).get(stage_name) or {}
    settings = stage.get("accessLogSettings") or {}
    if settings.get("destinationArn"):
        peer = {**_NOBODY, "sourceIp": get_request_client_ip()}
        event = _served.get() or {"requestContext": {"httpMethod": method, "identity": peer}}
        line = _line(settings["format"], event["requestContext"], answer, (time.monotonic() - started) * 1000)
        _append(settings["destinationArn"], f"{api_id}/{stage_name}", line)
    return answer


def _line(template: str, context: Mapping[str, Any], answer: Response, milliseconds: float) -> str:
    known = {**context, "status": answer[0], "responseLength": len(answer[2]), "responseLatency": int(milliseconds)}

    def value(found: re.Match[str]) -> str:
        here: Any = known
        for name in found[1].split("."):
            here = here.get(name) if isinstance(here, Mapping) else None
        return "-" if here is None else json.dumps(str(here))[1:-1]

    return re.sub(r"\$context\.([A-Za-z.]+)", value, template)


def _append(destination_arn: str, stream_name: str, line: str) -> None:
    group = cloudwatch_logs._log_groups.get(destination_arn.split(":log-group:")[-1].removesuffix(":*"))
    if group is None:
        return
    now = int(time.time() * 1000)
    stream = group["streams"].setdefault(
        stream_name,
        {
            "events": [],
            "uploadSequenceToken": "1",
            "creationTime": now,
            "firstEventTimestamp": None,
            "lastEventTimestamp": None,
            "lastIngestionTime": None,
        },
    )
    cloudwatch_logs._append_log_events(stream, [{"timestamp": now, "message": line, "ingestionTime": now}])


def install() -> None:
    """Serve REST APIs so; call once."""
    app._handle_execute_api_request = _handle_encoded
    apigateway_v1._build_lambda_event_v1 = _build_whole_event
    apigateway_v1.handle_execute = _execute_logged
