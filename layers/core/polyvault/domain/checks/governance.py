"""Checks on ownership: C35."""

from __future__ import annotations

from datetime import datetime

from polyvault.domain.checks.check import (
    DATA_CLASS_TAG,
    ENVIRONMENT_TAG,
    OWNER_TAG,
    ROTATION_CLASS_TAG,
    Check,
    failed,
    passed,
)
from polyvault.domain.compliance import Category, Policy, Severity, Verdict
from polyvault.domain.inventory import Subject


def classification_tags(subject: Subject, policy: Policy, now: datetime) -> Verdict:
    """C35: the four tags are there and hold words that the policy knows."""
    tags = subject.configuration.read().tags
    valid = {
        OWNER_TAG: bool(tags.get(OWNER_TAG, "").strip()),
        ENVIRONMENT_TAG: tags.get(ENVIRONMENT_TAG) in policy.environments,
        DATA_CLASS_TAG: tags.get(DATA_CLASS_TAG) in policy.data_classes,
        ROTATION_CLASS_TAG: tags.get(ROTATION_CLASS_TAG) in policy.max_age,
    }
    faults = [f"{tag} is {'not valid' if tag in tags else 'missing'}" for tag, good in valid.items() if not good]
    threshold = "4 valid tags: " + ", ".join(valid)
    return failed("; ".join(faults), threshold) if faults else passed("all four are valid", threshold)


GOVERNANCE: tuple[Check, ...] = (
    Check(
        "C35",
        "classification tags",
        Category.GOVERNANCE,
        Severity.LOW,
        "The secret lacks an owner, an environment, a data class or a rotation class.",
        "Tag it; until then the strictest class applies.",
        ("configuration",),
        classification_tags,
    ),
)
