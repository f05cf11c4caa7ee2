"""Looking for a secret value in everything that the bundle wrote or said."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

WINDOW = 8


def forms(value: str) -> frozenset[bytes]:
    """The value raw, JSON-escaped, URL-quoted, reversed, in hex and base64, and each 8-character window of it."""
    raw = value.encode()
    whole = {
        raw,
        json.dumps(value)[1:-1].encode(),
        quote(value, safe="").encode(),
        raw[::-1],
        raw.hex().encode(),
        raw.hex().upper().encode(),
    }
    # Text before the value shifts base64's alignment: the middle of each of the three shifts does not depend on it.
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + raw)
        whole.add(encoded[4 if shift else 0 : len(encoded) - 4])
    windows = {raw[start : start + WINDOW] for start in range(len(raw) - WINDOW + 1)}
    return frozenset(form for form in whole | windows if len(form) >= WINDOW)


@dataclass(frozen=True, slots=True)
class Finding:
    """A channel that holds a form of a canary. The form itself is not kept."""

    channel: str
    place: str


def search(canaries: Iterable[str], texts: Iterable[tuple[str, str, bytes]]) -> list[Finding]:
    """Where any form of any canary occurs among (channel, place, content) texts."""
    needles = frozenset().union(*(forms(canary) for canary in canaries))
    return [
        Finding(channel, place) for channel, place, content in texts if any(needle in content for needle in needles)
    ]


def log_events(logs: Any) -> Iterator[tuple[str, str, bytes]]:
    """Each event of each CloudWatch log group."""
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            for events in logs.get_paginator("filter_log_events").paginate(logGroupName=name):
                for event in events["events"]:
                    yield "function logs", name, event["message"].encode()


def table_items(dynamodb: Any) -> Iterator[tuple[str, str, bytes]]:
    """Each item of each table."""
    for page in dynamodb.get_paginator("list_tables").paginate():
        for table in page["TableNames"]:
            for items in dynamodb.get_paginator("scan").paginate(TableName=table):
                for item in items["Items"]:
                    yield "DynamoDB items", table, json.dumps(item, default=repr).encode()


def objects(s3: Any, *, skip: frozenset[str] = frozenset()) -> Iterator[tuple[str, str, bytes]]:
    """Each object of each bucket, but for the named buckets (the ones that hold our own code)."""
    for bucket in s3.list_buckets()["Buckets"]:
        if bucket["Name"] in skip:
            continue
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket["Name"]):
            for entry in page.get("Contents", []):
                body = s3.get_object(Bucket=bucket["Name"], Key=entry["Key"])
                yield "S3 objects", f"{bucket['Name']}/{entry['Key']}", body["Body"].read()


def messages(sqs: Any) -> Iterator[tuple[str, str, bytes]]:
    """What lies in each queue, dead-letter queues included; messages stay there."""
    for url in sqs.list_queues().get("QueueUrls", []):
        while batch := sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=30,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
        ).get("Messages", []):
            for message in batch:
                yield "SQS messages", url.rsplit("/", 1)[-1], json.dumps(message, default=repr).encode()


def state_machine_histories(step_functions: Any) -> Iterator[tuple[str, str, bytes]]:
    """Each event of each execution of each state machine."""
    for machine in step_functions.list_state_machines()["stateMachines"]:
        arn = machine["stateMachineArn"]
        for execution in step_functions.list_executions(stateMachineArn=arn)["executions"]:
            history = step_functions.get_execution_history(executionArn=execution["executionArn"])
            for event in history["events"]:
                yield "Step Functions history", machine["name"], json.dumps(event, default=repr).encode()


def function_configurations(functions: Any) -> Iterator[tuple[str, str, bytes]]:
    """Each function's configuration, environment variables among it."""
    for page in functions.get_paginator("list_functions").paginate():
        for function in page["Functions"]:
            yield "function configurations", function["FunctionName"], json.dumps(function, default=repr).encode()


def parameters(ssm: Any) -> Iterator[tuple[str, str, bytes]]:
    """Each parameter of the parameter store."""
    for page in ssm.get_paginator("describe_parameters").paginate():
        for parameter in page["Parameters"]:
            name = parameter["Name"]
            yield "SSM parameters", name, ssm.get_parameter(Name=name)["Parameter"]["Value"].encode()


def stack_descriptions(cloudformation: Any) -> Iterator[tuple[str, str, bytes]]:
    """Each stack's parameters, outputs, events and template."""
    for stack in cloudformation.describe_stacks()["Stacks"]:
        name = stack["StackName"]
        yield "CloudFormation", name, json.dumps(stack, default=repr).encode()
        events = cloudformation.describe_stack_events(StackName=name)
        yield "CloudFormation", f"{name} events", json.dumps(events, default=repr).encode()


def files(channel: str, root: Path, pattern: str = "**/*") -> Iterator[tuple[str, str, bytes]]:
    """Each file under a folder."""
    for path in sorted(root.glob(pattern)):
        if path.is_file():
            yield channel, str(path.relative_to(root)), path.read_bytes()
