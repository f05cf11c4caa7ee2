"""The quota of writes and the delayed sight of new versions, on a launcher that is asked for both."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import runtime_dir
from local.aws.settings import PROJECT
from tests.local.conftest import client, eventually, launch, stop

pytestmark = pytest.mark.cloud

WRITES_PER_SECOND = 5
VISIBLE_AFTER = 1.0


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    runtime_dir.build(PROJECT / "build" / "lambda-runtime")
    process, url = launch(
        tmp_path_factory.mktemp("hurried"),
        POLYVAULT_LOCAL_SECRET_WRITES_PER_SECOND=str(WRITES_PER_SECOND),
        POLYVAULT_LOCAL_SECRET_VISIBLE_AFTER_SECONDS=str(VISIBLE_AFTER),
    )
    yield client(url, "secretsmanager")
    stop(process)


@pytest.fixture
def name(hurried: Any) -> str:
    """A secret with a value that everybody sees, in a second without writes."""
    made = f"timing/{uuid.uuid4()}"
    hurried.create_secret(Name=made, SecretString="one")
    time.sleep(VISIBLE_AFTER + 0.1)
    return made


def code(call: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call()
    return str(caught.value.response["Error"]["Code"])


def test_writes_above_the_quota_of_a_second_are_throttled(hurried: Any, name: str) -> None:
    def write() -> str:
        try:
            hurried.update_secret(SecretId=name, Description="again")
        except ClientError as error:
            return str(error.response["Error"]["Code"])
        return "written"

    answers = [write() for _ in range(WRITES_PER_SECOND + 3)]
    assert answers == ["written"] * WRITES_PER_SECOND + ["ThrottlingException"] * 3
    # Reads have a quota of their own.
    assert hurried.describe_secret(SecretId=name)["Description"] == "again"
    time.sleep(1.1)
    assert write() == "written"


def test_a_pending_version_is_seen_a_little_later(hurried: Any, name: str) -> None:
    token = str(uuid.uuid4())
    hurried.put_secret_value(SecretId=name, SecretString="two", ClientRequestToken=token, VersionStages=["AWSPENDING"])
    asked = {"SecretId": name, "VersionId": token, "VersionStage": "AWSPENDING"}
    assert code(lambda: hurried.get_secret_value(**asked)) == "ResourceNotFoundException"
    assert code(lambda: hurried.get_secret_value(SecretId=name, VersionStage="AWSPENDING")) == (
        "ResourceNotFoundException"
    )
    time.sleep(VISIBLE_AFTER + 0.1)
    assert hurried.get_secret_value(**asked)["SecretString"] == "two"


def test_until_a_new_current_version_is_seen_readers_get_the_one_before(hurried: Any, name: str) -> None:
    hurried.put_secret_value(SecretId=name, SecretString="two")
    behind = hurried.get_secret_value(SecretId=name)
    assert (behind["SecretString"], behind["VersionStages"]) == ("one", ["AWSCURRENT"])
    assert eventually(lambda: hurried.get_secret_value(SecretId=name)["SecretString"] == "two", VISIBLE_AFTER + 1)
