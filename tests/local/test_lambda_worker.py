"""Functions of the emulated AWS run as Lambda runs them: isolation, errors, limits, logs, ways to be invoked."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.local.conftest import ACCOUNT, archive, client, eventually

ECHO = "import os, sys\ncount = 0\ndef handler(event, context):\n    global count\n    count += 1\n"


@pytest.fixture
def invoke(aws: Callable[..., Any]) -> Callable[..., tuple[Any, str | None]]:
    """``invoke(arn, event)``: the decoded payload and the kind of function error, if any."""

    def call(function_arn: str, event: Any = None) -> tuple[Any, str | None]:
        answer = aws("lambda").invoke(FunctionName=function_arn, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read()), answer.get("FunctionError")

    return call


def test_a_handlers_exception_keeps_its_class(deploy: Callable[..., str], invoke: Callable[..., Any]) -> None:
    arn = deploy("class TargetRefusedError(Exception): pass\ndef handler(e, c): raise TargetRefusedError('why')")
    body, failure = invoke(arn)
    assert failure == "Unhandled"
    assert (body["errorType"], body["errorMessage"]) == ("TargetRefusedError", "why")
    assert "app.py" in body["stackTrace"][0]


def test_a_module_that_cannot_be_imported_says_so(deploy: Callable[..., str], invoke: Callable[..., Any]) -> None:
    body, failure = invoke(deploy("import not_there\ndef handler(e, c): pass"))
    assert failure == "Unhandled"
    assert body["errorType"] == "Runtime.ImportModuleError"
    assert "not_there" in body["errorMessage"]


def test_state_survives_warm_calls_and_an_update_starts_afresh(
    aws: Callable[..., Any], deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy(ECHO + "    return [count, os.environ.get('COLOUR')]")
    assert [invoke(arn)[0] for _ in range(3)] == [[1, None], [2, None], [3, None]]
    aws("lambda").update_function_configuration(FunctionName=arn, Environment={"Variables": {"COLOUR": "red"}})
    assert invoke(arn)[0] == [1, "red"]
    aws("lambda").update_function_code(FunctionName=arn, ZipFile=archive(app="def handler(e, c): return 'new'"))
    assert invoke(arn)[0] == "new"


def test_a_function_sees_lambdas_variables_and_none_of_the_launchers(
    aws_endpoint: str, deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy(ECHO + "    return dict(os.environ)", MemorySize=192)
    environment, _ = invoke(arn)
    name = arn.rsplit(":", 1)[-1]
    assert environment["AWS_LAMBDA_FUNCTION_NAME"] == name
    assert environment["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "192"
    assert environment["AWS_REGION"] == environment["AWS_DEFAULT_REGION"] == "us-east-1"
    assert environment["AWS_ENDPOINT_URL"] == aws_endpoint
    assert environment["AWS_LAMBDA_LOG_GROUP_NAME"] == f"/aws/lambda/{name}"
    assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    launchers = [key for key in environment if key.startswith(("POLYVAULT", "MINISTACK", "GATEWAY", "BIND", "AUTH"))]
    assert launchers == []


def test_a_function_acts_as_its_role(
    aws_endpoint: str, role: str, deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy(ECHO + "    return {k: os.environ[k] for k in os.environ if k.startswith('AWS_')}")
    environment, _ = invoke(arn)
    as_function = client(
        aws_endpoint,
        "sts",
        environment["AWS_ACCESS_KEY_ID"],
        environment["AWS_SECRET_ACCESS_KEY"],
        aws_session_token=environment["AWS_SESSION_TOKEN"],
    )
    caller = as_function.get_caller_identity()["Arn"]
    assert caller == f"arn:aws:sts::{ACCOUNT}:assumed-role/{role.rsplit('/', 1)[-1]}/{arn.rsplit(':', 1)[-1]}"


def test_only_the_functions_own_layers_are_importable(
    aws: Callable[..., Any], deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    def layer(name: str, **files: str) -> str:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as opened:
            for path, source in files.items():
                opened.writestr(f"python/{path}.py", source)
        published = aws("lambda").publish_layer_version(LayerName=name, Content={"ZipFile": buffer.getvalue()})
        return str(published["LayerVersionArn"])

    first = layer("first", shade="value = 'first'", only_first="value = 1")
    second = layer("second", shade="value = 'second'")
    arn = deploy(
        ECHO + "    import only_first, shade\n    return [only_first.value, shade.value]", Layers=[first, second]
    )
    assert invoke(arn)[0] == [1, "second"]  # a later layer covers an earlier one
    body, _ = invoke(deploy(ECHO + "    import only_first"))
    assert body["errorType"] == "ModuleNotFoundError"
    for package in ("boto3", "ministack", "pytest", "pip", "polyvault"):
        body, _ = invoke(deploy(ECHO + f"    import {package}"))
        assert body["errorType"] == "ModuleNotFoundError", package


def test_a_call_that_takes_too_long_is_ended_and_the_next_one_runs(
    deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy("import time\ndef handler(e, c):\n    time.sleep(e)\n    return 'in time'", Timeout=1)
    started = time.monotonic()
    body, failure = invoke(arn, 30)
    assert time.monotonic() - started < 5
    assert failure == "Unhandled"
    assert body["errorType"] == "Sandbox.Timedout"
    assert body["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")
    assert invoke(arn, 0) == ("in time", None)


def test_the_handler_knows_how_long_it_has(deploy: Callable[..., str], invoke: Callable[..., Any]) -> None:
    arn = deploy("def handler(e, c): return [c.get_remaining_time_in_millis(), c.invoked_function_arn]", Timeout=7)
    (remaining, invoked), _ = invoke(arn)
    assert 5000 < remaining <= 7000
    assert invoked == arn


def test_a_process_that_dies_is_an_error_and_is_replaced(
    deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy("import os\ndef handler(e, c):\n    if e: os._exit(e)\n    return 'alive'")
    body, _ = invoke(arn, 3)
    assert body["errorType"] == "Runtime.ExitError"
    assert body["errorMessage"].endswith("exit status 3")
    assert invoke(arn, 0) == ("alive", None)


def test_a_response_over_six_megabytes_is_refused(deploy: Callable[..., str], invoke: Callable[..., Any]) -> None:
    arn = deploy("def handler(e, c): return 'x' * e")
    assert invoke(arn, 7_000_000)[0]["errorType"] == "Function.ResponseSizeTooLarge"
    assert len(invoke(arn, 6_000_000)[0]) == 6_000_000


def test_calls_at_once_run_in_environments_of_their_own_and_the_surplus_waits(
    deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy("import os, time\ndef handler(e, c):\n    time.sleep(0.3)\n    return os.getpid()")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: invoke(arn), range(8)))
    assert [failure for _, failure in answers] == [None] * 8
    assert 2 <= len({pid for pid, _ in answers}) <= 4


def test_what_a_function_prints_is_in_its_log_group(
    aws: Callable[..., Any], deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    noise = 200_000  # more than a pipe holds
    arn = deploy(f"def handler(e, c):\n    print('x' * {noise})\n    print('last words', e)")
    invoke(arn, "of the first")
    invoke(arn, "of the second")
    events = aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{arn.rsplit(':', 1)[-1]}")["events"]
    messages = [event["message"] for event in events]
    assert [m for m in messages if m.startswith("last words")] == [
        "last words of the first",
        "last words of the second",
    ]
    assert sum(m.startswith("START RequestId") for m in messages) == 2


def test_the_log_of_an_error_holds_its_traceback(
    aws: Callable[..., Any], deploy: Callable[..., str], invoke: Callable[..., Any]
) -> None:
    arn = deploy("def handler(e, c): return {}['missing']")
    invoke(arn)
    events = aws("logs").filter_log_events(logGroupName=f"/aws/lambda/{arn.rsplit(':', 1)[-1]}")["events"]
    text = "\n".join(event["message"] for event in events)
    assert "[ERROR] KeyError: 'missing'" in text
    assert "Traceback" in text


def test_a_queue_delivers_and_only_failed_messages_come_back(
    aws: Callable[..., Any], deploy: Callable[..., str]
) -> None:
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:6]}", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    arn = deploy(
        "seen = []\n"
        "def handler(event, context):\n"
        "    failed = []\n"
        "    for record in event['Records']:\n"
        "        seen.append(record['body'])\n"
        "        print('got', record['body'])\n"
        "        if record['body'] == 'bad' and seen.count('bad') == 1:\n"
        "            failed.append({'itemIdentifier': record['messageId']})\n"
        "    return {'batchItemFailures': failed}",
    )
    mapping = aws("lambda").create_event_source_mapping(
        FunctionName=arn, EventSourceArn=queue_arn, BatchSize=10, FunctionResponseTypes=["ReportBatchItemFailures"]
    )
    sqs.send_message_batch(QueueUrl=queue, Entries=[{"Id": i, "MessageBody": i} for i in ("good", "bad")])
    group = f"/aws/lambda/{arn.rsplit(':', 1)[-1]}"

    def got() -> list[str]:
        try:
            events = aws("logs").filter_log_events(logGroupName=group)["events"]
        except aws("logs").exceptions.ResourceNotFoundException:
            return []
        return sorted(event["message"][4:] for event in events if event["message"].startswith("got "))

    eventually(lambda: got() == ["bad", "bad", "good"])
    aws("lambda").delete_event_source_mapping(UUID=mapping["UUID"])


def test_an_asynchronous_call_is_accepted_and_runs(aws: Callable[..., Any], deploy: Callable[..., str]) -> None:
    arn = deploy("def handler(e, c): print('ran', e['n'])")
    answer = aws("lambda").invoke(FunctionName=arn, InvocationType="Event", Payload=json.dumps({"n": 7}))
    assert answer["StatusCode"] == 202
    group = f"/aws/lambda/{arn.rsplit(':', 1)[-1]}"

    def ran() -> bool:
        try:
            events = aws("logs").filter_log_events(logGroupName=group, filterPattern="ran")["events"]
        except aws("logs").exceptions.ResourceNotFoundException:
            return False
        return bool(events)

    eventually(ran)


def test_step_functions_catches_the_class_of_a_handlers_exception(
    aws: Callable[..., Any], deploy: Callable[..., str], role: str
) -> None:
    arn = deploy("class TargetRefusedError(Exception): pass\ndef handler(e, c): raise TargetRefusedError('why')")
    caught = {"ErrorEquals": ["TargetRefusedError"], "Next": "Caught"}
    machine = aws("stepfunctions").create_state_machine(
        name=f"m-{uuid.uuid4().hex[:6]}",
        roleArn=role,
        definition=json.dumps(
            {
                "StartAt": "Call",
                "States": {
                    "Call": {"Type": "Task", "Resource": arn, "Catch": [caught], "End": True},
                    "Caught": {"Type": "Pass", "Result": "caught by class", "End": True},
                },
            }
        ),
    )["stateMachineArn"]
    execution = aws("stepfunctions").start_execution(stateMachineArn=machine)["executionArn"]

    def ended() -> Any:
        found = aws("stepfunctions").describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    assert json.loads(eventually(ended)["output"]) == "caught by class"
