"""CloudTrail's events of Secrets Manager, from the audit queue into the audit log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from aws_lambda_powertools.metrics import MetricUnit
from polyvault import bootstrap
from polyvault.contracts import sqs_batch

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.record import Record

logger = Logger(service="audit")
metrics = Metrics(namespace="Polyvault", service="audit")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], context: LambdaContext, *, record: Record | None = None) -> dict[str, Any]:
    """Make each event durable; messages that are not events, or not durable, go back to the queue alone."""
    recorded = (record or bootstrap.ingest())(sqs_batch.messages(event))
    metrics.add_metric(name="EventsStored", unit=MetricUnit.Count, value=len(recorded.stored))
    metrics.add_metric(name="EventsRefused", unit=MetricUnit.Count, value=len(recorded.refused))
    metrics.add_metric(name="EventsFailed", unit=MetricUnit.Count, value=len(recorded.failed))
    metrics.flush_metrics()
    logger.info(
        "the batch is done",
        extra={"stored": len(recorded.stored), "refused": len(recorded.refused), "failed": len(recorded.failed)},
    )
    return sqs_batch.batch_item_failures(recorded.unfinished)
