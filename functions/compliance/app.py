"""A compliance report, on schedule or on demand."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.utils import copy_config_to_registered_loggers
from polyvault import bootstrap
from polyvault.contracts.compliance import report_answer, report_request

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext
    from polyvault.services.report import WriteReport

logger = Logger(service="compliance")
logging.getLogger("polyvault")
copy_config_to_registered_loggers(logger, include={"polyvault"})


@logger.inject_lambda_context
def lambda_handler(
    event: dict[str, Any], context: LambdaContext, *, write_report: WriteReport | None = None
) -> dict[str, Any]:
    """Write the report that the event asks for; answer its id, its summary and the keys of its files."""
    written = (write_report or bootstrap.report())(report_request(event))
    return report_answer(written.report, written.files)
