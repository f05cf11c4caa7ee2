"""Reading an IAM resource policy: who is let in, on which condition, to do what.

What cannot be understood is never read as harmless: an unknown operator restricts nothing, and a document of another
form raises EvidenceGap.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from polyvault.domain.compliance import EvidenceGap, Gap

# Keys whose value the caller cannot choose, so that a condition on them keeps strangers out.
_IDENTITY_KEYS = frozenset(
    {
        "aws:principalaccount",
        "aws:principalarn",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "aws:sourceaccount",
        "aws:sourcearn",
        "aws:sourceorgid",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
    }
)
NETWORK_KEYS = frozenset({"aws:sourcevpce", "aws:sourcevpc"})
_POSITIVE = frozenset(
    {"stringequals", "stringequalsignorecase", "stringlike", "arnequals", "arnlike", "foranyvalue:stringlike"}
)
_ACCOUNT = re.compile(r"\d{12}")
_ARN_ACCOUNT = re.compile(r"arn:[^:]+:(?:iam|sts)::(\d{12}):.+", re.DOTALL)
_OPEN_NETWORKS = frozenset({"0.0.0.0/0", "::/0", "*"})
_COLONS_BEFORE_RESOURCE = 5
_SHORTEST_OWNER_ID = 12
_DIFFERENT_RIGHTS = ("secretsmanager:getsecretvalue", "secretsmanager:deletesecret", "secretsmanager:putresourcepolicy")


@dataclass(frozen=True, slots=True)
class Condition:
    """One line of a Condition block, operator and key in lower case."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def restricts(self) -> bool:
        """True when a stranger cannot meet it."""
        if self.operator == "ipaddress" and self.key == "aws:sourceip":
            return bool(self.values) and not _OPEN_NETWORKS & set(self.values)
        if self.operator not in _POSITIVE or self.key not in _IDENTITY_KEYS:
            return False
        literal = self.operator in ("stringequals", "stringequalsignorecase")
        return bool(self.values) and all(value and (literal or _pins(self.key, value)) for value in self.values)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement; ``principals`` are AWS principals, "*" for anybody."""

    allows: bool
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    conditions: tuple[Condition, ...]
    uses_not: tuple[str, ...] = field(default=())

    @property
    def anybody(self) -> bool:
        """True when the principal alone keeps nobody out."""
        return "*" in self.principals or "NotPrincipal" in self.uses_not

    @property
    def restricted(self) -> bool:
        """True when a condition keeps strangers out."""
        return any(condition.restricts for condition in self.conditions)

    @property
    def grants_all(self) -> bool:
        """True when one action pattern, or NotAction, covers rights that have nothing in common."""
        wide = any(all(fnmatchcase(right, action) for right in _DIFFERENT_RIGHTS) for action in self.actions)
        return wide or "NotAction" in self.uses_not

    def foreign_accounts(self, own: str) -> Iterator[str]:
        """Accounts other than our own that the statement names, as principal or, for anybody, by condition."""
        named = [account for principal in self.principals if (account := account_of(principal))]
        if self.anybody:
            keys = ("aws:principalaccount", "aws:sourceaccount", "aws:principalarn")
            named += [account for value in self.values_of(*keys) if (account := account_of(value))]
        yield from (account for account in named if account != own)

    def values_of(self, *keys: str) -> Iterator[str]:
        """What its restricting conditions on these keys ask for."""
        for condition in self.conditions:
            if condition.restricts and condition.key in keys:
                yield from condition.values


def parse(document: str | None) -> tuple[Statement, ...]:
    """The statements of a policy, none without one; raises EvidenceGap for text that is no policy."""
    if document is None:
        return ()
    try:
        policy = json.loads(document)
        statements = policy["Statement"]
        found = [statements] if isinstance(statements, dict) else list(statements)
        return tuple(_statement(statement) for statement in found)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise EvidenceGap(Gap.DATA_MISSING, "the policy is not of the form that IAM documents") from None


def account_of(principal: str) -> str | None:
    """The account that a principal belongs to, None for "*" and what names no account."""
    if _ACCOUNT.fullmatch(principal):
        return principal
    found = _ARN_ACCOUNT.fullmatch(principal)
    return found[1] if found else None


def _statement(raw: Mapping[str, Any]) -> Statement:
    if raw["Effect"] not in ("Allow", "Deny"):
        raise ValueError("Effect")
    return Statement(
        allows=raw["Effect"] == "Allow",
        principals=_principals(raw.get("Principal", {})),
        actions=tuple(action.lower() for action in _texts(raw.get("Action", []))),
        conditions=tuple(_conditions(raw.get("Condition", {}))),
        uses_not=tuple(name for name in ("NotPrincipal", "NotAction") if name in raw),
    )


def _principals(raw: Any) -> tuple[str, ...]:
    return ("*",) if raw == "*" else _texts(raw.get("AWS", []))


def _conditions(raw: Mapping[str, Mapping[str, Any]]) -> Iterator[Condition]:
    for operator, keys in raw.items():
        for key, values in keys.items():
            yield Condition(operator.lower(), key.lower(), _texts(values))


def _pins(key: str, pattern: str) -> bool:
    """True when a pattern leaves a stranger no choice: its wildcards stand behind what names the owner."""
    fixed = re.split(r"[*?]", pattern, maxsplit=1)[0]
    if fixed == pattern:
        return True
    if key in ("aws:principalarn", "aws:sourcearn"):
        return fixed.count(":") >= _COLONS_BEFORE_RESOURCE and not fixed.endswith(":")
    return key in ("aws:principalorgpaths", "aws:userid") and len(fixed) >= _SHORTEST_OWNER_ID


def _texts(raw: Any) -> tuple[str, ...]:
    return (raw,) if isinstance(raw, str) else tuple(str(item) for item in raw)
