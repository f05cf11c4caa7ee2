"""A parameter that switches a resource on or off is a change of the stack."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

TEMPLATE = json.dumps(
    {
        "Parameters": {"More": {"Type": "String"}},
        "Conditions": {"HasMore": {"Fn::Equals": [{"Ref": "More"}, "yes"]}},
        "Resources": {
            "Always": {"Type": "AWS::SQS::Queue"},
            "Sometimes": {"Type": "AWS::SQS::Queue", "Condition": "HasMore"},
        },
    }
)


def _deploy(cloudformation: Any, kind: str, more: str) -> list[str]:
    made = cloudformation.create_change_set(
        StackName="switched",
        ChangeSetName=f"to-{more}-{kind.lower()}",
        ChangeSetType=kind,
        TemplateBody=TEMPLATE,
        Parameters=[{"ParameterKey": "More", "ParameterValue": more}],
    )
    changes = cloudformation.describe_change_set(ChangeSetName=made["Id"])["Changes"]
    cloudformation.execute_change_set(ChangeSetName=made["Id"])
    cloudformation.get_waiter(f"stack_{'create' if kind == 'CREATE' else 'update'}_complete").wait(
        StackName="switched", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    return [f"{each['ResourceChange']['Action']} {each['ResourceChange']['LogicalResourceId']}" for each in changes]


def test_a_condition_that_changes_adds_and_removes_its_resource(aws: Callable[..., Any]) -> None:
    cloudformation = aws("cloudformation")
    assert _deploy(cloudformation, "CREATE", "no") == ["Add Always"]
    assert _deploy(cloudformation, "UPDATE", "yes") == ["Add Sometimes"]
    assert len(cloudformation.list_stack_resources(StackName="switched")["StackResourceSummaries"]) == 2
    assert _deploy(cloudformation, "UPDATE", "no") == ["Remove Sometimes"]
    cloudformation.delete_stack(StackName="switched")
