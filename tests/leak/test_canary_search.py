"""The search itself: it sees a value in each form that a leak may take, and cries no wolf."""

import base64
import json
from urllib.parse import quote

import pytest

from tests.leak.canary import forms, search

CANARY = 'Kq7"v/Zt\\9w=Lm3+pX&c2é'


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(f"password={CANARY};".encode(), id="raw"),
        pytest.param(json.dumps({"p": CANARY}).encode(), id="json"),
        pytest.param(quote(CANARY, safe="").encode(), id="url"),
        pytest.param(CANARY.encode()[::-1], id="reversed"),
        pytest.param(CANARY.encode().hex().encode(), id="hex"),
        pytest.param(base64.b64encode(CANARY.encode()), id="base64"),
        pytest.param(base64.b64encode(b"x" + CANARY.encode() + b"yz"), id="base64 shifted by one"),
        pytest.param(base64.b64encode(b"xy" + CANARY.encode() + b"z"), id="base64 shifted by two"),
        pytest.param(CANARY.encode()[5:13], id="eight characters of it"),
    ],
)
def test_a_leak_in_this_form_is_found(content: bytes) -> None:
    assert search([CANARY], [("channel", "place", b"before " + content + b" after")])


def test_seven_characters_and_unrelated_text_are_no_leak() -> None:
    assert search([CANARY], [("channel", "place", CANARY.encode()[:7]), ("channel", "other", b"nothing here")]) == []


def test_a_finding_does_not_repeat_the_value() -> None:
    (finding,) = search([CANARY], [("logs", "group", CANARY.encode())])
    assert not any(form.decode(errors="replace") in repr(finding) for form in forms(CANARY))
