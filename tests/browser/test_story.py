"""The story that the product is about, told in real browsers against the running demonstration: an employee finds no
seat, the owner buys some, and the employee's page goes on by itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from sso_gate.demo.people import ANA, BRUNO, CARLA, DAVI, Person
from sso_gate.demo.story import first_day
from tests.support.demonstration import Demonstration, running_demonstration

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

CONTRACT_ZONE = ZoneInfo("America/Sao_Paulo")
PRICE, TAX = Decimal("20.00"), Decimal("0.19")
CONNECTIONS = {"saml": "Acme (SAML)", "oidc": "Acme (OpenID Connect)"}
PATIENCE_MS = 30_000
PICTURES = os.environ.get("SSO_GATE_TEST_PICTURES", "")
"""A folder in which the story leaves the pictures of `docs/pictures`; empty: nowhere."""


@pytest.fixture
def demonstration() -> Iterator[Demonstration]:
    with running_demonstration() as running:
        yield running


@pytest.fixture
def window(chromium: Browser) -> Iterator[Callable[[str], Page]]:
    """Opens one person's browser, which speaks their language."""
    with ExitStack() as profiles:

        def opened(language: str) -> Page:
            context = chromium.new_context(locale=language, viewport={"width": 1024, "height": 900})
            profiles.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            return context.new_page()

        yield opened


def signs_in(page: Page, person: Person) -> None:
    page.get_by_role("link", name=CONNECTIONS[person.protocol]).click()
    page.get_by_role("button", name=person.email).click()


def picture(page: Page, name: str) -> None:
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def months_left() -> int:
    """The months of the term that are left, the one that has begun included."""
    today = datetime.now(UTC).astimezone(CONTRACT_ZONE).date()
    begun = first_day(datetime.now(UTC).date())
    return 12 - ((today.year - begun.year) * 12 + today.month - begun.month) % 12


def dollars(amount: Decimal) -> str:
    return f"USD\N{NO-BREAK SPACE}{amount:,.2f}"


def test_a_denied_employee_waits_an_owner_adds_seats_and_the_page_goes_on_by_itself(
    demonstration: Demonstration, window: Callable[[str], Page]
):
    application, gate = demonstration.facts["application"], demonstration.facts["gate"]

    # Bruno comes by SAML and Carla by OpenID Connect: each has been invited, and nobody else has a seat to take now.
    for person in (BRUNO, CARLA):
        page = window("en-US")
        page.goto(f"{application}/reports")
        signs_in(page, person)
        page.wait_for_url(f"{application}/reports")
        assert page.locator("#email").inner_text() == person.email
        told = page.goto(f"{application}/api/me").json()
        assert (told["name"], told["email"], told["verified"], told["cookies"]) == (person.name, person.email, True, [])

    # Davi's first day: no seat is free. The page says so in his language, and he asks for one.
    davi = window("pt-BR")
    davi.goto(f"{application}/reports?year=2026")
    with davi.expect_response(re.compile(r"/denied/[^/]+$")) as denied:
        signs_in(davi, DAVI)
    assert denied.value.status == 403
    has_title(davi, "Ainda não há um assento livre para você")
    picture(davi, "denied")
    davi.get_by_text("Detalhes para o suporte").click()
    assert re.fullmatch(r"[0-9A-Z]{8}", davi.locator("dd code").nth(1).inner_text().replace("-", ""))
    davi.get_by_label("Mensagem para os Proprietários (opcional)").fill("Primeiro dia no suporte")
    davi.get_by_role("button", name="Pedir um assento").click()
    has_title(davi, "Pedido enviado")

    # Ana owns the contract. She sees who waits, and takes the pencil.
    ana = window("en-US")
    ana.goto(f"{gate}/settings/billing")
    signs_in(ana, ANA)
    ana.wait_for_url(f"{gate}/settings/billing")
    sees(ana.get_by_role("row", name=DAVI.email).get_by_text("Primeiro dia no suporte"))
    picture(ana, "billing")
    ana.get_by_role("link", name="Edit seats").click()
    sees(ana.get_by_text("2 people are waiting. We filled in 2."))

    # She reviews the exact price for the months left of the term; nothing has been bought yet.
    ana.get_by_role("button", name="Review").click()
    net = 2 * PRICE * months_left()
    tax = (net * TAX).quantize(Decimal("0.01"))
    for shown in (dollars(net), dollars(tax), dollars(net + tax)):
        sees(ana.get_by_text(shown, exact=True).first)
    picture(ana, "review")

    # Update: the seats are there, and so is the invoice over what she reviewed.
    ana.get_by_role("button", name="Update").click()
    has_title(ana, "2 seats added")
    sees(ana.get_by_text(DAVI.email))  # a seat is kept for who asked
    ana.get_by_role("link", name="View invoice").click()
    ana.wait_for_url(re.compile(r"/invoices/INV-"))
    number = ana.url.rpartition("/")[2]
    sees(ana.get_by_text(f"{net + tax:.2f}".replace(".", ",")).first)  # it speaks the company's language
    assert fetched(ana, f"{gate}/settings/billing/invoices/{number}.pdf").startswith(b"%PDF-")

    # Davi has not touched anything: his page goes on into what he wanted to open in the first place.
    davi.wait_for_url(f"{application}/reports?year=2026")
    assert davi.locator("#email").inner_text() == DAVI.email


def sees(what: Locator) -> None:
    expect(what).to_be_visible(timeout=PATIENCE_MS)


def has_title(page: Page, text: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(text, timeout=PATIENCE_MS)


def fetched(page: Page, url: str) -> bytes:
    """What the browser gets at this address, with its cookies."""
    script = "async url => Array.from(new Uint8Array(await (await fetch(url)).arrayBuffer()))"
    numbers: Any = page.evaluate(script, url)
    return bytes(numbers)
