"""The checks: pure functions over one secret's evidence, with thresholds from the policy.

A check reads its evidence with ``Evidence.read``, which raises when there is none; the engine alone turns that into
NOT_ASSESSED, so a check cannot pass on what it did not see.
"""

from polyvault.domain.checks.access import ACCESS
from polyvault.domain.checks.check import Check
from polyvault.domain.checks.governance import GOVERNANCE
from polyvault.domain.checks.names import NAMES
from polyvault.domain.checks.protection import PROTECTION
from polyvault.domain.checks.rotation import ROTATION

CHECKS: tuple[Check, ...] = tuple(sorted((*ROTATION, *PROTECTION, *ACCESS, *GOVERNANCE), key=lambda check: check.id))

__all__ = ["CHECKS", "NAMES", "Check"]
