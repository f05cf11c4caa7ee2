"""The report in a real browser: it opens, shows, prints, and hostile names stay text.

Needs a Chromium on PATH (Debian: the package chromium). Where CI is set, its absence is a failure.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from polyvault.adapters.report_html import HtmlReport
from polyvault.domain.compliance import Policy
from polyvault.domain.frameworks import framework_named
from polyvault.domain.report import ReportRequest, build

from tests.estate import NOW, OTHER_ACCOUNT, ago, allow, policy, store_of, subject, without
from tests.unit.test_report import HOSTILE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
SECONDS = 60
WIDTH, HEIGHT = 1000, 800


@pytest.fixture(scope="module")
def browser() -> str:
    """The browser's path."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        reason = f"none of {', '.join(BROWSERS)} is on PATH"
        if os.environ.get("CI") == "true":  # noqa: TID251 - a test may ask where it runs
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on an estate with good, bad, unseen and hostile secrets."""
    hostile = [
        subject(f"{text} #{number}", document=policy(allow({"AWS": OTHER_ACCOUNT})))
        for number, text in enumerate(HOSTILE)
    ]
    estate = store_of(
        subject("prod/orders/database"),
        subject("prod/plain", kms_key_id=None),
        subject("prod/public", document=policy(allow("*"))),
        without(subject("prod/closed"), "policy", "versions"),
        *hostile,
    )
    report = build(ReportRequest(framework_named("SOC2"), ago(days=7), NOW), [estate], Policy(), NOW)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_bytes(HtmlReport().render(report))
    return path


def run(browser: str, profile: Path, *arguments: str) -> str:
    """One run with a profile of its own; answers what it printed."""
    done = subprocess.run(
        [browser, *FLAGS, f"--user-data-dir={profile}", *arguments],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def pixels(png: bytes) -> tuple[int, int, set[bytes]]:
    """Width, height and the colours of a PNG of 8 bits a channel, read without another library."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height, depth, kind = struct.unpack(">IIBB", png[16:26])
    channels = {2: 3, 6: 4}[kind]
    assert depth == 8
    data, position = b"", 8
    while position < len(png):
        (length,) = struct.unpack(">I", png[position : position + 4])
        if png[position + 4 : position + 8] == b"IDAT":
            data += png[position + 8 : position + 8 + length]
        position += length + 12
    return width, height, _colours(zlib.decompress(data), width * channels, channels)


def _colours(data: bytes, stride: int, channels: int) -> set[bytes]:
    """The distinct colours, after undoing the filters of PNG (sub, up, average, Paeth)."""
    before, found = bytearray(stride), set()
    for start in range(0, len(data), stride + 1):
        kind, row = data[start], bytearray(data[start + 1 : start + 1 + stride])
        for i in range(stride):
            left = row[i - channels] if i >= channels else 0
            corner = before[i - channels] if i >= channels else 0
            up = before[i]
            if kind == 1:
                add = left
            elif kind == 2:
                add = up
            elif kind == 3:
                add = (left + up) // 2
            elif kind == 4:
                guess = left + up - corner
                add = min((left, up, corner), key=lambda v, guess=guess: abs(guess - v))  # type: ignore[misc]
            else:
                add = 0
            row[i] = (row[i] + add) & 255
        found.update(bytes(row[i : i + channels]) for i in range(0, stride, channels))
        before = row
    return found


@pytest.mark.parametrize(("width", "height"), [(WIDTH, HEIGHT), (390, 844)], ids=["wide", "narrow"])
def test_a_screenshot_shows_the_report(browser: str, page: Path, tmp_path: Path, width: int, height: int) -> None:
    shot = tmp_path / "report.png"
    run(browser, tmp_path / "profile", f"--window-size={width},{height}", f"--screenshot={shot}", page.as_uri())

    shown_width, shown_height, colours = pixels(shot.read_bytes())
    assert shown_width >= width
    assert shown_height >= height
    assert len(colours) > 50
    # The light palette: the card, the ink, and the red of what does not comply.
    assert {colour[:3] for colour in colours} >= {b"\xff\xff\xff", b"\x14\x18\x1f", b"\xc0\x2b\x32"}


def test_hostile_names_are_text_in_the_document_that_the_browser_made(browser: str, page: Path, tmp_path: Path) -> None:
    document = run(browser, tmp_path / "profile", "--dump-dom", page.as_uri())

    assert "SOC 2 compliance report" in document
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in document
    for made in ("<script", "<img", "<iframe", "<link", "<base", "<form", "<math", "<input", "onerror=alert(1)>"):
        assert made not in document.lower()
    assert document.lower().count("<svg") == 3  # the ring and the two bars
    assert document.lower().count("<meta") == 4


def without_policy(page: str) -> str:
    """The page without its content security policy, to see that a test would notice."""
    changed = re.sub(r"<meta http-equiv=\"Content-Security-Policy\"[^>]*>", "", page)
    assert changed != page
    return changed


@pytest.mark.parametrize("guarded", [True, False], ids=["with its policy", "without"])
def test_a_script_that_got_in_all_the_same_does_not_run(
    browser: str, page: Path, tmp_path: Path, guarded: bool
) -> None:
    text = page.read_text() if guarded else without_policy(page.read_text())
    broken = tmp_path / "broken.html"
    broken.write_text(text.replace("</body>", "<script>document.title = 'ran'</script></body>"))
    document = run(browser, tmp_path / "profile", "--dump-dom", broken.as_uri())
    assert ("<title>ran" in document) is not guarded


def test_it_prints(browser: str, page: Path, tmp_path: Path) -> None:
    paper = tmp_path / "report.pdf"
    run(browser, tmp_path / "profile", f"--print-to-pdf={paper}", "--no-pdf-header-footer", page.as_uri())
    assert paper.read_bytes().startswith(b"%PDF-")
    assert paper.stat().st_size > 20_000


@pytest.mark.parametrize("guarded", [True, False], ids=["with its policy", "without"])
def test_nothing_is_fetched_even_when_an_image_got_in(browser: str, page: Path, tmp_path: Path, guarded: bool) -> None:
    text = page.read_text() if guarded else without_policy(page.read_text())
    broken, log = tmp_path / "broken.html", tmp_path / "net.json"
    broken.write_text(text.replace("</body>", '<img src="http://evil.invalid/x.png"></body>'))
    run(browser, tmp_path / "profile", f"--log-net-log={log}", "--dump-dom", broken.as_uri())
    asked = {event.get("params", {}).get("url", "") for event in json.loads(log.read_text())["events"]}
    assert any("evil.invalid" in url for url in asked) is not guarded
