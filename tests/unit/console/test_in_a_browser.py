"""The owner's road through the settings in a real browser: by keyboard alone, and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.chromium import running_chromium
from tests.unit.console.test_wizard import metadata

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from tests.unit.console.gate import Gate

NAMES_OF_FOCUSED = """() => {
    const focused = document.activeElement
    return [focused.name, focused.ariaLabel, focused.innerText.trim()]
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all of these tests: none of them is asynchronous."""
    with running_chromium() as browser:
        yield browser


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
        if text in page.evaluate(NAMES_OF_FOCUSED):
            return
    pytest.fail(f"{text} cannot be reached by keyboard")


def press(page: Page, control: str, leads_to: str) -> None:
    """Go to this control by keyboard, press it, and arrive."""
    tab_to(page, control)
    page.keyboard.press("Enter")
    page.wait_for_url(leads_to)


def test_an_owner_buys_seats_by_keyboard_alone(chromium, gate):
    gate.waits("eva")
    page = opened(chromium, gate, "ana", scripts=True)
    page.goto(f"{gate.url}/settings/billing")
    press(page, "Edit seats", "**/seats/edit")
    press(page, "Review", "**/seats/review?*")
    press(page, "Update", "**/seats/done/*")
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


def test_an_owner_connects_and_tests_a_provider_by_keyboard_alone(chromium, gate):
    page = opened(chromium, gate, "ana", scripts=True)
    page.goto(f"{gate.url}/settings/access")
    press(page, "Add a connection…", "**/_new")
    press(page, "Keycloak, SAML 2.0", "**/_new/keycloak-saml")
    press(page, "Continue", "**/exchange?*")
    assert page.get_by_text("Master SAML Processing URL").is_visible()
    tab_to(page, "metadata_text")
    page.keyboard.insert_text("<md:EntityDescriptor/>")
    press(page, "Save and continue", "**/_new/keycloak-saml")
    page.wait_for_function("document.activeElement.id === 'error-summary'")  # what is wrong has the focus
    press(page, "This metadata cannot be used", "**#metadata_text")
    assert page.evaluate("document.activeElement.id") == "metadata_text", "and leads to its field"
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(metadata())
    press(page, "Save and continue", "**/acme-keycloak/mapping?kind=keycloak-saml")
    tab_to(page, "group_0")
    page.keyboard.insert_text("gate-admins")
    page.keyboard.press("Tab")
    page.keyboard.press("A")
    press(page, "Save and continue", "**/settings/access/acme-keycloak/tests")
    press(page, "Test login", "**/tests/*")
    gate.passed_trial("acme-keycloak", page.url.rpartition("/")[2])
    tab_to(page, "See the result")
    page.keyboard.press("Enter")
    page.get_by_text("The test login passed.").wait_for()
    press(page, "Continue", "**/_provisioning?connection=acme-keycloak")
    tab_to(page, "provisioning")
    page.keyboard.press("ArrowDown")
    press(page, "Save and continue", "**/acme-keycloak/enable")
    press(page, "Switch the connection on", "**/_codes?connection=acme-keycloak")
    press(page, "Finish", "**/settings/access/acme-keycloak")
    page.get_by_text("Switch off…").wait_for()
    assert page.get_by_text("gate-admins").is_visible()
    page.goto(f"{gate.url}/settings/access")
    assert page.get_by_text("New people are created by the directory").is_visible()
    page.context.close()


def test_an_owner_connects_a_provider_without_scripts(chromium, gate):
    page = opened(chromium, gate, "ana", scripts=False)
    page.goto(f"{gate.url}/settings/access/_new/google-saml/exchange?name=Google&id=acme-google")
    page.get_by_label("Their metadata as a file").set_input_files(
        {"name": "GoogleIDPMetadata.xml", "mimeType": "text/xml", "buffer": metadata().encode()}
    )
    page.get_by_role("button", name="Save and continue").click()
    page.get_by_role("link", name="Skip", exact=True).click()
    assert page.get_by_role("button", name="Test login").is_visible()
    page.get_by_role("link", name="Later").click()
    page.get_by_label("Keep the person waiting").check()
    page.get_by_role("button", name="Save and continue").click()
    assert page.get_by_text("It can be switched on once a test login has passed").is_visible()
    page.get_by_role("link", name="Google").first.click()
    assert page.get_by_text("https://idp.acme.example/sso").is_visible()
    page.context.close()
