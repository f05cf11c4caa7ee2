"""EventBridge delivers only where the target's own resource policy lets it, as on AWS.

A rule needs `sqs:SendMessage` on the queue, `lambda:InvokeFunction` on the function or `sns:Publish` on the topic,
granted to events.amazonaws.com, usually with the rule's ARN as `aws:SourceArn`. MiniStack delivers regardless.
An undeliverable event is dropped with a warning in the log; a target's dead-letter queue is not modelled.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, lambda_svc, sns, sqs

log = logging.getLogger(__name__)

SERVICE = "events.amazonaws.com"

# Kinds of target with a policy of their own: the action of a delivery and where the policy is.
_PROTECTED: dict[str, tuple[str, Callable[[str], Any]]] = {
    "sqs": ("sqs:SendMessage", sqs.queue_policy_for_arn),
    "sns": ("sns:Publish", sns.topic_policy_for_arn),
    "lambda": ("lambda:InvokeFunction", lambda_svc.function_policy_for_arn),
}


def allows(target_arn: str, rule_arn: str, account: str) -> bool:
    """Whether the target lets this rule deliver. Kinds of target without a resource policy are not checked."""
    kind = target_arn.split(":")[2] if target_arn.count(":") >= 5 else ""
    if kind not in _PROTECTED:
        return True
    action, policy_of = _PROTECTED[kind]
    found = policy_of(target_arn)
    if found is None:
        return False
    # The caller is the service, not a principal of the account: a grant to the account does not let it in.
    asked = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=target_arn,
        region=get_region(),
        service_context={"aws:sourcearn": rule_arn, "aws:sourceaccount": account},
    )
    decision = iam_evaluator.evaluate_resource_policy(found[0], asked, service=SERVICE).decision
    return bool(decision == "Allow")


_deliver = eventbridge._invoke_target


def _deliver_if_allowed(target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None) -> None:
    if allows(target.get("Arn", ""), rule["Arn"], get_account_id()):
        _deliver(target, event, rule, view)
    else:
        log.warning("%s may not deliver to %s: its resource policy does not allow it", rule["Arn"], target.get("Arn"))


def install() -> None:
    """Check each delivery of a rule, scheduled ones too; call once, before the server starts."""
    eventbridge._invoke_target = _deliver_if_allowed
