"""Checks on who is let in: C16, C17, C18, C21 and C26, from the secret's own policy and its last access."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from polyvault.domain.checks.check import (
    Check,
    age,
    counted,
    failed,
    is_new,
    is_restricted,
    known,
    not_applicable,
    passed,
)
from polyvault.domain.compliance import Category, EvidenceGap, Gap, Policy, Severity, Verdict
from polyvault.domain.inventory import Subject
from polyvault.domain.resource_policy import NETWORK_KEYS, Statement, parse

_ORGANISATION_KEYS = ("aws:principalorgid", "aws:principalorgpaths", "aws:sourceorgid")
_DENIED_FROM_ELSEWHERE = frozenset(
    {"stringnotequals", "stringnotequalsifexists", "stringnotlike", "stringnotlikeifexists"}
)


def not_public(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C16: no statement lets everybody in without a condition that keeps strangers out."""
    grants = _grants(subject)
    threshold = "0 statements for everybody"
    public = [grant for grant in grants if grant.anybody and not grant.restricted]
    if public:
        return failed(f"{counted(len(public), 'statement')} for everybody", threshold)
    return passed(f"{counted(len(grants), 'grant')}, none for everybody", threshold)


def cross_account(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C17: an account or organisation that is let in is a trusted one, and a condition ties it."""
    grants = _grants(subject)
    trusted = ", ".join(sorted(policy.trusted_parties)) or "none"
    threshold = f"trusted parties: {trusted}; each tied by a condition"
    faults = [fault for grant in grants for fault in _foreign_faults(grant, subject.account, policy)]
    if faults:
        return failed("; ".join(dict.fromkeys(faults)), threshold)
    for grant in grants:
        _check_parties_known(grant)
    return passed("no untrusted account is let in", threshold)


def no_wildcard_grant(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C18: no statement grants every action, or all but some, or to all but some."""
    wide = [grant for grant in _grants(subject) if grant.grants_all or grant.uses_not]
    threshold = "0 statements"
    if wide:
        return failed(f"{counted(len(wide), 'grant')} by wildcard, NotAction or NotPrincipal", threshold)
    return passed("each grant names its actions and principals", threshold)


def dormant(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C21: somebody read it lately, or it is young. The vault keeps the day of the last access, not the hour."""
    seen = subject.configuration.read()
    threshold = f"read within {age(policy.dormant_after)}, or younger than that"
    if is_new(seen, policy, now) or now - known(seen.created_at, "when it was created") < policy.dormant_after:
        return passed("younger than that", threshold)
    oldest_day = (now - policy.dormant_after).astimezone(UTC).date()
    if seen.last_accessed_at is None:
        return failed("never read", threshold)
    observed = f"last read on {seen.last_accessed_at:%Y-%m-%d}"
    recent = seen.last_accessed_at.astimezone(UTC).date() >= oldest_day
    return passed(observed, threshold) if recent else failed(observed, threshold)


def network_restriction(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C26: restricted data is denied to whoever does not come through a named private endpoint or network."""
    if not is_restricted(subject.configuration.read(), policy):
        return not_applicable("asked of restricted data only")
    threshold = "reads denied unless they come through a named endpoint or network"
    statements = parse(subject.policy.read().document)
    if any(_denies_from_elsewhere(statement) for statement in statements):
        return passed("the policy denies reads from elsewhere", threshold)
    return failed("no statement ties reads to an endpoint or network", threshold)


def _grants(subject: Subject) -> list[Statement]:
    return [statement for statement in parse(subject.policy.read().document) if statement.allows]


def _foreign_faults(grant: Statement, own: str, policy: Policy) -> Iterable[str]:
    if grant.anybody and not grant.restricted:
        yield "everybody is let in"
    parties = [*grant.foreign_accounts(own)]
    if grant.anybody:
        parties += [value.split("/", 1)[0] for value in grant.values_of(*_ORGANISATION_KEYS)]
    for party in parties:
        if party not in policy.trusted_parties:
            yield f"{party} is let in and not a trusted party"
        elif not grant.restricted:
            yield f"{party} is let in without a condition that ties it"


def _check_parties_known(grant: Statement) -> None:
    """A grant to everybody whose condition names no account cannot be judged from the policy alone."""
    if not grant.anybody:
        return
    keys = ("aws:principalaccount", "aws:principalarn", "aws:sourceaccount", *_ORGANISATION_KEYS)
    if not any(True for _ in grant.values_of(*keys)):
        raise EvidenceGap(Gap.DATA_MISSING, "the policy does not say which accounts its condition lets in")


def _denies_from_elsewhere(statement: Statement) -> bool:
    covers_reads = any(
        action in ("*", "secretsmanager:*", "secretsmanager:getsecretvalue") for action in statement.actions
    )
    tied = any(
        condition.key in NETWORK_KEYS and condition.operator in _DENIED_FROM_ELSEWHERE
        for condition in statement.conditions
    )
    return not statement.allows and statement.anybody and covers_reads and tied


ACCESS: tuple[Check, ...] = (
    Check(
        "C16",
        "not public",
        Category.ACCESS,
        Severity.CRITICAL,
        "The secret's policy lets everybody in.",
        "Take the statement out now, then rotate: the value counts as read.",
        ("policy",),
        not_public,
        always=True,
    ),
    Check(
        "C17",
        "cross-account access",
        Category.ACCESS,
        Severity.HIGH,
        "An account or organisation outside the trusted ones is let in, or nothing ties it.",
        "Remove the grant; or register the party as trusted and tie it by an organisation or external-id condition.",
        ("policy",),
        cross_account,
    ),
    Check(
        "C18",
        "no wildcard grant",
        Category.ACCESS,
        Severity.HIGH,
        "A statement grants every action, or everything but a list.",
        "Name the actions and principals that the audit log shows in use, and no others.",
        ("policy",),
        no_wildcard_grant,
    ),
    Check(
        "C21",
        "dormant secret",
        Category.ACCESS,
        Severity.MEDIUM,
        "Nobody has read the secret for a long time.",
        "Ask its owner, then delete it with a recovery window.",
        ("configuration",),
        dormant,
    ),
    Check(
        "C26",
        "network restriction",
        Category.ACCESS,
        Severity.MEDIUM,
        "Restricted data can be read from any network.",
        "Deny reads that do not come through your private endpoint; try it from a consumer first.",
        ("configuration", "policy"),
        network_restriction,
    ),
)
