"""The owner's road through the settings in a real browser: by keyboard alone, and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    from tests.unit.console.gate import Gate


def opened(chromium: Browser, gate: Gate, name: str, *, scripts: bool) -> Page:
    context = chromium.new_context(locale="en-US", java_script_enabled=scripts, viewport={"width": 320, "height": 900})
    # Browsers send what is Secure to plain HTTP on loopback as well; the driver sets it for https alone.
    address = gate.url.replace("http:", "https:")
    context.add_cookies([{"name": "__Host-sso_gate", "value": gate.cookies[name], "url": address, "secure": True}])
    context.set_default_timeout(8000)
    return context.new_page()


def tab_to(page: Page, text: str) -> None:
    """Press Tab until the control with this text, or of this name, has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count() and text in (focused.get_attribute("name") or "", focused.inner_text().strip()):
            return
    pytest.fail(f"{text} cannot be reached by keyboard")


def test_an_owner_buys_seats_by_keyboard_alone(chromium, gate):
    gate.waits("eva")
    page = opened(chromium, gate, "ana", scripts=True)
    page.goto(f"{gate.url}/settings/billing")
    for control in ("Edit seats", "Review", "Update"):
        tab_to(page, control)
        page.keyboard.press("Enter")
        page.wait_for_load_state()
    page.wait_for_url("**/seats/done/*")
    assert page.get_by_role("heading", level=1).inner_text() == "1 seat added"
    assert page.get_by_text("1 person can now log in").is_visible()
    page.context.close()


def test_an_owner_buys_seats_and_makes_a_token_without_scripts(chromium, gate):
    page = opened(chromium, gate, "ana", scripts=False)
    page.goto(f"{gate.url}/settings/billing")
    page.get_by_role("link", name="Edit seats").click()
    page.get_by_label("Seats to add").fill("2")
    page.get_by_role("button", name="Review").click()
    page.get_by_role("button", name="Update").click()
    assert page.get_by_role("heading", level=1).inner_text() == "2 seats added"
    page.goto(f"{gate.url}/settings/developer")
    page.get_by_label("seats:read").check()
    page.get_by_role("button", name="Make the token").click()
    assert page.locator("#secret").inner_text().startswith("sgt_")
    page.context.close()
