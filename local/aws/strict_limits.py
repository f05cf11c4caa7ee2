"""Lengths, counts and ranges of a request, checked against the service's own model as botocore ships it.

An SDK checks lower bounds itself; the service checks both. AWS answers ValidationException.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, OperationModel, ServiceModel, Shape, StructureShape

from local.aws.strict_answers import Data, Refusal

_TOKEN = "ClientRequestToken"  # noqa: S105 - a member's name


@cache
def _model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("secretsmanager", "service-2"), "secretsmanager")


def operation(action: str) -> OperationModel | None:
    """The model of an action; None for one that the service does not have."""
    return _model().operation_model(action) if action in _model().operation_names else None


def check(action: str, data: Data) -> None:
    """Refuse a request outside the model's bounds: the first violation is named, never the value."""
    model = operation(action)
    if model is None or model.input_shape is None:
        return
    token = data.get(_TOKEN)
    if isinstance(token, str) and not 32 <= len(token) <= 64:
        # The code is unverified: the SDK refuses a short token before it is sent.
        raise Refusal("InvalidParameterException", f"{_TOKEN} must be 32-64 characters long.")
    for path, constraint in _violations(model.input_shape, data, ""):
        raise Refusal(
            "ValidationException",
            f"1 validation error detected: Value at '{path}' failed to satisfy constraint: {constraint}",
        )


def _violations(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        for name in shape.required_members:
            if value.get(name) is None:
                yield _join(path, name), "Member must not be null"
        for name, member in shape.members.items():
            if value.get(name) is not None:
                yield from _violations(member, value[name], _join(path, name))
        return
    yield from _out_of_bounds(shape, value, path)
    if isinstance(shape, ListShape) and isinstance(value, list):
        for number, item in enumerate(value, start=1):
            yield from _violations(shape.member, item, f"{path}.{number}.member")


def _out_of_bounds(shape: Shape, value: Any, path: str) -> Iterator[tuple[str, str]]:
    size, what = (value, "value") if shape.type_name in {"integer", "long"} else (_length(shape, value), "length")
    if not isinstance(size, int):
        return
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        yield path, f"Member must have {what} greater than or equal to {least}"
    if most is not None and size > most:
        yield path, f"Member must have {what} less than or equal to {most}"


def _length(shape: Shape, value: Any) -> int | None:
    """Characters of a text, items of a list, bytes of a value: the quota of 65,536 counts bytes."""
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return len(base64.b64decode(value, validate=True))
        except binascii.Error:
            return None
    if isinstance(value, str):
        return len(value.encode()) if shape.name == "SecretStringType" else len(value)
    return len(value) if isinstance(value, list) else None


def _join(path: str, member: str) -> str:
    name = member[0].lower() + member[1:]
    return f"{path}.{name}" if path else name
