"""An answer of AWS that was cut on the way is an error, whatever botocore makes of it."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ConnectTimeoutError, NoCredentialsError
from polyvault.adapters import aws_client
from polyvault.contracts.answers import IncompleteAnswer
from polyvault.errors import PolyvaultError

QUERY = json.dumps({"Count": 0, "Items": [], "ScannedCount": 0}).encode()


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    aws_client.session.cache_clear()  # it keeps the credentials that it found first
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    return aws_client.client("dynamodb", region_name="us-east-1")


def answers(client: Any, body: bytes, headers: dict[str, str], status: int = 200) -> list[int]:
    """Make the client meet this answer instead of the network; the list counts attempts."""
    attempts: list[int] = []

    def send(request: Any, **_: Any) -> AWSResponse:
        attempts.append(1)

        def stream() -> Iterator[bytes]:
            yield body

        return AWSResponse(request.url, status, headers, SimpleNamespace(stream=stream))

    client.meta.events.unregister("before-send.dynamodb", unique_id="answer")
    client.meta.events.register("before-send.dynamodb", send, unique_id="answer")
    return attempts


def query(client: Any) -> Any:
    return client.query(TableName="audit", KeyConditionExpression="pk = :p")


@pytest.mark.parametrize("headers", [{"Content-Length": str(len(QUERY))}, {}])
def test_a_query_cut_at_any_byte_is_an_error_after_one_attempt(client: Any, headers: dict[str, str]) -> None:
    for length in range(len(QUERY)):
        attempts = answers(client, QUERY[:length], headers)
        with pytest.raises(IncompleteAnswer):
            query(client)
        assert len(attempts) == 1


@pytest.mark.parametrize("body", [b"{}", b"[]", b"null", b'{"Items": []}', b'{"Count": 0}', b"<html></html>"])
def test_a_query_answered_with_something_else_is_an_error(client: Any, body: bytes) -> None:
    answers(client, body, {"Content-Length": str(len(body))})
    with pytest.raises((IncompleteAnswer, *aws_client.FAILURES)):
        query(client)


@pytest.mark.parametrize("body", [b"", b"{"])
def test_a_put_that_was_cut_is_an_error_though_its_honest_answer_is_empty(client: Any, body: bytes) -> None:
    answers(client, body, {})
    with pytest.raises(IncompleteAnswer):
        client.put_item(TableName="audit", Item={"pk": {"S": "p"}})


def test_a_changed_byte_shows_in_the_checksum(client: Any) -> None:
    answers(client, QUERY, {"x-amz-crc32": "1"})
    with pytest.raises(aws_client.FAILURES) as failed:
        query(client)
    assert aws_client.is_transient(failed.value)


def test_whole_answers_pass(client: Any) -> None:
    answers(client, QUERY, {"Content-Length": str(len(QUERY))})
    assert query(client)["Items"] == []


def test_a_server_error_is_met_once_and_may_be_tried_again(client: Any) -> None:
    attempts = answers(client, b'{"__type":"InternalServerError"}', {}, status=500)
    with pytest.raises(aws_client.FAILURES) as failed:
        query(client)
    assert len(attempts) == 1
    assert aws_client.is_transient(failed.value)


def test_what_may_be_tried_again() -> None:
    assert aws_client.is_transient(ConnectTimeoutError(endpoint_url="https://dynamodb"))
    assert aws_client.is_transient(IncompleteAnswer("Query"))
    assert not aws_client.is_transient(NoCredentialsError())
    assert not aws_client.is_transient(PolyvaultError())


def test_the_sdk_prints_no_request_and_no_answer_at_any_level(client: Any, caplog: pytest.LogCaptureFixture) -> None:
    answers(client, b'{"Items": [{"pk": {"S": "c4n4ry"}}], "Count": 1}', {})
    with caplog.at_level(logging.DEBUG):
        client.query(TableName="audit", KeyConditionExpression="pk = c4n4ry")
    assert not [record for record in caplog.records if record.name.startswith(("botocore", "urllib3"))]
