"""Reading resource policies and rotation schedules, on which checks rest."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from polyvault.domain.compliance import EvidenceGap
from polyvault.domain.resource_policy import account_of, parse
from polyvault.domain.rotation_interval import longest_interval

from tests.estate import OTHER_ACCOUNT, OWN_ACCOUNT, allow, policy

ROLE = f"arn:aws:iam::{OWN_ACCOUNT}:role/orders"


@pytest.mark.parametrize(
    "condition",
    [
        {"StringEquals": {"aws:PrincipalOrgID": "o-abcdefghij"}},
        {"stringequals": {"AWS:PRINCIPALACCOUNT": OWN_ACCOUNT}},
        {"StringLike": {"aws:userid": "AROAEXAMPLEEXAMPLE:*"}},
        {"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OWN_ACCOUNT}:role/*"}},
        {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-abcdefghij/r-abcd/*"}},
        {"StringEquals": {"aws:SourceVpce": ["vpce-1", "vpce-2"]}},
        {"StringLike": {"aws:PrincipalAccount": OWN_ACCOUNT}},
        {"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}},
    ],
)
def test_a_condition_that_a_stranger_cannot_meet_restricts(condition: dict[str, Any]) -> None:
    (statement,) = parse(policy(allow("*", Condition=condition)))
    assert statement.restricted


@pytest.mark.parametrize(
    "condition",
    [
        {},
        {"StringLike": {"aws:PrincipalOrgID": "*"}},
        {"StringLike": {"aws:PrincipalAccount": "1111*"}},
        {"StringLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/orders"}},
        {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::1111?2223333:role/orders"}},
        {"StringNotEquals": {"aws:PrincipalAccount": OTHER_ACCOUNT}},
        {"StringEqualsIfExists": {"aws:PrincipalOrgID": "o-abcdefghij"}},
        {"ForAllValues:StringEquals": {"aws:PrincipalOrgPaths": "o-abcdefghij/"}},
        {"StringEquals": {"aws:RequestedRegion": "eu-west-1"}},
        {"StringEquals": {"secretsmanager:VersionStage": "AWSCURRENT"}},
        {"StringEquals": {"aws:PrincipalOrgID": ""}},
        {"StringEquals": {"aws:PrincipalOrgID": []}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}},
        {"NewOperator": {"aws:PrincipalOrgID": "o-abcdefghij"}},
    ],
)
def test_a_condition_that_a_stranger_may_meet_does_not(condition: dict[str, Any]) -> None:
    (statement,) = parse(policy(allow("*", Condition=condition)))
    assert not statement.restricted


def test_no_policy_has_no_statements() -> None:
    assert parse(None) == ()


def test_a_single_statement_needs_no_list() -> None:
    (statement,) = parse('{"Statement": {"Effect": "Allow", "Principal": "*", "Action": "*"}}')
    assert statement.anybody
    assert statement.grants_all


@pytest.mark.parametrize("document", ["{", "null", '{"Statement": ["x"]}', "[" * 100_000])
def test_a_text_of_another_form_is_a_gap_and_not_an_empty_policy(document: str) -> None:
    with pytest.raises(EvidenceGap):
        parse(document)


@pytest.mark.parametrize(
    ("principal", "account"),
    [
        (OTHER_ACCOUNT, OTHER_ACCOUNT),
        (ROLE, OWN_ACCOUNT),
        (f"arn:aws:sts::{OTHER_ACCOUNT}:assumed-role/orders/session", OTHER_ACCOUNT),
        (f"arn:aws-us-gov:iam::{OTHER_ACCOUNT}:root", OTHER_ACCOUNT),
        ("AIDAEXAMPLE", None),
        ("*", None),
    ],
)
def test_a_principal_belongs_to_an_account(principal: str, account: str | None) -> None:
    assert account_of(principal) == account


@pytest.mark.parametrize(
    ("schedule", "days"),
    [
        ("rate(1 day)", 1),
        ("rate(1000 days)", 1000),
        ("cron(0 3 1 * ? *)", 31),
        ("cron(0 3 L * ? *)", 31),
        ("cron(0 3 15,30 * ? *)", 29),  # February has no 30th: from its 15th to 15 March of a leap year
        ("cron(0 3 30 * ? *)", 60),  # from 30 January to 30 March of a leap year
        ("cron(0 3 29 2 ? *)", 1461),
        ("cron(0 3 ? * SUN *)", 7),
        ("cron(0 3 ? * 2-6 *)", 3),
        ("cron(0 3 ? * SUN#1 *)", 35),
        ("cron(0 3 ? * 6L *)", 35),
        ("cron(0 3 ? * L *)", 7),
        ("cron(0 3 1 JAN,JUL ? *)", 184),
        ("cron(0 3 1 1/3 ? *)", 92),
        ("cron(0 0/6 * * ? *)", 1),
    ],
)
def test_the_longest_interval_of_a_schedule(schedule: str, days: int) -> None:
    assert longest_interval(schedule) == timedelta(days=days)


def test_a_rate_may_be_in_hours() -> None:
    assert longest_interval("rate(4 hours)") == timedelta(hours=4)


@pytest.mark.parametrize(
    "schedule",
    [
        "",
        "daily",
        "rate(0 days)",
        "rate(-1 days)",
        "rate(5 weeks)",
        "cron(0 3 1 * ?)",
        "cron(0 3 1 * ? 2027)",
        "cron(0 3 32 * ? *)",
        "cron(0 3 31 2 ? *)",
        "cron(0 3 1 13 ? *)",
        "cron(0 3 ? * FUNDAY *)",
        "cron(0 3 ? * SUN#6 *)",
        "cron(0 3 5-1 * ? *)",
        "cron(0 3 1/0 * ? *)",
        "cron(0 3 15W * ? *)",
    ],
)
def test_what_is_not_understood_has_no_interval(schedule: str) -> None:
    assert longest_interval(schedule) is None
