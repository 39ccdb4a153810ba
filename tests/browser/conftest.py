"""A headless Chromium that may ask nobody for anything, and pages opened in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed: pip install 'ecoml[dev]'")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WAIT_MS = 60_000
"""A busy machine draws slowly; a page that is broken shows it by an error, not by its pace."""


@dataclass
class Opened:
    """A page, and all that went wrong on it or left it.

    Attributes:
        page: Playwright's page.
        complaints: Console warnings and errors, and uncaught errors.
        requests: Addresses asked for, other than the file itself.
    """

    page: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


Open = Callable[..., Opened]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Chromium, started once. It must be there where CI says so; elsewhere these tests are skipped."""
    if CHROMIUM is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs Chromium: apt install chromium")
        pytest.skip("Chromium is not here: apt install chromium")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Open]:
    """Opens a page and waits until its charts are drawn."""
    contexts = []

    def open_it(path: Path, **options: Any) -> Opened:
        context = chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, **options})
        contexts.append(context)
        context.set_default_timeout(WAIT_MS)
        opened = Opened(context.new_page())
        address = path.resolve().as_uri()
        opened.page.on(
            "console", lambda m: opened.complaints.append(m.text) if m.type in ("warning", "error") else None
        )
        opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.page.on("request", lambda r: opened.requests.append(r.url) if r.url != address else None)
        opened.page.goto(address)
        opened.page.wait_for_function(
            "document.querySelectorAll('.chart').length === document.querySelectorAll('.chart[data-drawn]').length"
        )
        return opened

    yield open_it
    for context in contexts:
        context.close()
