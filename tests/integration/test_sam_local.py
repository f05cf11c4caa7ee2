"""The functions as `sam local` runs them: in a container, with their layers and nothing else of this machine.

Each file of events/ is replayed. AWS is the local cloud and the resources are those of the deployed stack, so that a
function goes as far as it goes in Lambda: it answers, or raises an error of ours; never an import error.
"""

from __future__ import annotations

import json
import os
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from polyvault import errors

from local import interpreter
from local.demo.scenario import Site
from local.sam_local import engine, image
from tests.integration import sam_local
from tests.integration.sam_local import Bench

EVENTS = Path(__file__).resolve().parents[2] / "events"
CASES = sorted(EVENTS.glob("*/*.json"))
OURS = {
    name for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, errors.PolyvaultError)
}


@pytest.fixture(scope="module")
def container_engine() -> Iterator[None]:
    """An engine that answers and the image; a skip that says why only where none can run."""
    in_ci = os.environ.get("CI") == "true"  # noqa: TID251 - where a skip would hide that nothing was tried
    try:
        if in_ci:
            engine.install()
        ours = engine.ensure()
    except engine.NoEngineError as reason:
        if in_ci:
            raise
        pytest.skip(f"sam local: {reason}")
    try:
        image.build(interpreter.find(os.environ))  # noqa: TID251 - where to look for it
        yield
    finally:
        if ours:
            engine.stop()


@pytest.fixture(scope="module")
def bench(container_engine: None, site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("sam-local")
    with sam_local.reachable_from_containers(site.cloud.aws.port) as address:
        yield sam_local.prepare(site, folder, f"http://{address}")


@pytest.fixture(scope="module")
def functions(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A boto3 client of `sam local start-lambda`; containers stay warm from call to call."""
    log = tmp_path_factory.mktemp("start-lambda") / "sam.log"
    with bench.serve("start-lambda", log, "--warm-containers", "LAZY") as url:
        # A container that starts beside six others takes its time, and a retry would run the event twice.
        config = Config(read_timeout=180, retries={"total_max_attempts": 1}, signature_version=UNSIGNED)
        yield boto3.client("lambda", endpoint_url=url, region_name="us-east-1", config=config)


def is_ours(answer: Any) -> bool:
    """True for a result, and for an error that is one of ours."""
    return not (isinstance(answer, dict) and "errorType" in answer) or answer["errorType"] in OURS


@pytest.mark.parametrize("case", CASES, ids=[f"{case.parent.name}/{case.stem}" for case in CASES])
def test_each_event_is_answered_or_refused_by_an_error_of_ours(functions: Any, case: Path) -> None:
    name = sam_local.function_of(case.parent.name)
    answer = json.loads(functions.invoke(FunctionName=name, Payload=case.read_bytes())["Payload"].read() or "null")
    assert is_ours(answer), answer


def test_a_bad_step_is_refused_in_the_container_as_in_the_deployed_function(functions: Any, site: Site) -> None:
    payload = (EVENTS / "rotation" / "unknown-step.json").read_bytes()
    local = json.loads(functions.invoke(FunctionName="RotationFunction", Payload=payload)["Payload"].read())
    deployed = site.aws("lambda").invoke(FunctionName=site.bundle.outputs["RotationFunctionArn"], Payload=payload)
    said = json.loads(deployed["Payload"].read())
    assert local["errorType"] == said["errorType"] == "InvalidInputError"
    assert local["errorMessage"] == said["errorMessage"]


def test_a_function_in_the_container_writes_to_the_deployed_table(functions: Any, site: Site) -> None:
    payload = (EVENTS / "audit" / "written.json").read_bytes()
    answer = json.loads(functions.invoke(FunctionName="AuditFunction", Payload=payload)["Payload"].read())
    assert answer == {"batchItemFailures": []}
    event_id = json.loads(json.loads(payload)["Records"][0]["body"])["detail"]["eventID"]
    pages = site.aws("dynamodb").get_paginator("scan").paginate(TableName=site.bundle.outputs["AuditTableName"])
    assert any(event_id in json.dumps(item) for page in pages for item in page["Items"])


def test_invoke_runs_a_single_event(bench: Bench) -> None:
    answer = bench.invoke("RotationFunction", EVENTS / "rotation" / "empty.json")
    assert answer["errorType"] == "InvalidInputError"


def test_start_api_answers_with_the_health_of_aws(bench: Bench, tmp_path: Path) -> None:
    with (
        bench.serve("start-api", tmp_path / "sam.log") as url,
        urllib.request.urlopen(f"{url}/health", timeout=180) as answer,
    ):
        stores = {store["store"]: store for store in json.loads(answer.read())["stores"]}
    assert stores["aws"]["healthy"] is True


def test_the_health_event_is_answered_from_the_container_with_the_health_of_aws(functions: Any) -> None:
    payload = (EVENTS / "api" / "health.json").read_bytes()
    answer = json.loads(functions.invoke(FunctionName="ApiFunction", Payload=payload)["Payload"].read())
    stores = {store["store"]: store for store in json.loads(answer["body"])["stores"]}
    assert stores["aws"]["healthy"] is True
