"""Rotation orders from their queue to the vaults."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from polyvault import bootstrap
from polyvault.contracts import sqs_batch, work
from polyvault.errors import PolyvaultError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.request_rotation import RequestRotation

logger = Logger(service="rotation_worker")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})


@logger.inject_lambda_context
def lambda_handler(
    event: dict[str, Any], context: LambdaContext, *, request: RequestRotation | None = None
) -> dict[str, Any]:
    """Request each rotation once; an order that cannot be carried out yet, or is none, stays in the queue alone."""
    carry_out, failed = request or bootstrap.request_rotations(), []
    for message_id, body in sqs_batch.messages(event).items():
        try:
            version_id = carry_out(work.decode_rotation_order(body))
        except PolyvaultError as error:
            logger.warning("the order stays", extra={"message_id": message_id, "error": error.code, "why": str(error)})
            failed.append(message_id)
        else:
            logger.info("the rotation is requested", extra={"message_id": message_id, "version": version_id})
    return sqs_batch.batch_item_failures(failed)
