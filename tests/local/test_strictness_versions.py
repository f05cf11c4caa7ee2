"""Versions and staging labels after calls that AWS accepts: what is where, what is kept, what is shown."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.aws import strict_labels
from tests.local.test_strictness import client

pytestmark = pytest.mark.cloud


@pytest.fixture(scope="session")
def secrets_manager(aws_endpoint: str) -> Any:
    return client(aws_endpoint)


@pytest.fixture
def name(secrets_manager: Any) -> Iterator[str]:
    made = f"versions/{uuid.uuid4()}"
    yield made
    if secrets_manager.list_secrets(Filters=[{"Key": "name", "Values": [made]}])["SecretList"]:
        secrets_manager.delete_secret(SecretId=made, ForceDeleteWithoutRecovery=True)


def token() -> str:
    return str(uuid.uuid4())


def labels_of(secrets_manager: Any, name: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = secrets_manager.describe_secret(SecretId=name).get("VersionIdsToStages", {})
    return found


def values(secrets_manager: Any, name: str, *texts: str) -> list[str]:
    """Put these one after the other as the current value; the version ids."""
    secrets_manager.create_secret(Name=name)
    return [
        secrets_manager.put_secret_value(SecretId=name, SecretString=text, ClientRequestToken=token())["VersionId"]
        for text in texts
    ]


def test_create_takes_the_token_as_version_id_and_may_be_repeated(secrets_manager: Any, name: str) -> None:
    first = token()
    answers = [secrets_manager.create_secret(Name=name, SecretString="one", ClientRequestToken=first) for _ in range(2)]
    assert [answer["VersionId"] for answer in answers] == [first, first]
    assert answers[0]["ARN"] == answers[1]["ARN"]
    assert labels_of(secrets_manager, name) == {first: ["AWSCURRENT"]}


def test_create_without_a_value_makes_no_version(secrets_manager: Any, name: str) -> None:
    assert "VersionId" not in secrets_manager.create_secret(Name=name, ClientRequestToken=token())
    described = secrets_manager.describe_secret(SecretId=name)
    assert "VersionIdsToStages" not in described
    with pytest.raises(ClientError) as caught:
        secrets_manager.get_secret_value(SecretId=name)
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_the_first_value_is_current_whatever_label_is_asked(secrets_manager: Any, name: str) -> None:
    secrets_manager.create_secret(Name=name)
    put = secrets_manager.put_secret_value(SecretId=name, SecretString="one", VersionStages=["AWSPENDING"])
    assert put["VersionStages"] == ["AWSCURRENT", "AWSPENDING"]


def test_the_same_put_again_does_nothing(secrets_manager: Any, name: str) -> None:
    values(secrets_manager, name, "one")
    pending = token()
    request = {"SecretId": name, "SecretString": "two", "ClientRequestToken": pending, "VersionStages": ["AWSPENDING"]}
    first = secrets_manager.put_secret_value(**request)
    before = labels_of(secrets_manager, name)
    again = secrets_manager.put_secret_value(**{**request, "VersionStages": ["AWSCURRENT"]})
    assert (again["VersionId"], again["VersionStages"]) == (first["VersionId"], first["VersionStages"])
    assert labels_of(secrets_manager, name) == before


def test_update_takes_the_token_as_version_id_and_moves_the_labels(secrets_manager: Any, name: str) -> None:
    [first] = values(secrets_manager, name, "one")
    second = token()
    updated = secrets_manager.update_secret(SecretId=name, SecretString="two", ClientRequestToken=second)
    assert updated["VersionId"] == second
    assert labels_of(secrets_manager, name) == {first: ["AWSPREVIOUS"], second: ["AWSCURRENT"]}


def test_a_label_is_on_one_version_only(secrets_manager: Any, name: str) -> None:
    [current] = values(secrets_manager, name, "one")
    first, second = token(), token()
    for version_id, text in ((first, "two"), (second, "three")):
        secrets_manager.put_secret_value(
            SecretId=name, SecretString=text, ClientRequestToken=version_id, VersionStages=["AWSPENDING", "mine"]
        )
    assert labels_of(secrets_manager, name) == {current: ["AWSCURRENT"], second: ["AWSPENDING", "mine"]}
    held = secrets_manager.get_secret_value(SecretId=name, VersionStage="mine")
    assert held["SecretString"] == "three"


def test_a_pending_version_becomes_current_and_keeps_its_other_label(secrets_manager: Any, name: str) -> None:
    [current] = values(secrets_manager, name, "one")
    pending = token()
    secrets_manager.put_secret_value(
        SecretId=name, SecretString="two", ClientRequestToken=pending, VersionStages=["AWSPENDING"]
    )
    secrets_manager.update_secret_version_stage(
        SecretId=name, VersionStage="AWSCURRENT", MoveToVersionId=pending, RemoveFromVersionId=current
    )
    assert labels_of(secrets_manager, name) == {current: ["AWSPREVIOUS"], pending: ["AWSCURRENT", "AWSPENDING"]}


def test_a_new_current_value_takes_awspending_away(secrets_manager: Any, name: str) -> None:
    [current] = values(secrets_manager, name, "one")
    pending, newest = token(), token()
    secrets_manager.put_secret_value(
        SecretId=name, SecretString="two", ClientRequestToken=pending, VersionStages=["AWSPENDING"]
    )
    secrets_manager.put_secret_value(SecretId=name, SecretString="three", ClientRequestToken=newest)
    assert labels_of(secrets_manager, name) == {current: ["AWSPREVIOUS"], newest: ["AWSCURRENT"]}


def test_a_label_of_ones_own_is_added_beside_the_others(secrets_manager: Any, name: str) -> None:
    first, second = values(secrets_manager, name, "one", "two")
    secrets_manager.update_secret_version_stage(SecretId=name, VersionStage="rollback", MoveToVersionId=first)
    assert labels_of(secrets_manager, name) == {first: ["AWSPREVIOUS", "rollback"], second: ["AWSCURRENT"]}


def test_the_last_label_can_be_taken_from_a_version_that_then_stays(secrets_manager: Any, name: str) -> None:
    first, second = values(secrets_manager, name, "one", "two")
    secrets_manager.update_secret_version_stage(SecretId=name, VersionStage="AWSPREVIOUS", RemoveFromVersionId=first)
    assert labels_of(secrets_manager, name) == {second: ["AWSCURRENT"]}
    assert secrets_manager.get_secret_value(SecretId=name, VersionId=first)["SecretString"] == "one"


def test_a_version_without_labels_is_kept_readable_and_hidden(secrets_manager: Any, name: str) -> None:
    first, second, third = values(secrets_manager, name, "one", "two", "three")
    assert labels_of(secrets_manager, name) == {second: ["AWSPREVIOUS"], third: ["AWSCURRENT"]}
    listed = secrets_manager.list_secret_version_ids(SecretId=name)["Versions"]
    assert {version["VersionId"] for version in listed} == {second, third}
    everything = secrets_manager.list_secret_version_ids(SecretId=name, IncludeDeprecated=True)["Versions"]
    deprecated = next(version for version in everything if version["VersionId"] == first)
    assert "VersionStages" not in deprecated
    assert secrets_manager.get_secret_value(SecretId=name, VersionId=first)["SecretString"] == "one"


def test_a_day_of_writes_keeps_every_version(secrets_manager: Any, name: str) -> None:
    values(secrets_manager, name, *(f"value {number}" for number in range(110)))
    asked = {"SecretId": name, "IncludeDeprecated": True}
    first = secrets_manager.list_secret_version_ids(**asked)
    rest = secrets_manager.list_secret_version_ids(**asked, NextToken=first["NextToken"])
    assert [len(page["Versions"]) for page in (first, rest)] == [100, 10]


def test_only_old_deprecated_versions_above_a_hundred_are_pruned() -> None:
    now = time.time()
    versions: strict_labels.Versions = {
        f"v{age:03}": {"CreatedDate": now - age * 3600, "Stages": []} for age in range(1, 131)
    }
    versions["v130"]["Stages"] = ["AWSPREVIOUS"]
    versions["v001"]["Stages"] = ["AWSCURRENT"]
    gone = strict_labels.prune(versions, now)
    # 130 versions: 30 too many; the oldest one holds a label.
    assert gone == [f"v{age:03}" for age in range(129, 99, -1)]
    assert len(versions) == 100
    assert strict_labels.prune(versions, now) == []
    young: strict_labels.Versions = {f"y{n}": {"CreatedDate": now - 60, "Stages": []} for n in range(150)}
    assert strict_labels.prune(young, now) == []


def test_a_description_of_a_bare_secret_has_no_empty_fields(secrets_manager: Any, name: str) -> None:
    secrets_manager.create_secret(Name=name, SecretString="one")
    described = secrets_manager.describe_secret(SecretId=name)
    assert not {"Description", "Tags", "RotationEnabled", "KmsKeyId", "DeletedDate"} & described.keys()


def test_a_filter_answers_twenty_secrets_a_page(secrets_manager: Any) -> None:
    prefix = f"page-{uuid.uuid4()}"
    for number in range(23):
        secrets_manager.create_secret(Name=f"{prefix}/{number:02}", SecretString=str(number))
    asked = {"Filters": [{"Key": "name", "Values": [prefix]}]}
    first = secrets_manager.batch_get_secret_value(**asked)
    rest = secrets_manager.batch_get_secret_value(**asked, NextToken=first["NextToken"])
    read = [value["SecretString"] for page in (first, rest) for value in page["SecretValues"]]
    assert (len(first["SecretValues"]), len(rest["SecretValues"])) == (20, 3)
    assert sorted(read, key=int) == [str(number) for number in range(23)]
    assert "NextToken" not in rest
    for number in range(23):
        secrets_manager.delete_secret(SecretId=f"{prefix}/{number:02}", ForceDeleteWithoutRecovery=True)


def test_binary_comes_back_as_it_went(secrets_manager: Any, name: str) -> None:
    largest = bytes(range(256)) * 256
    secrets_manager.create_secret(Name=name, SecretBinary=largest)
    assert secrets_manager.get_secret_value(SecretId=name)["SecretBinary"] == largest


def test_the_largest_text_fits(secrets_manager: Any, name: str) -> None:
    secrets_manager.create_secret(Name=name, SecretString="é" * 32_768)
    assert len(secrets_manager.get_secret_value(SecretId=name)["SecretString"]) == 32_768


def test_twenty_labels_fit(secrets_manager: Any, name: str) -> None:
    values(secrets_manager, name, "one")
    mine = [f"L{number}" for number in range(19)]
    put = secrets_manager.put_secret_value(SecretId=name, SecretString="two", VersionStages=mine)
    assert sorted(put["VersionStages"]) == sorted(mine)
    assert len([label for held in labels_of(secrets_manager, name).values() for label in held]) == 20
