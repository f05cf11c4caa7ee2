"""AWS::Lambda::Function: what a template says of concurrency."""

from __future__ import annotations

from ministack.services import lambda_svc

from local.aws.cloudformation import Properties, complete


def _reserve_concurrency(name: str, properties: Properties) -> None:
    reserved = properties.get("ReservedConcurrentExecutions")
    lambda_svc._functions[name]["concurrency"] = None if reserved is None else int(reserved)


def install() -> None:
    """Complete functions that CloudFormation makes."""
    complete("AWS::Lambda::Function", _reserve_concurrency)
