"""CloudTrail's records become audit events: by allow-list, as data, and never with a value."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polyvault.contracts.cloudtrail import parse
from polyvault.domain.audit import Actor, ActorType, AuditEvent, EventType, Outcome
from polyvault.errors import InvalidInputError

ARN = "arn:aws:secretsmanager:us-east-1:111122223333:secret:prod/orders-AbCdEf"
ROLE = "arn:aws:iam::111122223333:role/path/orders"


def record(**fields: Any) -> dict[str, Any]:
    found = {
        "eventID": "3c1d2e4f-0000-4000-8000-000000000001",
        "eventTime": "2026-01-05T12:00:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": "GetSecretValue",
        "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/dora", "userName": "dora"},
        "requestParameters": {"secretId": "prod/orders"},
        **fields,
    }
    return {name: field for name, field in found.items() if field is not ...}


def event(detail_type: str = "AWS API Call via CloudTrail", **fields: Any) -> AuditEvent:
    return parse(json.dumps({"version": "0", "detail-type": detail_type, "detail": record(**fields)}))


def test_a_read_is_who_what_when_and_from_where() -> None:
    assert event(sourceIPAddress="192.0.2.1", userAgent="aws-cli", requestID="r1", awsRegion="us-east-1") == AuditEvent(
        event_id="3c1d2e4f-0000-4000-8000-000000000001",
        occurred_at=datetime(2026, 1, 5, 12, tzinfo=UTC),
        event_type=EventType.SECRET_READ,
        outcome=Outcome.SUCCESS,
        actor=Actor("arn:aws:iam::111122223333:user/dora", ActorType.USER, "dora"),
        source="aws-secrets-manager",
        secret="prod/orders",
        ip_address="192.0.2.1",
        user_agent="aws-cli",
        detail={"eventName": "GetSecretValue", "region": "us-east-1", "requestId": "r1"},
    )


@pytest.mark.parametrize("typed", ["prod/orders", ARN, ARN.removesuffix("-AbCdEf")])
def test_name_arn_and_partial_arn_are_one_secret(typed: str) -> None:
    found = event(requestParameters={"secretId": typed})
    assert found.secret == "prod/orders"
    assert found.detail.get("secretArn") == (typed if typed.startswith("arn:") else None)


@pytest.mark.parametrize(
    "fields",
    [
        {"responseElements": {"arn": ARN}},
        {"responseElements": {"aRN": ARN}},
        {"resources": [{"ARN": "arn:aws:kms:us-east-1:1:key/k"}, {"ARN": ARN, "type": "AWS::SecretsManager::Secret"}]},
        {"requestParameters": None, "additionalEventData": {"SecretId": ARN}},
        {"requestParameters": None, "serviceEventDetails": {"secretId": ARN}},
    ],
)
def test_a_whole_arn_goes_before_what_the_caller_typed(fields: dict[str, Any]) -> None:
    found = event(**{"requestParameters": {"secretId": "arn:aws:secretsmanager:us-east-1:1:secret:prod"}, **fields})
    assert (found.secret, found.detail["secretArn"]) == ("prod/orders", ARN)


def test_a_secret_that_was_not_created_has_the_name_that_was_asked_for() -> None:
    found = event(eventName="CreateSecret", requestParameters={"name": "prod/new"}, errorCode="AccessDenied")
    assert (found.secret, found.event_type) == ("prod/new", EventType.SECRET_CREATED)


@pytest.mark.parametrize(
    ("identity", "actor"),
    [
        (
            {
                "type": "AssumedRole",
                "arn": "arn:aws:sts::111122223333:assumed-role/orders/i-1",
                "sessionContext": {"sessionIssuer": {"arn": ROLE}},
            },
            Actor(ROLE, ActorType.ROLE, "i-1"),
        ),
        (
            {"type": "AssumedRole", "arn": "arn:aws:sts::111122223333:assumed-role/orders/i-1"},
            Actor("arn:aws:sts::111122223333:assumed-role/orders/i-1", ActorType.ROLE, "i-1"),
        ),
        (
            {"type": "Root", "arn": "arn:aws:iam::111122223333:root"},
            Actor("arn:aws:iam::111122223333:root", ActorType.USER, "root"),
        ),
        (
            {"type": "AWSService", "invokedBy": "rds.amazonaws.com"},
            Actor("rds.amazonaws.com", ActorType.SERVICE),
        ),
        (
            {"accountId": "111122223333", "invokedBy": "secretsmanager.amazonaws.com"},
            Actor("secretsmanager.amazonaws.com", ActorType.SERVICE),
        ),
        (
            {"type": "AWSAccount", "accountId": "444455556666", "principalId": "AIDAX"},
            Actor("AIDAX", ActorType.UNKNOWN),
        ),
        (None, Actor("unknown", ActorType.UNKNOWN)),
        ({}, Actor("unknown", ActorType.UNKNOWN)),
    ],
)
def test_who_acted(identity: Any, actor: Actor) -> None:
    assert event(userIdentity=identity).actor == actor


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        (None, Outcome.SUCCESS),
        ("AccessDenied", Outcome.DENIED),
        ("AccessDeniedException", Outcome.DENIED),
        ("ResourceNotFoundException", Outcome.ERROR),
        ("ThrottlingException", Outcome.ERROR),
    ],
)
def test_a_denial_is_not_an_error(code: str | None, outcome: Outcome) -> None:
    found = event(errorCode=code, errorMessage="User is not authorized")
    assert (found.outcome, found.error_code) == (outcome, code)
    assert "authorized" not in repr(found)


@pytest.mark.parametrize(
    ("name", "event_type", "outcome"),
    [
        ("RotationStarted", EventType.OTHER, Outcome.SUCCESS),
        ("RotationSucceeded", EventType.ROTATION_SUCCEEDED, Outcome.SUCCESS),
        ("RotationFailed", EventType.ROTATION_FAILED, Outcome.ERROR),
        ("RotationAbandoned", EventType.ROTATION_FAILED, Outcome.ERROR),
        ("ReplicationFailed", EventType.OTHER, Outcome.ERROR),
        ("StartSecretVersionDelete", EventType.OTHER, Outcome.SUCCESS),
    ],
)
def test_events_of_the_service_itself(name: str, event_type: EventType, outcome: Outcome) -> None:
    found = event(
        "AWS Service Event via CloudTrail",
        eventName=name,
        userIdentity={"accountId": "111122223333", "invokedBy": "secretsmanager.amazonaws.com"},
        requestParameters=None,
        additionalEventData={"SecretId": ARN},
    )
    assert (found.event_type, found.outcome, found.secret) == (event_type, outcome, "prod/orders")
    assert found.detail["eventName"] == name


def test_values_and_unknown_fields_are_dropped() -> None:
    canary = "c4n4ry"
    found = event(
        requestParameters={
            "secretId": "prod/orders",
            "secretString": canary,
            "secretBinary": canary,
            "description": canary,
        },
        responseElements={"arn": ARN, "secretString": canary},
        additionalEventData={"SecretId": ARN, "Value": canary},
        newField={"of": ["a later", "version", canary]},
    )
    assert canary not in repr(found)


def test_hostile_text_is_one_printable_line() -> None:
    evil = "a\x00\r\n\x1b[2J\u2028\u202e\ud800"
    found = event(
        userAgent=evil,
        sourceIPAddress=evil,
        requestParameters={"secretId": evil, "versionId": evil},
        userIdentity={"type": "IAMUser", "arn": evil, "userName": evil},
        errorCode=evil,
        awsRegion=evil,
    )
    texts = [found.secret, found.user_agent, found.ip_address, found.actor.id, found.actor.name, found.error_code]
    for text in [*texts, *found.detail.values()]:
        assert text is not None
        assert text.isprintable()
        text.encode()
    assert found.secret == r"a\x00\r\n\x1b[2J\u2028\u202e\ud800"


def test_long_text_is_cut() -> None:
    found = event(userAgent="x" * 60_000, requestParameters={"secretId": "y" * 60_000})
    assert found.user_agent is not None
    assert found.secret is not None
    assert len(found.user_agent) == 512
    assert len(found.secret) == 2048


def test_an_odd_id_is_replaced_by_its_digest() -> None:
    one, other = event(eventID="a\n" * 500), event(eventID="b\n" * 500)
    assert one.event_id.startswith("sha256:")
    assert one.event_id != other.event_id


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"eventID": ...}, "$.detail.eventID"),
        ({"eventID": ""}, "$.detail.eventID"),
        ({"eventTime": ...}, "$.detail.eventTime"),
        ({"eventTime": "yesterday"}, "$.detail.eventTime"),
        ({"eventTime": "0001-01-01T00:00:00Z"}, "$.detail.eventTime"),
        ({"eventTime": 1767614400}, "$.detail.eventTime"),
        ({"eventName": ...}, "$.detail.eventName"),
        ({"eventName": "x" * 300}, "$.detail.eventName"),
        ({"eventSource": "s3.amazonaws.com"}, "$.detail.eventSource"),
        ({"requestParameters": {"secretId": 7}}, "$.detail.requestParameters.secretId"),
        ({"requestParameters": "c4n4ry"}, "$.detail.requestParameters"),
        ({"userAgent": "x" * 70_000}, "$.detail.userAgent"),
    ],
)
def test_what_is_no_record_is_refused_by_the_name_of_its_field(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidInputError) as refused:
        event(**fields)
    assert refused.value.path == path
    assert "c4n4ry" not in str(refused.value)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "not JSON",
        "[]",
        "null",
        "{}",
        '{"detail-type": "Object Created", "detail": {}}',
        '{"detail": NaN}',
        "[" * 100_000,
        '{"a":' * 40 + "1" + "}" * 40,
        json.dumps({"detail": "x" * 300_000}),
    ],
)
def test_other_input_is_refused(body: str) -> None:
    with pytest.raises(InvalidInputError):
        parse(body)


def test_an_event_that_is_not_of_cloudtrail_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="detail-type"):
        event("Object Created")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-10, 10) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None)
@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["eventID", "eventTime", "eventName", "userIdentity", "requestParameters", "responseElements", "resources"]
        ),
        json_values,
    )
)
def test_any_fields_make_an_event_or_a_refusal(fields: dict[str, Any]) -> None:
    try:
        found = event(**fields)
    except InvalidInputError:
        return
    assert found.event_id
    assert found.actor.id
