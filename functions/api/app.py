"""The REST API: routes, and the only table from an error to an HTTP status."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError as NoSuchRoute
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from polyvault import bootstrap, errors
from polyvault.contracts import http, http_answers
from polyvault.domain.audit import Actor, ActorType, Caller, principal_id, printable

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.api import ApiServices

logger = Logger(service="api")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})
app = APIGatewayRestResolver()

SERVER_ERROR = 500
HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

# An error answers as the nearest class in its family that stands here. The sentence is all that a caller is told of it.
STATUS: dict[type[Exception], tuple[int, str]] = {
    errors.InvalidInputError: (400, "the request breaks its contract"),
    errors.InvalidRequestError: (400, "the vault refused the form of the request"),
    errors.AccessDeniedError: (403, "the vault does not allow this"),
    errors.AccessPolicyDeniedError: (403, "you are not allowed to do this"),
    errors.NotFoundError: (404, "there is no such record"),
    errors.UnknownStoreNameError: (404, "there is no store of that name"),
    errors.SecretNotFoundError: (404, "there is no such secret"),
    errors.SecretVersionNotFoundError: (404, "there is no such version"),
    errors.SecretUnavailableError: (409, "the secret is deleted, disabled or destroyed"),
    errors.SecretAlreadyExistsError: (409, "the secret exists already"),
    errors.VersionConflictError: (409, "the secret has changed meanwhile"),
    errors.SyncConflictError: (409, "source and target have both changed"),
    errors.RotationNotEnabledError: (409, "the secret cannot be rotated: rotation is off, or it is being deleted"),
    errors.MissingCapabilityError: (409, "the store's vault cannot do this"),
    errors.ThrottledError: (429, "over the vault's quota: try again later"),
    errors.StoreError: (502, "the vault did not answer as it must"),
    errors.TransientStoreError: (503, "the vault cannot be reached: try again later"),
    errors.AuditWriteError: (503, "the audit log cannot be written, so nothing is answered: try again later"),
    errors.AuditReadError: (503, "the audit log cannot be read: try again later"),
    errors.HouseholdError: (503, "a table or queue of Polyvault did not answer: try again later"),
    NoSuchRoute: (404, "there is no such route"),
    Exception: (500, "an error on our side; its details are in the function's log under this request's id"),
}


def services() -> ApiServices:
    """The use cases, wired on the first request that needs one."""
    return cast("Callable[[], ApiServices]", app.context["services"])()


def caller() -> Caller:
    """Whom IAM authorisation found behind the request; nobody is denied. No header is asked who or where one is."""
    identity = app.current_event.request_context.identity
    if not identity.user_arn and (stand_in := bootstrap.stand_in_caller()):
        return Caller(Actor(stand_in, ActorType.USER, stand_in), identity.source_ip, None)
    if not identity.user_arn:
        raise errors.AccessPolicyDeniedError("the request has no IAM identity")
    arn = printable(identity.user_arn, limit=2048)
    principal, name = principal_id(arn), arn.replace(":", "/").rpartition("/")[2]
    kind = ActorType.ROLE if principal != arn else ActorType.USER
    agent = identity.user_agent
    return Caller(Actor(principal, kind, name), identity.source_ip, printable(agent) if agent else None)


def query[M: http.Contract](contract: type[M]) -> M:
    """The request's query as its contract."""
    event = app.current_event.raw_event
    several = event.get("multiValueQueryStringParameters")
    single = {name: [value] for name, value in (event.get("queryStringParameters") or {}).items()}
    return http.query(contract, several or single)


def body[M: http.Contract](contract: type[M]) -> M:
    """The request's body as its contract."""
    event = app.current_event
    return http.body(contract, event.body, is_base64=event.is_base64_encoded or False)


def key() -> str | None:
    """The request's Idempotency-Key."""
    return http.idempotency_key(app.current_event.headers)


def answer(status: int, content: http_answers.Json, **headers: str) -> Response[str]:
    """JSON that nobody may keep."""
    return Response(status, "application/json", json.dumps(content), headers={**HEADERS, **headers})


