"""The system's Chromium, driven by playwright's protocol client; playwright's own browsers are never downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.support.servers import program

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # Nothing but loopback is looked up, as in the rest of the suite.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1",
]
AXE_SCRIPT = Path(__file__).parent / "idp" / "node_modules" / "axe-core" / "axe.min.js"


@contextmanager
def running_chromium() -> Iterator[Browser]:
    """Give a running browser; a test makes its own context in it: cookies, language and scripts are the context's."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program("chromium"), args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()
