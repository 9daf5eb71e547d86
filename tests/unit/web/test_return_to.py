"""Return targets: whatever the text, a browser ends on an allowed host or on the home page."""

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sso_gate.settings import load_settings
from sso_gate.web.return_to import MAX_LENGTH, ReturnTo

GATE, APP = "gate.example.com", "app.example.com:8443"
SETTINGS = load_settings({"SSO_GATE_PUBLIC_URL": f"https://{GATE}", "SSO_GATE_RETURN_HOSTS": APP})
MARKS = [
    "/",
    "//",
    "\\",
    ":",
    "@",
    "?",
    "#",
    ".",
    "..",
    "%2f",
    "%5c",
    "\t",
    "\n",
    " ",
    ";",
    "[",
    "]",
    "\u2044",
    "\uff0f",
    "é",
]
NAMES = ["http:", "https:", "javascript:", GATE, APP, "app.example.com", "evil.example", "GATE.EXAMPLE.COM"]
PIECES = st.sampled_from([*MARKS, *NAMES])
TEXTS = st.one_of(st.text(max_size=40), st.lists(PIECES, max_size=8).map("".join))


def where_a_browser_goes(text):
    """Return host of the address that a browser (WHATWG URL) makes of a Location header."""
    cleaned = "".join(letter for letter in text.strip() if letter not in "\t\n\r").replace("\\", "/")
    return urlsplit(urljoin(f"https://{GATE}/login", cleaned)).netloc.lower()


@given(TEXTS)
@example("https://gate.example.com//evil.example")
@example("https://gate.example.com?//evil.example")
@example("//evil.example")
@example("/\\evil.example")
@example("https:evil.example")
@example("https://app.example.com:8443@evil.example")
@example("https://evil.example#@app.example.com:8443")
def test_no_text_ever_leads_to_a_host_that_is_not_allowed(text):
    found = ReturnTo.checked(text, SETTINGS)
    assert where_a_browser_goes(found.url) in {GATE, APP}
    assert found.host in {"", APP}
    assert found.host == ("" if where_a_browser_goes(found.url) == GATE else APP)


@given(TEXTS)
def test_checking_a_target_again_changes_nothing(text):
    found = ReturnTo.checked(text, SETTINGS)
    assert ReturnTo.checked(found.url, SETTINGS) == found


@pytest.mark.parametrize("path", ["/", "/settings/billing?add=3#x", "/é"])
def test_a_path_of_the_gate_is_kept(path):
    assert ReturnTo.checked(path, SETTINGS) == ReturnTo(path, "")
    assert ReturnTo.checked(f"https://{GATE}{path}", SETTINGS) == ReturnTo(path, "")


def test_a_page_of_an_application_is_kept_whole():
    url = f"https://{APP}/reports?year=2026&next=https://evil.example"
    found = ReturnTo.checked(url, SETTINGS)
    assert (found.url, found.host, found.app_origin) == (url, APP, f"https://{APP}")


@pytest.mark.parametrize(
    "text",
    ["", f"http://{APP}/", "https://app.example.com/", f"https://{APP}/ x", "/" + "x" * MAX_LENGTH, f"//{APP}/", "x"],
    ids=["nothing", "plain http", "another port", "a blank", "too long", "no scheme", "a word"],
)
def test_anything_else_is_the_home_page(text):
    assert ReturnTo.checked(text, SETTINGS) == ReturnTo.home()
