"""The deployed compliance function writes a report of what the stack's account really holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from local.demo import scenario
from local.demo.scenario import SECRET, VAULT_CREDENTIAL, Site


@pytest.fixture(scope="module")
def written(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """The function's answer, and the folder with its files."""
    scenario.rotate(site)
    folder = tmp_path_factory.mktemp("report")
    return scenario.report(site, folder), folder


def document_of(folder: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return loaded


def test_the_answer_is_the_documents_summary(written: tuple[dict[str, Any], Path]) -> None:
    answer, folder = written
    document = document_of(folder)
    assert answer["reportId"] == document["reportId"]
    assert answer["summary"] == document["summary"]
    assert answer["summary"]["totalSecrets"] >= 2


def test_the_manifest_names_the_files_as_they_are(written: tuple[dict[str, Any], Path]) -> None:
    _, folder = written
    manifest = json.loads((folder / "manifest.json").read_text())
    for item in manifest["files"]:
        assert hashlib.sha256((folder / item["name"]).read_bytes()).hexdigest() == item["sha256"]


def test_the_functions_role_may_read_all_that_its_checks_need(written: tuple[dict[str, Any], Path]) -> None:
    document = document_of(written[1])
    denied = [row for row in document["results"] if row["reason"] == "permission_denied"]
    assert denied == []


def test_each_secret_is_seen_as_it_is(written: tuple[dict[str, Any], Path]) -> None:
    rows = {(row["secret"], row["checkId"]): row["status"] for row in document_of(written[1])["results"]}
    rotated = ("C01", "C02", "C03", "C04", "C12", "C13", "C16", "C35")
    assert {rows[SECRET, check] for check in rotated} == {"PASS"}
    assert rows[f"{SECRET}-admin", "C01"] == "NOT_APPLICABLE"  # its class says that people rotate it
    assert rows[VAULT_CREDENTIAL, "C12"] == rows[VAULT_CREDENTIAL, "C35"] == "FAIL"  # made without key and tags


def test_the_store_that_is_out_of_scope_is_not_in_the_report(written: tuple[dict[str, Any], Path]) -> None:
    stores = {store["store"]: store["listed"] for store in document_of(written[1])["scope"]["stores"]}
    assert stores == {"aws": True}
