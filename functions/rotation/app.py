"""Secrets Manager calls this function once for each of the four steps of a rotation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from polyvault import bootstrap
from polyvault.contracts import decode
from polyvault.contracts.rotation_event import RotationEvent

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.rotate import Rotate

logger = Logger(service="rotation")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext, *, rotate: Rotate | None = None) -> None:
    """Do the step that the event names, or fail with an error that names the field, the state or the target."""
    request = decode(RotationEvent, event).to_request()
    logger.append_keys(step=request.step, secret=request.secret_id, version=request.client_request_token)
    (rotate or bootstrap.rotate()).rotate(
        request,
        remaining_seconds=context.get_remaining_time_in_millis() / 1000,
        function_arn=context.invoked_function_arn,
        attempt=context.aws_request_id,
    )
    logger.info("the step is done")
