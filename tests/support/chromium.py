"""The Chromium of the distribution, driven from outside; it fetches nothing of its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from playwright.sync_api import Browser, Page, sync_playwright

PATH = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)
#: A laptop in a reading room.
LAPTOP: Any = {"width": 1280, "height": 800}
TIMEOUT_MS = 60_000

Scheme = Literal["light", "dark"]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PATH, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def reading_room(browser: Browser, base: str, scheme: Scheme = "light") -> Iterator[Page]:
    """A fresh page of it: no cookie of anybody else."""
    context = browser.new_context(
        base_url=base, color_scheme=scheme, viewport=LAPTOP, reduced_motion="reduce"
    )
    context.set_default_timeout(TIMEOUT_MS)
    try:
        yield context.new_page()
    finally:
        context.close()