@app.get("/health")
def get_health() -> Response[str]:
    """200 with each store's state; 503 only when none is healthy."""
    caller()
    query(http.NoQuery)
    found = services().overview.health()
    return answer(200 if any(one.healthy for one in found) else 503, http_answers.health(found))


@app.get("/secrets")
def get_secrets() -> Response[str]:
    """A page of one store's secrets."""
    asked = query(http.SecretsQuery)
    page = services().overview.secrets(
        caller(), store=asked.store, prefix=asked.prefix, limit=asked.limit, token=asked.token
    )
    return answer(200, http_answers.secrets(page.store, page.secrets, page.next_token))


@app.get("/secrets/.+/versions")
def get_versions() -> Response[str]:
    """The versions of the secret whose name stands in the path, its slashes quoted or not."""
    asked = query(http.StoreQuery)
    secret = http.secret_in_path(app.current_event.path)
    return answer(200, http_answers.versions(secret, services().overview.versions(caller(), secret, store=asked.store)))


@app.get("/audit/events")
def get_audit_events() -> Response[str]:
    """A page of the events of one secret or one user."""
    found = services().ask_audit(caller(), query(http.AuditEventsQuery).to_question())
    return answer(200, http_answers.audit_events(found.page, found.start, found.end))


@app.post("/rotations")
def post_rotation() -> Response[str]:
    """Order a rotation; 202 once it is queued."""
    query(http.NoQuery)
    asked = body(http.RotationBody)
    order = services().order_rotation(caller(), asked.secret, store=asked.store, idempotency_key=key())
    return answer(202, http_answers.rotation(order))


@app.put("/sync/configurations/<config_id>")
def put_sync_configuration(config_id: str) -> Response[str]:
    """Keep a sync configuration."""
    query(http.NoQuery)
    event = app.current_event
    configuration = http.sync_configuration(config_id, event.body, is_base64=event.is_base64_encoded or False)
    return answer(200, http_answers.sync_configuration(services().syncs.put(caller(), configuration)))


@app.get("/sync/configurations/<config_id>")
def get_sync_configuration(config_id: str) -> Response[str]:
    """A sync configuration."""
    caller()
    query(http.NoQuery)
    return answer(200, http_answers.sync_configuration(services().syncs.configuration(config_id)))


@app.post("/sync/executions")
def post_sync_execution() -> Response[str]:
    """Start a sync; 202 once it is queued."""
    query(http.NoQuery)
    asked = body(http.SyncExecutionBody)
    execution = services().syncs.start(caller(), asked.config_id, idempotency_key=key())
    return answer(202, http_answers.sync_execution(execution))


@app.get("/sync/executions/<config_id>/<execution_id>")
def get_sync_execution(config_id: str, execution_id: str) -> Response[str]:
    """How a sync stands."""
    caller()
    query(http.NoQuery)
    return answer(200, http_answers.sync_execution(services().syncs.execution(config_id, execution_id)))


def refuse(error: Exception) -> Response[str]:
    """The error's status and code, the field it names, and never what was sent."""
    status, reason = next(STATUS[family] for family in type(error).__mro__ if family in STATUS)
    content = {"error": "not-found" if isinstance(error, NoSuchRoute) else "internal", "path": None, "reason": reason}
    if isinstance(error, errors.PolyvaultError):
        content["error"] = error.code
    if isinstance(error, errors.InvalidInputError):
        content |= {"path": error.path.removeprefix("$."), "reason": error.reason}
    wait = error.retry_after if isinstance(error, errors.TransientStoreError) else None
    log = logger.exception if status >= SERVER_ERROR else logger.info
    log("the request is refused", extra={"status": status, "error": content["error"], "field": content["path"]})
    return answer(status, content, **({"Retry-After": str(max(1, round(wait)))} if wait else {}))


app.exception_handler(Exception)(refuse)
app.not_found(refuse)


@logger.inject_lambda_context
def lambda_handler(
    event: dict[str, Any], context: LambdaContext, *, services: Callable[[], ApiServices] | None = None
) -> dict[str, Any]:
    """Answer one request; each error becomes an HTTP answer."""
    http.check_event(event)
    app.context["services"] = services or bootstrap.api_services
    return app.resolve(event, context)
