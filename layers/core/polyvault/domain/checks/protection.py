"""Checks on encryption and location: C12, C13 and C15."""

from __future__ import annotations

from datetime import datetime

from polyvault.domain.checks.check import Check, counted, failed, is_restricted, not_applicable, passed
from polyvault.domain.compliance import Category, Policy, Severity, Verdict
from polyvault.domain.inventory import Configuration, EncryptionKey, Replica, Subject
from polyvault.domain.resource_policy import parse

DEFAULT_KEY_ALIAS = "alias/aws/secretsmanager"
IN_SYNC = "InSync"


def customer_managed_key(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C12: in production, and for restricted data anywhere, the secret names a key of the customer."""
    seen = subject.configuration.read()
    production = policy.levels_below_prod(subject.environment) == 0
    if not (production or is_restricted(seen, policy)):
        return not_applicable("asked of production and of restricted data only")
    threshold = "a customer-managed key"
    if _default_key(seen.kms_key_id):
        return failed("encrypted with the service's default key", threshold)
    key = subject.key.facts  # the reference decides; whose key it is only sharpens it where we may ask
    if key is not None and not key.customer_managed:
        return failed("the key that it names is managed by AWS", threshold)
    return passed("names a key of its own", threshold)


def key_healthy(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C13: the customer's key is enabled, rotates and is not open to the world."""
    seen = subject.configuration.read()
    if _default_key(seen.kms_key_id):
        return not_applicable("the default key's state and rotation are the cloud's business")
    key = subject.key.read()
    if not key.customer_managed:
        return not_applicable("the key's state and rotation are the cloud's business")
    threshold = "enabled, rotating, not about to be deleted, policy not public"
    faults = _faults(key)
    return failed("; ".join(faults), threshold) if faults else passed("all four hold", threshold)


def replicas_where_allowed(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C15: each replica is in sync, in an allowed Region, under a key of the primary's class."""
    seen = subject.configuration.read()
    allowed = ", ".join(sorted(policy.replica_regions)) or "none but the home Region"
    threshold = f"replicas in sync, under the same class of key, in: {allowed}"
    if not seen.replicas:
        return passed("no replicas", threshold)
    faults = [fault for replica in seen.replicas for fault in _replica_faults(replica, seen, policy)]
    return (
        failed("; ".join(faults), threshold)
        if faults
        else passed(counted(len(seen.replicas), "good replica"), threshold)
    )


def _default_key(key_id: str | None) -> bool:
    return key_id is None or key_id.endswith(DEFAULT_KEY_ALIAS)


def _faults(key: EncryptionKey) -> list[str]:
    faults = [] if key.state == "Enabled" else [f"the key is {key.state}"]
    if key.rotation_enabled is not True:
        faults.append("the key does not rotate")
    if any(s.allows and s.anybody and not s.restricted for s in parse(key.policy)):
        faults.append("the key policy lets anybody in")
    return faults


def _replica_faults(replica: Replica, primary: Configuration, policy: Policy) -> list[str]:
    faults = [] if replica.status == IN_SYNC else [f"{replica.region} is {replica.status}"]
    if replica.region not in policy.replica_regions:
        faults.append(f"{replica.region} is not allowed")
    if _default_key(replica.kms_key_id) != _default_key(primary.kms_key_id):
        faults.append(f"{replica.region} uses another class of key")
    return faults


PROTECTION: tuple[Check, ...] = (
    Check(
        "C12",
        "customer-managed key",
        Category.ENCRYPTION,
        Severity.HIGH,
        "The secret is encrypted under a key that its owner does not control.",
        "Choose a customer-managed key for the secret and write its value again, so that it is encrypted anew.",
        ("configuration",),
        customer_managed_key,
    ),
    Check(
        "C13",
        "key healthy",
        Category.ENCRYPTION,
        Severity.HIGH,
        "The secret's key is off, about to be deleted, never rotated, or open to everybody.",
        "Cancel a pending deletion, enable the key and its rotation, take public statements out of its policy.",
        ("configuration", "key"),
        key_healthy,
    ),
    Check(
        "C15",
        "replication and residency",
        Category.ENCRYPTION,
        Severity.MEDIUM,
        "A replica is out of sync, in a Region that is not allowed, or under another class of key.",
        "Remove the replica from the Region, or let it sync; give it a key of the primary's class.",
        ("configuration",),
        replicas_where_allowed,
    ),
)
