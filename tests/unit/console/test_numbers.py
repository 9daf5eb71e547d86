"""The numbers of Billing home explain themselves, what-if prices buy nothing, and what changed meanwhile is said."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from sso_gate.admission.revoke import Revoker
from sso_gate.billing.renewal import renew_due
from sso_gate.organizations import store as organizations
from sso_gate.storage.open import open_runtime
from sso_gate.storage.runtime import Runtime
from tests.support.gates import OPERATOR
from tests.unit.console.gate import Gate, finished, plain
from tests.unit.console.test_pages import reviewed

HOME = "/settings/billing"
UPDATE = "/settings/billing/seats/review"


def done(gate: Gate, work: Callable[[Runtime, str], Any]) -> None:
    """Let a use case happen to the organization."""

    async def run() -> None:
        runtime = open_runtime(gate.settings, gate.clock)
        acme = await runtime.database.read(lambda tx: organizations.by_slug(tx, "acme"))
        assert acme is not None
        await work(runtime, acme.id)
        await runtime.close()

    finished(run())


def test_every_number_says_what_it_counts_and_leads_to_those_who_are_counted(gate, ana):
    gate.waits("eva")
    text = ana.get(HOME).text
    page = plain(text)
    assert "Purchased 3 In use 3 Reserved 0 Available 0 Waiting 1" in page
    for said in (
        "People who hold a seat.",
        "Seats kept for somebody: people for whom a seat is held, and invites that have not expired.",
        "Purchased, less in use, less reserved; never below zero.",
        "As of Mar 1, 2026",
    ):
        assert said in page
    for link in ("/settings/members?state=held", "#waiting"):
        assert f'<a href="{link}">See who</a>' in text
    for link in ("/settings/billing/invoices", "/settings/members/invites"):
        assert f'<a href="{link}">' in text
    assert ana.get(HOME + "?lang=pt-BR").text.count("Ver quem") >= 2


def test_a_what_if_price_is_that_of_the_review_and_buys_nothing(ana):
    page = plain(ana.get(f"{HOME}?add=5&on=2026-03-01").text)
    assert "5 seats × $20.00 per month × 10 months left = USD 1,000.00" in page
    assert "At renewal on Jan 1, 2027 : 8 seats , USD 1,920.00" in page.replace("8 seats,", "8 seats ,")
    assert "USD 1,000.00" in plain(ana.get(f"{UPDATE}?add=5").text)
    later = plain(ana.get(f"{HOME}?add=5&on=2026-06-15").text)
    assert "5 seats × $20.00 per month × 7 months left = USD 700.00" in later
    assert "Purchased 3" in later


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("add=0", "Enter a whole number from 1 to 10,000"),
        ("add=x&on=2026-06-15", "Enter a whole number from 1 to 10,000"),
        ("add=5&on=2025-12-31", "The contract has not started yet."),
        ("add=5&on=tomorrow", "Enter a day, such as 2027-06-15"),
    ],
)
def test_a_what_if_without_an_answer_says_why(ana, query, said):
    answer = ana.get(f"{HOME}?{query}")
    assert answer.status_code == 200
    assert said in answer.text.replace("&#39;", "'")


def test_the_forecast_waits_for_two_weeks_of_history_and_says_how_it_is_worked_out(gate, ana):
    assert "Not enough history for a forecast yet." not in ana.get(HOME).text, "nothing to forecast from on day one"
    gate.clock.instant += timedelta(days=10)
    assert "Not enough history for a forecast yet." in gate_page(gate)
    gate.clock.instant += timedelta(days=10)
    page = gate_page(gate)
    assert "All seats are taken." in page
    assert "We counted the net change of seats on each of the last 21 days (3 in all)" in page
    assert "With 3 more seats, they last until about" in page
    gate.waits("eva")
    assert "With 4 more seats, they last until about" in gate_page(gate), "who waits is seated first"


def gate_page(gate: Gate) -> str:
    """Billing home as Ana sees it after a new login."""
    gate.comes_again("ana")
    with gate.browser("ana") as browser:
        return plain(browser.get(HOME).text)


def test_seats_that_nobody_used_for_two_months_are_pointed_out_before_buying(gate, ana):
    assert "Before you buy" not in ana.get(HOME).text
    gate.clock.instant += timedelta(days=61)
    page = gate_page(gate)
    assert "Before you buy: 2 seats were not used in the last 60 days. Look through them" in page


def test_a_contract_that_was_renewed_during_the_review_charges_nothing(gate, ana):
    gate.clock.instant += timedelta(days=306) - timedelta(minutes=20)
    gate.comes_again("ana")
    with gate.browser("ana") as browser:
        form = reviewed(browser, 2)
        gate.clock.instant += timedelta(days=1)
        done(gate, lambda runtime, _: renew_due(runtime))
        gate.comes_again("ana")
        browser.headers["cookie"] = f"__Host-sso_gate={gate.cookies['ana']}"
        answer = browser.post(UPDATE, data=form)
        page = plain(answer.text)
        assert answer.status_code == 409
        assert "Nothing was charged." in page
        assert "12 months left" in page, "the fresh price is that of the new term"
        assert "Purchased 3" in plain(browser.get(HOME).text)


def test_a_seat_that_is_released_during_the_review_changes_no_price(gate, ana):
    form = reviewed(ana, 2)
    done(gate, lambda runtime, acme: Revoker.of(runtime).release(acme, "leo@acme.example", by=OPERATOR))
    assert ana.post(UPDATE, data=form).status_code == 303


def test_an_order_for_another_price_than_the_reviewed_one_is_refused(ana):
    form = reviewed(ana, 2) | {"digest": "0" * 64}
    answer = ana.post(UPDATE, data=form)
    assert answer.status_code in {409, 422}
    assert "Nothing was charged." in answer.text
    assert "Purchased 3" in plain(ana.get(HOME).text)


def test_one_key_does_not_order_two_different_things(ana):
    first, second = reviewed(ana, 1), reviewed(ana, 2)
    assert ana.post(UPDATE, data=first).status_code == 303
    answer = ana.post(UPDATE, data=second | {"idempotency_key": first["idempotency_key"]})
    assert answer.status_code == 409
    assert "Purchased 4" in plain(ana.get(HOME).text)
