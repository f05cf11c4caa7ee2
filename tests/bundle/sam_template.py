"""A SAM template as data: short intrinsics spelled out, Globals merged, policies as flat statements."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PROJECT = Path(__file__).resolve().parents[2]
TEMPLATE = PROJECT / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads `!Sub x` as {"Fn::Sub": "x"}, as CloudFormation's JSON writes it."""


def _intrinsic(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of one policy, and where it stands."""

    resource_id: str
    resource_type: str
    body: Mapping[str, Any]

    @property
    def allows(self) -> bool:
        return self.body.get("Effect") == "Allow"

    @property
    def actions(self) -> list[str]:
        return listed(self.body.get("Action"))

    @property
    def resources(self) -> list[Any]:
        return listed(self.body.get("Resource"))

    @property
    def principals(self) -> list[Any]:
        """Each principal, whatever its kind; "*" for everybody."""
        principal = self.body.get("Principal")
        if isinstance(principal, Mapping):
            return [each for kind in principal.values() for each in listed(kind)]
        return listed(principal)

    def __str__(self) -> str:
        return f"{self.resource_id}/{self.body.get('Sid', 'a statement without Sid')}"


class Template:
    """What the rules ask of a template."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.resources: Mapping[str, dict[str, Any]] = document.get("Resources", {})

    def of_type(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Logical id and properties of each resource of a type."""
        for logical_id, resource in self.resources.items():
            if resource["Type"] == kind:
                yield logical_id, resource.get("Properties", {})

    def functions(self) -> dict[str, dict[str, Any]]:
        """Each function with Globals merged in, as SAM does: maps by key, lists one after the other."""
        common = self.document.get("Globals", {}).get("Function", {})
        return {name: _merged(common, own) for name, own in self.of_type("AWS::Serverless::Function")}

    def statements(self) -> Iterator[Statement]:
        """Each statement of each policy; a statement inside !If counts as if its condition held."""
        for logical_id, resource in self.resources.items():
            for document in _policy_documents(resource.get("Properties", {})):
                for statement in listed(document.get("Statement")):
                    for body in _branches(statement):
                        yield Statement(logical_id, resource["Type"], body)

    def role_of(self, function: Mapping[str, Any]) -> str | None:
        """The logical id of the function's role."""
        return attribute_of(function.get("Role"))


def read(text: str) -> Any:
    """YAML with CloudFormation's short intrinsics."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader


def listed(value: Any) -> list[Any]:
    """A list of one where the template leaves the brackets out; nothing for nothing."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def attribute_of(value: Any) -> str | None:
    """The logical id in {"Fn::GetAtt": [id, attribute]} or {"Ref": id}; None otherwise."""
    if not isinstance(value, Mapping):
        return None
    if "Fn::GetAtt" in value:
        return str(value["Fn::GetAtt"][0])
    return value.get("Ref")


def named(value: Any) -> set[str]:
    """Each text inside a value, however deep: for finding which resources it names."""
    if isinstance(value, Mapping):
        return set().union(*(named(each) for each in value.values()), set())
    if isinstance(value, list):
        return set().union(*(named(each) for each in value), set())
    return {str(value)}


def _merged(common: Any, own: Any) -> Any:
    if isinstance(common, dict) and isinstance(own, dict):
        return {**common, **{key: _merged(common.get(key), value) for key, value in own.items()}}
    if isinstance(common, list) and isinstance(own, list):
        return common + own
    return own


def _policy_documents(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if "Statement" in value:
            yield value
        else:
            for each in value.values():
                yield from _policy_documents(each)
    elif isinstance(value, list):
        for each in value:
            yield from _policy_documents(each)


def _branches(statement: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for branch in statement["Fn::If"][1:] if "Fn::If" in statement else [statement]:
        if "Effect" in branch:
            yield branch
