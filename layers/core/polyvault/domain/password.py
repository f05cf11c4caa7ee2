"""Passwords: what a target and its consumers can carry, and how one is made."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from polyvault.domain.secret import SecretValue
from polyvault.errors import RotationError

ENTROPY_FLOOR_BITS = 128

# Unreserved in URLs (RFC 3986), and neutral in shells, .pgpass, JSON, YAML, JDBC URLs and CloudFormation.
_PUNCTUATION = "-._~"
_MAX_TRIES = 100


@dataclass(frozen=True, slots=True)
class PasswordProfile:
    """Length in characters, and the classes of which each must occur. The first character is a letter.

    A leading letter keeps YAML, command lines and spreadsheets from reading the value as something else.
    """

    length: int = 32
    classes: tuple[str, ...] = (string.ascii_lowercase, string.ascii_uppercase, string.digits, _PUNCTUATION)

    def __post_init__(self) -> None:
        bits = self.length * math.log2(len(set(self.alphabet)))
        if bits < ENTROPY_FLOOR_BITS:
            raise ValueError(f"a profile of {bits:.0f} bits is under the floor of {ENTROPY_FLOOR_BITS}")

    @property
    def alphabet(self) -> str:
        return "".join(self.classes)

    def accepts(self, password: str) -> bool:
        """Whether the password is one that this profile could have made."""
        return (
            len(password) == self.length
            and password[0] in string.ascii_letters
            and set(password) <= set(self.alphabet)
            and all(set(password) & set(characters) for characters in self.classes)
        )


def generate(
    profile: PasswordProfile, choice: Callable[[str], str], *, unlike: Sequence[SecretValue] = ()
) -> SecretValue:
    """A password that the profile accepts and that none of ``unlike`` equals.

    ``choice`` picks one character uniformly (``secrets.choice``). A candidate that fails is thrown away whole, which
    keeps the rest uniform. Raises RotationError when the source of randomness yields nothing acceptable.
    """
    for _ in range(_MAX_TRIES):
        candidate = "".join(choice(profile.alphabet) for _ in range(profile.length))
        if profile.accepts(candidate) and (value := SecretValue(candidate)) not in unlike:
            return value
    raise RotationError("the source of randomness gives no acceptable password")
