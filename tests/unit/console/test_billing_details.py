"""S10: owners say whom invoices name and where they go; the organization's file or they, never both."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sso_gate.apply.apply import apply
from sso_gate.apply.file import read_file
from tests.unit.console.gate import Gate, hidden, plain
from tests.unit.console.test_numbers import done
from tests.unit.console.test_pages import reviewed

PATH = "/settings/billing/details"
REVIEW = "/settings/billing/seats/review"
ACME = {
    "name": "Acme Indústria e Comércio Ltda.",
    "address": "Av. Paulista 1000\r\n12º andar",
    "postcode": "01310-100",
    "city": "São Paulo SP",
    "country": "BR",
    "tax_id": "12.345.678/0001-90",
    "email": "finance@acme.example",
    "contacts": "books@accountants.example",
}
BUYER = """
[buyer]
name = "Acme by its file"
country = "MX"
tax_id = "ABC010203AB1"
contacts = ["books@accountants.example"]
"""


def form(browser, **typed: str) -> dict[str, str]:
    return {**ACME, "seen": hidden(browser.get(PATH).text, "seen"), **typed}


def applied(gate: Gate, more: str = "") -> tuple[str, ...]:
    """What applying the organization's file, and this behind it, says that it changed."""
    told: list[str] = []

    async def work(runtime: Any, _organization: str) -> None:
        file = gate.file.with_name("again.toml")
        file.write_text(gate.file.read_text() + more)
        wanted, text = read_file(file)
        told.extend((await apply(runtime, wanted, folder=file.parent, text=text, name=file.name)).changes)

    done(gate, work)
    return tuple(told)


def test_the_review_leads_to_the_details_and_back_and_the_next_invoice_alone_says_them(ana):
    review = ana.get(f"{REVIEW}?add=5&po_number=PO-1").text
    assert "Invoice in the name of Acme Ltda." in plain(review)
    assert f'href="{PATH}?add=5&amp;po_number=PO-1"' in review
    saved = ana.post(PATH, data=form(ana, add="5", po_number="PO-1"))
    assert (saved.status_code, saved.headers["location"]) == (303, f"{REVIEW}?add=5&po_number=PO-1")
    again = ana.get(saved.headers["location"]).text
    assert "Invoice in the name of Acme Indústria e Comércio Ltda." in plain(again)
    assert 'value="PO-1"' in again
    bought = ana.post(REVIEW, data=reviewed(ana, 5)).headers["location"]
    issued = re.search(r'href="(/settings/billing/invoices/INV-[^".]+)"', ana.get(bought).text)
    assert issued
    invoice = plain(ana.get(issued[1]).text)
    assert "CNPJ 12.345.678/0001-90 finance@acme.example" in invoice
    first = plain(ana.get("/settings/billing/invoices/INV-2026-000001").text)
    assert "CNPJ" not in first, "an issued document keeps what it says"
    assert "Acme Ltda." in first
    log = plain(ana.get("/settings/audit?action=billing.update").text)
    assert "1 event" in log
    assert "ana@acme.example billing.update" in log


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("name", " ", "Enter the legal name of who buys"),
        ("name", "x" * 201, "Use at most 200 characters"),
        ("tax_id", "1\t2", "Leave out characters that cannot be printed"),
        ("address", "1\n2\n3\n4\n5", "Use at most 4 lines"),
        ("country", "BX", "Choose a country of the list"),
        ("email", "finance", "Enter an email address, such as finance@acme.example"),
        ("contacts", "a@b.example, c", "Enter at most 5 email addresses, separated by commas"),
        ("contacts", ",".join(f"a{n}@b.example" for n in range(6)), "Enter at most 5 email addresses"),
    ],
)
def test_what_cannot_be_kept_is_said_at_its_field_and_what_was_typed_stays(ana, field, typed, said):
    answer = ana.post(PATH, data=form(ana, add="5", **{field: typed}))
    assert answer.status_code == 422
    assert f'<a href="#{field}">{said}' in answer.text
    for name in ("postcode", "tax_id", "contacts", "email"):
        assert f'value="{ACME[name] if name != field else typed}"' in answer.text
    assert hidden(answer.text, "add") == "5", "the way back to the review stays"
    assert "Invoice in the name of Acme Ltda." in plain(ana.get(f"{REVIEW}?add=1").text)


def test_of_two_owners_at_once_the_second_is_told_and_loses_nothing(gate, ana):
    with gate.browser("olga") as olga:
        hers = form(olga, name="Acme of Olga")
        assert ana.post(PATH, data=form(ana)).headers["location"] == f"{PATH}?done=saved"
        told = olga.post(PATH, data=hers)
        assert told.status_code == 409
        assert "Somebody else changed the billing details while you were editing" in told.text
        assert 'value="Acme of Olga"' in told.text
        assert olga.post(PATH, data=hers | {"seen": hidden(told.text, "seen")}).status_code == 303
    assert 'value="Acme of Olga"' in ana.get(PATH).text


def test_who_reviews_while_the_details_change_is_told_so_and_nothing_is_charged(gate, ana):
    mine = reviewed(ana, 5)
    with gate.browser("olga") as olga:
        olga.post(PATH, data=form(olga))
    answer = ana.post(REVIEW, data=mine)
    assert answer.status_code == 409
    assert "The contract or the billing details changed while you were reviewing. Nothing was charged." in answer.text
    assert "Invoice in the name of Acme Indústria" in plain(answer.text)


def test_a_viewer_looks_and_nobody_else_finds_anything(gate, ana):
    ana.post(PATH, data=form(ana))
    with gate.browser("finance") as finance, gate.browser("leo") as leo:
        page = finance.get(PATH)
        assert "CNPJ 12.345.678/0001-90" in plain(page.text)
        assert "books@accountants.example" in page.text
        assert f'action="{PATH}"' not in page.text
        unknown = leo.get("/no/such/path")
        for answer in (leo.get(PATH), leo.post(PATH, data=ACME), finance.post(PATH, data=ACME)):
            assert (answer.status_code, answer.content) == (404, unknown.content)


def test_a_silent_file_leaves_what_owners_chose_and_one_that_says_it_takes_it_over(gate, ana):
    ana.post(PATH, data=form(ana))
    assert applied(gate) == ()
    assert ACME["tax_id"] in ana.get(PATH).text
    told = applied(gate, BUYER)
    assert "billing details taken over from the settings" in told
    assert 'buyer.tax_id: "12.345.678/0001-90" → "ABC010203AB1" from the next invoice' in told
    page = ana.get(PATH).text
    assert "The organization's file says this." in page.replace("&#39;", "'")
    assert "RFC ABC010203AB1" in plain(page)
    assert ana.post(PATH, data={**ACME, "seen": "0"}).status_code == 409
    assert applied(gate, BUYER) == ()
    assert applied(gate) == ("billing details left to the settings",)
    assert 'value="ABC010203AB1"' in ana.get(PATH).text, "what the file said is theirs to change now"
    assert applied(gate) == ()


def test_the_name_of_the_tax_identifier_follows_the_country(ana):
    assert '<label for="tax_id">Tax ID' in ana.get(PATH).text
    for country, name in (("BR", "CNPJ"), ("MX", "RFC"), ("AR", "CUIT"), ("ES", "NIF")):
        ana.post(PATH, data=form(ana, country=country))
        assert f'<label for="tax_id">{name}</label>' in ana.get(PATH).text
