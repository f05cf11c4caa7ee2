"""Generated passwords: what every one of them is, and that randomness alone decides the rest."""

from __future__ import annotations

import random
import secrets
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from polyvault.domain.password import ENTROPY_FLOOR_BITS, PasswordProfile, generate
from polyvault.domain.secret import SecretValue
from polyvault.errors import RotationError

PROFILE = PasswordProfile()
# Of AWS's templates for PostgreSQL, and what URLs, shells, .pgpass, JSON, YAML, JDBC, DMS or CloudFormation trip over.
BREAKING = set("/@\"'\\:;&?#%{}[]()<>|$`!*=+, \t\n^")


@given(st.integers())
def test_every_password_fits_its_profile_and_breaks_no_consumer(seed: int) -> None:
    password = generate(PROFILE, random.Random(seed).choice).reveal()
    assert len(password) == 32
    assert password[0] in string.ascii_letters
    assert not set(password) & BREAKING
    assert all(set(password) & set(characters) for characters in PROFILE.classes)
    assert PROFILE.accepts(password)


def test_each_character_of_the_alphabet_occurs() -> None:
    seen = set().union(*(generate(PROFILE, secrets.choice).reveal() for _ in range(300)))
    assert seen == set(PROFILE.alphabet)


def test_two_passwords_differ() -> None:
    assert len({generate(PROFILE, secrets.choice).reveal() for _ in range(100)}) == 100


def test_a_password_that_was_used_before_is_thrown_away() -> None:
    first = generate(PROFILE, random.Random(7).choice)
    second = generate(PROFILE, random.Random(7).choice, unlike=[first])
    assert second != first
    assert generate(PROFILE, random.Random(7).choice, unlike=[first, second]) not in (first, second)


def test_a_source_without_randomness_ends_in_an_error_and_not_in_a_loop() -> None:
    with pytest.raises(RotationError, match="no acceptable password"):
        generate(PROFILE, lambda _: "a")


def test_a_source_that_repeats_a_used_password_ends_in_an_error() -> None:
    letters = "aA1-" * 8
    position = iter(range(10**6))
    with pytest.raises(RotationError):
        generate(PROFILE, lambda _: letters[next(position) % 32], unlike=[SecretValue(letters)])


@pytest.mark.parametrize("length", [8, 16, 21])
def test_a_profile_under_the_entropy_floor_cannot_be_made(length: int) -> None:
    with pytest.raises(ValueError, match=str(ENTROPY_FLOOR_BITS)):
        PasswordProfile(length=length)


def test_repeated_characters_count_once_towards_entropy() -> None:
    with pytest.raises(ValueError, match="floor"):
        PasswordProfile(length=40, classes=("a" * 50, "b" * 50))


def test_the_error_tells_no_password() -> None:
    with pytest.raises(RotationError) as raised:
        generate(PROFILE, lambda _: "z")
    assert "zz" not in str(raised.value)
