"""EventBridge delivers only where the target's own resource policy lets it, as on AWS.

A rule needs `sqs:SendMessage` on the queue, `lambda:InvokeFunction` on the function or `sns:Publish` on the topic,
granted to events.amazonaws.com, usually with the rule's ARN as `aws:SourceArn`; and where the target is encrypted with
a customer key, the key's policy must let the service use it. MiniStack delivers regardless.
An undeliverable event goes to the target's dead-letter queue where that lets the rule in (without AWS's message
attributes on the cause), else it is dropped; the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id, get_region
from ministack.services import eventbridge, kms, lambda_svc, sns, sqs

from local.aws import iam_keys

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
    found, source = policy_of(target_arn), {"aws:SourceArn": rule_arn, "aws:SourceAccount": account}
    if found is None or not _lets_in(found[0], action, target_arn, source):
        return False
    use = iam_keys.of(action, target_arn, get_region())
    if use is None:
        return True
    policy, _ = kms.key_policy_for_arn(use.key_arn)
    own = {name: value for name, value in use.context.items() if name != "kms:ViaService"}
    return all(_lets_in(policy, key_action, use.key_arn, {**own, **source}) for key_action in use.actions)


def _lets_in(policy: Any, action: str, resource_arn: str, context: Mapping[str, Any]) -> bool:
    """Whether a resource's policy allows the service itself; a grant to the account does not let it in."""
    asked = iam_evaluator.EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn=resource_arn,
        region=get_region(),
        service_context={name.lower(): value for name, value in context.items()},
    )
    return bool(iam_evaluator.evaluate_resource_policy(policy, asked, service=SERVICE).decision == "Allow")


_deliver = eventbridge._invoke_target


def _deliver_if_allowed(target: Mapping[str, Any], event: Any, rule: Mapping[str, Any], view: Any = None) -> None:
    if allows(target.get("Arn", ""), rule["Arn"], get_account_id()):
        _deliver(target, event, rule, view)
        return
    log.warning("%s may not deliver to %s: its resource policy does not allow it", rule["Arn"], target.get("Arn"))
    dead_letters = (target.get("DeadLetterConfig") or {}).get("Arn")
    if dead_letters and allows(dead_letters, rule["Arn"], get_account_id()):
        _deliver({"Arn": dead_letters}, event, rule, view)


def install() -> None:
    """Check each delivery of a rule, scheduled ones too; call once, before the server starts."""
    eventbridge._invoke_target = _deliver_if_allowed
