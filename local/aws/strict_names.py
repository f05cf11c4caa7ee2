"""Names, tags and resource policies of secrets that AWS refuses."""

from __future__ import annotations

import json
import re
from typing import Any

from ministack.core.responses import json_response
from ministack.services import secretsmanager as sm

from local.aws.strict_answers import Data, Refusal, Response, alive, writable

MAX_TAGS = 50
_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]+")


def check_names(data: Data) -> None:
    """Refuse a secret's name, or one given as SecretId, with other characters. ARNs pass."""
    for member in ("Name", "SecretId"):
        name = data.get(member)
        if isinstance(name, str) and not name.startswith("arn:") and not _NAME.fullmatch(name):
            raise Refusal(
                "ValidationException",
                "Invalid name. Must be a valid name containing alphanumeric characters, "
                "or any of the following: -/_+=.@!",
            )


def check_tags(tags: list[dict[str, str]], present: list[dict[str, str]]) -> None:
    """Refuse reserved keys, a key given twice and more than 50 tags in all. The codes are unverified."""
    keys = [tag.get("Key", "") for tag in tags]
    for key in keys:
        if key.lower().startswith("aws:"):
            raise Refusal("InvalidParameterException", "Tag keys that start with aws: are reserved for AWS use.")
    if len(set(keys)) < len(keys):
        raise Refusal("InvalidParameterException", "A tag key can't be given twice.")
    if len({tag["Key"] for tag in present} | set(keys)) > MAX_TAGS:
        raise Refusal("InvalidParameterException", f"A secret can't have more than {MAX_TAGS} tags.")


_tag = sm._tag_resource


def tag_resource(data: Data) -> Response:
    """TagResource, with the checks; a deleted secret is refused before its tags are looked at."""
    secret = writable(data)
    check_tags(data.get("Tags") or [], secret.get("Tags") or [])
    answer: Response = _tag(data)
    return answer


def _policy(text: Any) -> dict[str, Any]:
    """The policy as a document; text that is not one is refused."""
    try:
        document = json.loads(text)
    except (TypeError, ValueError):
        document = None
    if not isinstance(document, dict) or not document.get("Statement"):
        raise Refusal("MalformedPolicyDocumentException", "This resource policy contains invalid Json.")
    statements = document["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        if not _is_statement(statement):
            raise Refusal("MalformedPolicyDocumentException", "This resource policy contains a syntax error.")
    return document


def _is_statement(statement: Any) -> bool:
    return (
        isinstance(statement, dict)
        and statement.get("Effect") in {"Allow", "Deny"}
        and ("Action" in statement or "NotAction" in statement)
        and ("Principal" in statement or "NotPrincipal" in statement)
        and ("Resource" in statement or "NotResource" in statement)
    )


def _is_public(document: dict[str, Any]) -> bool:
    """Allows everybody without a condition; AWS reasons more finely (unverified)."""
    statements = document["Statement"]
    return any(
        statement["Effect"] == "Allow"
        and statement.get("Principal") in ("*", {"AWS": "*"})
        and not statement.get("Condition")
        for statement in (statements if isinstance(statements, list) else [statements])
    )


_put_policy = sm._put_resource_policy


def put_resource_policy(data: Data) -> Response:
    """PutResourcePolicy: a policy of the right form, on a secret that is not deleted."""
    alive(data)
    document = _policy(data.get("ResourcePolicy"))
    if data.get("BlockPublicPolicy") and _is_public(document):
        raise Refusal(
            "PublicPolicyException",
            "The resource policy grants broad access to the secret, which BlockPublicPolicy forbids.",
        )
    answer: Response = _put_policy(data)
    return answer


_delete_policy = sm._delete_resource_policy


def delete_resource_policy(data: Data) -> Response:
    """DeleteResourcePolicy: refused on a deleted secret."""
    alive(data)
    answer: Response = _delete_policy(data)
    return answer


def validate_resource_policy(data: Data) -> Response:
    """ValidateResourcePolicy: the same findings as answers instead of refusals."""
    errors = []
    try:
        document = _policy(data.get("ResourcePolicy"))
        if _is_public(document):
            errors.append({"CheckName": "PUBLIC_POLICY", "ErrorMessage": "The policy grants broad access."})
    except Refusal as refusal:
        errors.append({"CheckName": "SYNTAX", "ErrorMessage": refusal.message})
    answer: Response = json_response({"PolicyValidationPassed": not errors, "ValidationErrors": errors})
    return answer
