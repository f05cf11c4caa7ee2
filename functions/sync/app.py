"""Sync orders, from their queue or by a direct invocation."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from polyvault import bootstrap
from polyvault.contracts import sqs_batch, sync_execution, work
from polyvault.errors import PolyvaultError

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.sync import Sync

logger = Logger(service="sync")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext, *, sync: Sync | None = None) -> dict[str, Any]:
    """Run each execution to its final state; a direct invocation answers its record, a batch the orders that stay."""
    use_case, failed = sync or bootstrap.sync(), []

    def run(body: object) -> dict[str, Any]:
        order = work.decode_sync_order(body)
        done = use_case.run(order, remaining_seconds=lambda: context.get_remaining_time_in_millis() / 1000)
        logger.info("the sync ended", extra={"config": done.config_id, "execution": done.id, "status": done.status})
        return sync_execution.encode_sync_execution(done)

    if "Records" not in event:
        return run(event)
    for message_id, body in sqs_batch.messages(event).items():
        try:
            run(body)
        except PolyvaultError as error:
            logger.warning("the order stays", extra={"message_id": message_id, "error": error.code, "why": str(error)})
            failed.append(message_id)
    return sqs_batch.batch_item_failures(failed)
