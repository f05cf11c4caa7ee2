"""Who may have a rotation function invoked: Secrets Manager by the function's policy, its caller by their own."""

from __future__ import annotations

from ministack.core.iam_evaluator import EvalContext, evaluate_resource_policy
from ministack.core.responses import get_region
from ministack.services import lambda_svc

from local.aws import iam

SERVICE = "secretsmanager.amazonaws.com"


def granted(function_arn: str, secret_arn: str) -> bool:
    """False when the function does not exist, or its policy does not let the service in for this secret.

    A statement counts when it allows lambda:InvokeFunction to the service's principal on exactly this function (or
    version, or alias) and its conditions, if any, name the secret's account (aws:SourceAccount) or the secret
    (aws:SourceArn).
    """
    function, config, _ = lambda_svc._get_func_record_for_ref(function_arn)
    if not function or not config:
        return False
    account, region = secret_arn.split(":")[4], secret_arn.split(":")[3]
    asked = EvalContext(
        principal_arn="*",
        principal_type="Service",
        principal_account="",
        action="lambda:InvokeFunction",
        resource_arn=function_arn,
        region=region,
        service_context={"aws:sourcearn": secret_arn, "aws:sourceaccount": account},
    )
    return bool(evaluate_resource_policy(function["policy"], asked, service=SERVICE).decision == "Allow")


def caller_may_invoke(function_arn: str) -> bool:
    """Whether whoever calls RotateSecret now has lambda:InvokeFunction too; true outside a request."""
    key = iam.caller_access_key.get()
    return key is None or iam.may(key, "lambda:InvokeFunction", "lambda", get_region(), function_arn, {})
