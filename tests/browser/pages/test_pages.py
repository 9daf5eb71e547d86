"""Every page in a real browser under the real policy: accessible, in three languages, light and dark, wide and
narrow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from sso_gate.web import templates
from tests.browser.pages.gallery import SAMPLES, Gallery, fullest
from tests.browser.pages.pseudo_locale import Longer
from tests.support.chromium import running_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

LANGUAGES = ("en", "pt-BR", "es")
SCHEMES = ("light", "dark")
WIDTHS = (320, 1280)
VIEWS = list(product(LANGUAGES, SCHEMES))
AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations", "incomplete"],
}
ASK_AXE = """async options => {
    const told = items => items.flatMap(item => item.nodes.map(node => [item.id, node.html.slice(0, 200)]))
    const found = await axe.run(document, options)
    return [told(found.violations), told(found.incomplete)]
}"""
MEASURE = """() => {
    const page = document.documentElement
    return [page.scrollWidth - page.clientWidth, page.lang, document.querySelectorAll("h1").length]
}"""
# What axe cannot decide by itself, and the answer.
ANSWERED = {
    "color-contrast": "No text stands over the pattern of the seat bar; tests/unit/web/test_contrast.py computes every"
    " pair of colours that text and its ground have.",
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """One browser for all of these tests: none of them is asynchronous."""
    with running_chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def gallery() -> Iterator[Gallery]:
    with Gallery().serving() as served:
        yield served


@pytest.fixture
def gallery_state(gallery: Gallery) -> Gallery:
    gallery.__dict__.update(vars(Gallery()) | {"url": gallery.url})
    return gallery


def opened(chromium: Browser, language: str, scheme: Any, width: int, **options: Any) -> Page:
    context = chromium.new_context(
        locale=language, color_scheme=scheme, viewport={"width": width, "height": 900}, **options
    )
    return context.new_page()


def findings(page: Page) -> list[str]:
    violations, incomplete = page.evaluate(ASK_AXE, AXE_OPTIONS)
    open_questions = [item for item in incomplete if item[0] not in ANSWERED]
    return [f"{rule}: {html}" for rule, html in violations + open_questions]


def shape(page: Page, language: str) -> list[str]:
    """Says by how much the page scrolls sideways, narrow or wide, and what else is odd; it is left narrow."""
    found = []
    for width in reversed(WIDTHS):
        page.set_viewport_size({"width": width, "height": 900})
        over, spoken, headings = page.evaluate(MEASURE)
        found += [f"{over} px too wide at {width}"] if over > 0 else []
        found += [] if (spoken, headings) == (language, 1) else [f"speaks {spoken}, {headings} first headings"]
    return found


def problems_of(page: Page, language: str, *, narrow: bool) -> list[str]:
    problems = [] if narrow else findings(page)
    return problems + shape(page, language) + (findings(page) if narrow else [])


def axe_over(
    chromium: Browser, axe: str, gallery: Gallery, view: tuple[str, str], names: dict[str, bool]
) -> dict[str, Any]:
    """What is wrong with these pages in this view; the value of a name says whether axe sees it narrow."""
    page, wrong = opened(chromium, *view, WIDTHS[-1]), {}
    page.add_init_script(axe)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    for name, narrow in names.items():
        page.set_viewport_size({"width": WIDTHS[-1], "height": 900})
        page.goto(f"{gallery.url}/page/{name}")
        problems = problems_of(page, view[0], narrow=narrow)
        problems += [text for text in complaints if "status of 4" not in text and "status of 5" not in text]
        complaints.clear()
        if problems:
            wrong[name] = problems
    page.context.close()
    return wrong


@pytest.mark.parametrize("turn", range(len(VIEWS)), ids=["-".join(view) for view in VIEWS])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(turn, chromium, axe_source, gallery):
    """Each template is seen in one language and theme, by axe in one width, with the fullest of its samples.

    `make soak` sees every sample in every view, and the longer words every sample on a narrow page.
    """
    mine = [name for index, name in enumerate(fullest()) if index % len(VIEWS) == turn]
    names = {name: bool(index % 2) for index, name in enumerate(mine)}
    assert axe_over(chromium, axe_source, gallery, VIEWS[turn], names) == {}


@pytest.mark.soak
@pytest.mark.parametrize("narrow", [True, False])
@pytest.mark.parametrize("view", VIEWS, ids=["-".join(view) for view in VIEWS])
def test_axe_finds_nothing_on_any_page_in_any_view(view, narrow, chromium, axe_source, gallery):
    assert axe_over(chromium, axe_source, gallery, view, dict.fromkeys(SAMPLES, narrow)) == {}


@pytest.mark.parametrize(
    "names", [fullest(), pytest.param(list(SAMPLES), marks=pytest.mark.soak)], ids=["fullest", "all"]
)
def test_no_page_scrolls_sideways_when_all_words_are_longer(names, chromium, monkeypatch):
    monkeypatch.setattr(templates, "translations", lambda _tag: Longer())
    page = opened(chromium, "en", "light", WIDTHS[0])
    too_wide = {}
    with Gallery().serving() as gallery:
        for name in names:
            page.goto(f"{gallery.url}/page/{name}")
            over, _, _ = page.evaluate(MEASURE)
            if over > 0:
                too_wide[name] = over
        assert "Dévélöpér" in page.content(), "the last page does speak that language"
    page.context.close()
    assert too_wide == {}


def test_the_waiting_page_says_when_a_seat_is_ready_and_goes_on_without_moving_the_focus(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.clock.install()
    page.goto(f"{gallery_state.url}/page/denied-blocked")
    page.get_by_label("Message for the Owners").focus()
    status = page.get_by_role("status").first
    assert status.inner_text() == "This page checks for a seat every few seconds."
    gallery_state.state = {**gallery_state.state, "state": "held"}
    page.clock.run_for(3100)
    expect(page).to_have_title(re.compile("^✓ "))
    assert page.get_by_role("heading", level=1).inner_text() == "A seat is ready for you"
    assert status.inner_text() == "A seat is ready for you. Continuing in 5 seconds."
    assert page.evaluate("document.activeElement.tagName") in {"TEXTAREA", "BODY"}
    page.clock.run_for(5100)
    page.wait_for_url("**/arrived")


def test_continuing_by_itself_can_be_switched_off_and_a_loop_stops(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.clock.install()
    page.goto(f"{gallery_state.url}/page/denied-held")
    page.get_by_label("Continue automatically").uncheck()
    page.clock.run_for(20_000)
    assert page.url.endswith("/page/denied-held")
    page.get_by_label("Continue automatically").check()
    page.clock.run_for(5100)
    page.wait_for_url("**/login/acme-okta*")
    page.goto(f"{gallery_state.url}/page/denied-held")
    assert not page.get_by_label("Continue automatically").is_checked(), "denied again within a minute: no loop"


def test_the_waiting_page_slows_down_when_the_gate_is_in_trouble(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.clock.install()
    gallery_state.status = 503
    page.goto(f"{gallery_state.url}/page/denied-blocked")
    for _ in range(20):
        page.clock.run_for(3000)
        page.wait_for_timeout(20)
    assert 2 <= gallery_state.asked <= 6, "20 turns of three seconds: 6, 12, 24 … between the tries"


def test_the_waiting_page_works_without_scripts(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280, java_script_enabled=False)
    page.goto(f"{gallery_state.url}/page/denied-blocked")
    assert page.get_by_role("link", name="Check again").is_visible()
    assert page.get_by_role("button", name="Ask for a seat").is_visible()
    assert not page.get_by_label("Continue automatically").is_visible(), "what needs a script is not shown without one"
    page.goto(f"{gallery_state.url}/page/denied-held")
    assert page.get_by_role("link", name="Continue").is_visible()


def test_a_session_that_is_about_to_end_is_made_to_last_by_one_button_and_nothing_typed_is_lost(
    chromium, axe_source, gallery_state
):
    page = opened(chromium, "es", "dark", 320)
    page.add_init_script(axe_source)
    page.clock.install()
    page.goto(f"{gallery_state.url}/page/notifications")
    typed, warning = page.locator("#seats_left"), page.get_by_role("dialog", name="Su sesión está por terminar")
    typed.fill("7")
    page.clock.fast_forward("07:57:50")
    assert not warning.is_visible()
    page.clock.fast_forward("00:20")
    assert warning.is_visible()
    assert page.evaluate("document.activeElement.textContent") == "Continuar con la sesión"
    assert problems_of(page, "es", narrow=True) == []
    page.keyboard.press("Enter")
    expect(warning).not_to_be_visible()
    page.clock.fast_forward("07:57:50")
    assert not warning.is_visible(), "counted anew"
    gallery_state.stay = {}
    page.clock.fast_forward("00:20")
    page.get_by_role("button", name="Continuar con la sesión").click()
    over = page.get_by_role("dialog", name="Su sesión ha terminado")
    assert over.get_by_role("link", name="Iniciar sesión de nuevo").get_attribute("href") == "/login?choose=1"
    page.keyboard.press("Escape")
    assert typed.input_value() == "7"


def test_who_has_no_scripts_is_told_until_when_they_are_logged_in(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280, java_script_enabled=False)
    page.goto(f"{gallery_state.url}/page/notifications")
    assert page.get_by_text("longer with every page that you open").is_visible()
    assert not page.locator("#stay").is_visible()


def test_the_price_follows_the_number_while_typing(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.goto(f"{gallery_state.url}/page/seats-edit")
    page.get_by_label("Seats to add").fill("12")
    page.get_by_text("12 × $30.00").wait_for()
    assert page.locator("#new-total").inner_text() == "112"
    page.get_by_label("Seats to add").fill("0")
    expect(page.locator("#live-price")).to_have_text("")


def test_who_wants_no_motion_gets_none_and_forced_colours_keep_every_state_apart(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280, reduced_motion="reduce", forced_colors="active")
    page.goto(f"{gallery_state.url}/page/billing-full")
    moves = "found => found.map(one => getComputedStyle(one)).map(one => one.transitionDuration + one.animationName)"
    assert set(page.locator("*").evaluate_all(moves)) == {"0snone"}
    fills = page.locator(".seatbar rect.ground, .seatbar rect.used").evaluate_all(
        "found => found.map(one => getComputedStyle(one).fill)"
    )
    assert len(set(fills)) == 2, "the seats in use are told from the free ones"
    borders = page.locator(".button, .badge, input").evaluate_all(
        "found => found.map(one => getComputedStyle(one).borderStyle)"
    )
    assert set(borders) == {"solid"}, "what looks like a control by its ground alone has a border"


def test_the_name_of_the_tax_identifier_follows_the_country_and_a_typed_po_number_goes_along(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.goto(f"{gallery_state.url}/page/billing-details")
    page.get_by_label("Country").select_option("MX")
    expect(page.get_by_label("RFC")).to_have_value("12.345.678/0001-90")
    page.goto(f"{gallery_state.url}/page/seats-review")
    page.get_by_label("PO number").fill("PO 7&8")
    page.get_by_role("link", name="Change whom the invoice names").click()
    assert page.url.endswith("/settings/billing/details?add=7&po_number=PO+7%268")


def test_a_file_in_the_making_says_how_far_it_is_and_that_it_is_ready(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.clock.install()
    page.goto(f"{gallery_state.url}/page/audit-export-running")
    assert page.get_by_label("12,500 of 41,230 events").is_visible()
    page.route(
        "**/page/audit-export-running", lambda route: route.continue_(url=route.request.url.replace("running", "ready"))
    )
    page.clock.run_for(3100)
    expect(page.get_by_role("link", name="Download")).to_be_visible()
    assert page.get_by_role("status").first.inner_text() == "The file is ready."


def test_an_error_summary_has_the_focus_and_leads_to_its_field(chromium, gallery_state):
    page = opened(chromium, "pt-BR", "dark", 320)
    page.goto(f"{gallery_state.url}/page/seats-edit-wrong")
    assert page.evaluate("document.activeElement.id") == "error-summary"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "add"
    described = page.locator("#add").get_attribute("aria-describedby")
    assert page.locator(f"#{described}").is_visible()


def test_times_are_shown_in_the_readers_own_zone(chromium, gallery_state):
    page = opened(chromium, "es", "light", 1280, timezone_id="America/Mexico_City")
    page.goto(f"{gallery_state.url}/page/seats-review")
    assert page.locator("main time[data-local]").inner_text() == "11:35"


def test_the_language_links_stay_on_the_page(chromium, gallery_state):
    page = opened(chromium, "en", "light", 1280)
    page.goto(f"{gallery_state.url}/page/not-found")
    page.get_by_role("link", name="Español").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Página no encontrada"
    assert "/page/not-found?lang=es" in page.url
