"""Change sets see conditions: a resource that a parameter switches on or off is a change, as on AWS.

MiniStack compares properties alone, so that such a deployment ended with "no changes" and did nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ministack.services.cloudformation import changesets

_resolve = changesets._resolve_props_for_diff


def _wanted_resources(template: Mapping[str, Any], params: Mapping[str, Any], *stack: str) -> dict[str, Any]:
    resolved: dict[str, Any] = _resolve(template, params, *stack)
    conditions = changesets._evaluate_conditions(template, params) if template else {}
    wanted = {
        logical_id: resource
        for logical_id, resource in resolved.get("Resources", {}).items()
        if conditions.get(resource.get("Condition"), True)
    }
    return {**resolved, "Resources": wanted}


def install() -> None:
    """Compare what each template makes with its parameters."""
    changesets._resolve_props_for_diff = _wanted_resources
