"""The REST API of the deployed stack."""

from __future__ import annotations

import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from local.demo import scenario
from local.demo.api import Api, ApiError
from local.demo.scenario import SECRET, Site

# An order that meets another rotation goes back to its queue, which shows it again after 120 seconds.
ORDERED = 200


def test_health_shows_each_vault_with_its_latency(site: Site) -> None:
    stores = {store["store"]: store for store in site.api.get("/health")["stores"]}
    assert set(stores) == {"aws", "vault"}
    assert all(store["healthy"] and store["latencyMs"] > 0 for store in stores.values())


def test_secrets_are_listed_by_name_and_without_values(site: Site) -> None:
    answer = site.api.get("/secrets")
    assert SECRET in {secret["name"] for secret in answer["secrets"]}
    password = scenario.database.parse(site.aws("secretsmanager").get_secret_value(SecretId=SECRET)["SecretString"])[
        "password"
    ]
    assert password not in str(answer)


def test_versions_of_a_secret_whose_name_holds_slashes(site: Site) -> None:
    version_id = scenario.rotate(site)
    versions = site.api.get(f"/secrets/{quote(SECRET, safe='')}/versions")["versions"]
    labels = {version["versionId"]: version["labels"] for version in versions}
    assert "AWSCURRENT" in labels[version_id]


def _wait_until_rotated(site: Site, token: str) -> None:
    """Until the audit log says so: a later rotation may have made the version a previous one by then."""

    def succeeded() -> bool:
        return any(
            event["eventType"] == "rotation.succeeded" and event["detail"].get("versionId") == token
            for event in scenario.audit_events(site)
        )

    scenario.wait_until("the rotation", succeeded, seconds=ORDERED)


def test_a_rotation_asked_for_through_the_api_happens_and_names_its_caller(site: Site) -> None:
    accepted = site.api.post("/rotations", {"secret": SECRET})
    _wait_until_rotated(site, accepted["clientRequestToken"])
    requested = [event for event in scenario.audit_events(site) if event["eventType"] == "rotation.requested"]
    assert any(event["actor"]["id"].startswith("arn:aws:") for event in requested)


def test_the_same_request_twice_is_one_rotation(site: Site) -> None:
    first, second = (
        site.api.post("/rotations", {"secret": SECRET}, **{"Idempotency-Key": "the-same-request"}) for _ in range(2)
    )
    assert first["clientRequestToken"] == second["clientRequestToken"]
    _wait_until_rotated(site, first["clientRequestToken"])


def test_an_unsigned_request_is_refused(site: Site) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(site.api_url.rstrip("/") + "/health", timeout=10)
    with refused.value as answer:
        assert answer.code == 403


def test_a_request_signed_with_unknown_keys_is_refused(site: Site) -> None:
    stranger = Api(site.api_url, access_key="AKIASTRANGER00000000", secret_key="nobody", region="us-east-1")
    with pytest.raises(ApiError, match="403"):
        stranger.get("/health")


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "secret"),
        ({"secret": SECRET, "user": "somebody"}, "user"),
        ({"secret": SECRET, "limit": "0"}, "limit"),
        ({"secret": SECRET, "limit": "many"}, "limit"),
        ({"secret": SECRET, "token": "forged"}, "token"),
        ({"secret": SECRET, "start": "yesterday"}, "start"),
        ({"secret": SECRET, "start": "2026-01-02T00:00:00", "end": "2026-01-03T00:00:00Z"}, "start"),
    ],
)
def test_a_bad_audit_query_names_its_field(site: Site, query: dict[str, str], field: str) -> None:
    with pytest.raises(ApiError, match="400") as refused:
        site.api.get("/audit/events", **query)
    assert field in str(refused.value)


def test_a_query_for_a_user_finds_what_that_user_did(site: Site) -> None:
    site.api.post("/rotations", {"secret": SECRET}, **{"Idempotency-Key": "for-the-user-query"})
    requested = scenario.wait_until(
        "the request in the audit log",
        lambda: [event for event in scenario.audit_events(site) if event["eventType"] == "rotation.requested"] or None,
        seconds=30,
    )
    user = requested[0]["actor"]["id"]
    end = datetime.now(UTC) + timedelta(minutes=1)
    found = site.api.get(
        "/audit/events", user=user, start=(end - timedelta(hours=1)).isoformat(), end=end.isoformat(), limit=100
    )["events"]
    assert found
    assert {event["actor"]["id"] for event in found} == {user}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({}, "400", id="nothing named"),
        pytest.param({"secret": "prod/no/such/secret"}, "404", id="unknown secret"),
        pytest.param({"secret": "elsewhere/secret"}, "403", id="outside the managed prefix"),
        pytest.param({"secret": SECRET, "store": "nowhere"}, "404", id="unknown store"),
    ],
)
def test_a_bad_rotation_request_is_refused(site: Site, body: dict[str, str], status: str) -> None:
    with pytest.raises(ApiError, match=status):
        site.api.post("/rotations", body)


def test_an_unknown_path_is_not_found(site: Site) -> None:
    with pytest.raises(ApiError, match=r"404|403"):
        site.api.get("/no/such/path")
