"""At a rate: what is due goes to the queues."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from polyvault import bootstrap

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.schedule import DueWork

logger = Logger(service="scheduler")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext, *, due: DueWork | None = None) -> dict[str, Any]:
    """Order what is due. The event's content does not matter: the clock, the tags and the configurations do."""
    report = (due or bootstrap.due_work())()
    counts = {
        "rotations": len(report.rotations),
        "syncs": len(report.syncs),
        "skipped": len(report.skipped),
    }
    logger.info("what is due is ordered", extra={**counts, "reasons": dict(report.skipped)})
    return counts
