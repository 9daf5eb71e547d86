"""S6: whom an order has helped, as it is whenever the page is looked at."""

from __future__ import annotations

import re
from datetime import timedelta

from tests.unit.console.gate import hidden, plain


def bought(browser, seats):
    """The address of the page of an order of so many seats."""
    review = browser.get(f"/settings/billing/seats/review?add={seats}").text
    form = {name: hidden(review, name) for name in ("quote_id", "digest", "idempotency_key")}
    return browser.post("/settings/billing/seats/review", data=form).headers["location"]


def test_the_page_of_an_order_tells_who_is_in_who_returns_and_who_still_waits(gate, ana):
    for minute, name in enumerate(("bea", "carl", "dora")):
        gate.clock.instant += timedelta(minutes=minute)
        gate.waits(name)
    done = bought(ana, 2)
    page = ana.get(done).text
    shown = plain(page)
    assert "2 of 3 people who waited can now log in" in shown
    assert re.search(r"bea@acme\.example Waiting to return held until Mar 4, 2026", shown)
    assert "dora@acme.example Still waits" in shown
    gate.comes_again("bea")
    shown = plain(ana.get(done).text)
    assert "2 of 3 people who waited can now log in" in shown
    assert "bea@acme.example In" in shown
    assert "carl@acme.example Waiting to return" in shown
    gate.clock.instant += timedelta(hours=73)
    gate.comes_again("ana")
    with gate.browser("ana") as later:
        shown = plain(later.get(done).text)
    assert "carl@acme.example Still waits" in shown, "nobody came for the seat in time"
    assert "1 of 3 people" in shown


def test_an_order_for_which_nobody_waited_tells_of_nobody_and_belongs_to_its_buyers(gate, ana):
    done = bought(ana, 1)
    assert "can now log in" not in ana.get(done).text
    with gate.browser("finance") as finance:
        unknown, answer = finance.get("/no/such/path"), finance.get(done)
        assert (answer.status_code, answer.content) == (404, unknown.content)
