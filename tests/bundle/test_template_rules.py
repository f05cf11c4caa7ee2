"""The template obeys our rules, and each rule sees what it forbids: every counter-example must be found."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.bundle import rules, rules_of_data
from tests.bundle.rules import Rule
from tests.bundle.sam_template import PROJECT, TEMPLATE, Template, read

RULES = [*rules.RULES, *rules_of_data.RULES]
COUNTER_EXAMPLES: list[dict[str, Any]] = read(Path(__file__).with_name("counter_examples.yaml").read_text())


@pytest.mark.parametrize("check", RULES, ids=lambda check: check.__name__)
def test_the_template_obeys(check: Rule) -> None:
    assert list(check(Template(read(TEMPLATE.read_text())))) == [], check.__doc__


@pytest.mark.parametrize("example", COUNTER_EXAMPLES, ids=lambda example: f"{example['rule']}: {example['says']}")
def test_the_rule_sees_what_it_forbids(example: dict[str, Any]) -> None:
    check = next(check for check in RULES if check.__name__ == example["rule"])
    found = list(check(Template(example)))
    assert any(example["says"] in each for each in found), f"found only {found}"


def test_each_rule_has_a_counter_example() -> None:
    assert {check.__name__ for check in RULES} == {example["rule"] for example in COUNTER_EXAMPLES}


def test_the_template_is_read_as_cloudformation_reads_it() -> None:
    """The rules look at something: seven functions, each with Globals merged in."""
    functions = Template(read(TEMPLATE.read_text())).functions()
    assert len(functions) == 7
    for function in functions.values():
        assert function["Runtime"] == "python3.13"
        assert function["Layers"][0] == {"Ref": "CoreLayer"}
        assert "POLYVAULT_AUDIT_TABLE" in function["Environment"]["Variables"]


def test_each_parameter_is_explained() -> None:
    """docs/operations.md names each, with the default that the template has."""
    rows = [line for line in (PROJECT / "docs/operations.md").read_text().splitlines() if line.startswith("| `")]
    explained = {name: row for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    parameters = read(TEMPLATE.read_text())["Parameters"]
    assert set(parameters) <= set(explained)
    for name, body in parameters.items():
        shown = explained[name].split("|")[2]
        assert str(body["Default"] or "empty") in shown or body["Default"] == 0, f"{name}: {shown}"
