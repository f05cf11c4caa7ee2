"""The reviewed data: real ids only, each reference resolves."""

from __future__ import annotations

import re

import pytest
from polyvault.domain.checks import NAMES
from polyvault.domain.compliance import Severity
from polyvault.domain.frameworks import FRAMEWORKS, Framework

ID_FORMS = {
    "SOC2": r"(CC|A|C)\d\.\d",
    "HIPAA": r"164\.3(08|12|16)(\([a-zA-Z0-9]+\))+",
    "GDPR": r"Art\. \d{1,2}(\(\d\)(\([a-z]\))?)?",
    "PCI-DSS": r"\d{1,2}\.\d{1,2}(\.\d{1,2}){1,2}",
    "ISO27001": r"A\.[58]\.\d{1,2}",
}
ROWS = {"SOC2": 13, "HIPAA": 18, "GDPR": 10, "PCI-DSS": 47, "ISO27001": 22}
INVENTED = {"8.6.3.3", "8.6.3.4", "8.6.3.5", "3.5.1.34", "8.3.2.53"}
frameworks = pytest.mark.parametrize("framework", FRAMEWORKS.values(), ids=lambda framework: framework.name)


@frameworks
def test_each_row_is_there_with_ids_of_the_frameworks_own_form(framework: Framework) -> None:
    ids = [i for control in framework.controls for i in control.ids]

    assert len(framework.controls) == ROWS[framework.name]
    assert all(re.fullmatch(ID_FORMS[framework.name], i) for i in ids)
    assert len(set(ids)) == len(ids)
    assert not INVENTED & set(ids)


@frameworks
def test_each_check_that_a_row_names_exists(framework: Framework) -> None:
    assert {check for control in framework.controls for check in control.checks} <= set(NAMES)


@frameworks
def test_rows_of_people_name_no_check_and_have_no_severity(framework: Framework) -> None:
    for control in framework.controls:
        if control.by_people:
            assert (control.checks, control.severity) == ((), Severity.NONE)


@frameworks
def test_each_framework_says_what_is_out_of_reach(framework: Framework) -> None:
    assert framework.out_of_reach
    assert framework.version


def test_the_catalogue_has_all_checks_and_detectors() -> None:
    assert list(NAMES) == [f"C{n:02}" for n in range(1, 51)] + [f"D{n}" for n in range(1, 17)]
