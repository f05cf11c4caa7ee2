"""APIs with an inline OpenAPI body: HTTP routes, a REST API's ANY methods; and the access log of a REST stage."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ministack.services import apigateway, apigateway_v1

from local.aws.cloudformation import Properties, ResourceError, checked, complete


def _make_routes(api_id: str, properties: Properties) -> None:
    """The routes and integrations that the body says, in the place of those of an earlier body."""
    body = properties.get("Body")
    if not body:
        return
    apigateway._routes[api_id] = {}
    apigateway._integrations[api_id] = {}
    for path, operations in (body.get("paths") or {}).items():
        for method, operation in operations.items():
            integration = (operation or {}).get("x-amazon-apigateway-integration")
            if integration:
                _make_route(api_id, path, method, integration)


def _make_route(api_id: str, path: str, method: str, integration: Mapping[str, Any]) -> None:
    uri = integration["uri"] if isinstance(integration["uri"], str) else json.dumps(integration["uri"])
    function = re.search(r"functions/(arn:[\w-]+:lambda:[^/]+)/invocations", uri)
    if not function:
        raise ResourceError(f"{method} {path}: only Lambda proxy integrations are emulated")
    made = checked(
        apigateway._create_integration(
            api_id,
            {
                "integrationType": "AWS_PROXY",
                "integrationUri": function[1],
                "payloadFormatVersion": integration.get("payloadFormatVersion", "2.0"),
            },
        )
    )
    verb = "ANY" if method == ANY_METHOD else method.upper()
    route = "$default" if path == "/$default" else f"{verb} {path}"
    target = f"integrations/{made['integrationId']}"
    checked(apigateway._create_route(api_id, {"routeKey": route, "target": target}))


def _set_access_log(stage_name: str, properties: Properties) -> None:
    log = properties.get("AccessLogSetting") or {}
    stage = apigateway_v1._stages_v1[properties["RestApiId"]][stage_name]
    stage["accessLogSettings"] = (
        {"destinationArn": log["DestinationArn"], "format": log["Format"]} if log.get("DestinationArn") else {}
    )


ANY_METHOD = "x-amazon-apigateway-any-method"
_import_operation = apigateway_v1._import_operation


def _import_any(api_id: str, resource_id: str, method: str, operation: Any, *security: Any) -> None:
    """One operation of a REST API's body, ANY among them."""
    verb = "ANY" if method.lower() == ANY_METHOD else method
    _import_operation(api_id, resource_id, verb, operation, *security)


def install() -> None:
    """Complete the APIs that CloudFormation makes."""
    apigateway_v1._OPENAPI_HTTP_METHODS = {*apigateway_v1._OPENAPI_HTTP_METHODS, ANY_METHOD}
    apigateway_v1._import_operation = _import_any
    complete("AWS::ApiGatewayV2::Api", _make_routes)
    complete("AWS::ApiGateway::Stage", _set_access_log)
