"""The reviewed amount is the invoiced amount, or nothing happens."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

import billing_core as billing
from billing_core import KeyReused, Ordered, Stale
from tests.unit.billing_core.firm import Firm, contract, day


def test_the_published_example_from_quote_to_invoice(firm):
    quoted = firm.at(day(2026, 3, 1)).quote(5)
    ordered = firm.order(quoted, digest=quoted.digest, po_number="PO-4711")
    assert isinstance(ordered, Ordered)
    assert (ordered.invoice.net.amount, ordered.invoice.tax.amount) == (100_000, 19_000)
    assert ordered.invoice.lines == quoted.lines
    assert ordered.invoice.totals == quoted.totals
    assert ordered.invoice.po_number == "PO-4711"
    assert (ordered.order.seats_before, ordered.order.seats_after, ordered.order.added) == (100, 105, 5)
    assert (firm.seats, ordered.replayed) == (105, False)
    assert firm.findings() == []


def test_a_quote_says_all_that_a_buyer_reviews(firm):
    quoted = firm.at(day(2026, 3, 1)).quote(7)
    said = quoted.to_json()
    assert said["id"].startswith("quo_")
    assert (said["seats_before"], said["add"], said["seats_after"]) == (100, 7, 107)
    assert said["lines"][0]["text"] == "7 seats × 10 months (1 Mar 2026 – 31 Dec 2026) at 20.00 USD per seat and month"
    assert said["lines"][0]["period_end"] == "2026-12-31"
    assert said["net"] == {"amount": 140_000, "currency": "USD"}
    assert said["gross"] == {"amount": 166_600, "currency": "USD"}
    assert said["renewal"]["net"] == {"amount": 107 * 24_000, "currency": "USD"}
    assert (said["priced_at"], said["expires_at"]) == ("2026-03-01T15:00:00Z", "2026-03-01T15:30:00Z")
    assert quoted.renewal_totals.net == 107 * 24_000


def test_a_contract_that_ends_has_no_renewal_in_its_quotes(sqlite_engine):
    quoted = Firm(sqlite_engine, now=day(2026, 3, 1)).opened(auto_renew=False).quote()
    assert (quoted.renewal, quoted.renewal_totals, quoted.to_json()["renewal"]) == (None, None, None)


def test_a_stored_quote_is_the_quote_and_belongs_to_its_customer(firm):
    quoted = firm.quote()
    with firm.engine.begin() as tx:
        assert billing.quote(tx, quoted.id, customer=firm.customer) == quoted
        assert billing.quote(tx, quoted.id, customer="org_other") is None
        assert billing.quote(tx, "quo_none", customer=firm.customer) is None


def test_the_same_key_and_body_is_answered_from_the_first_time(firm):
    quoted = firm.quote()
    first = firm.order(quoted, key="k")
    again = firm.later(days=400).order(quoted, key="k")
    assert (again.order, again.invoice, again.replayed) == (first.order, first.invoice, True)
    assert firm.seats == 105


def test_the_same_key_with_another_body_is_a_conflict(firm):
    quoted = firm.quote()
    firm.order(quoted, key="k")
    assert firm.order(firm.quote(), key="k") == KeyReused()
    assert firm.order(quoted, key="k", po_number="PO-1") == KeyReused()
    assert firm.order(quoted, key="k", ordered_by="bruno") == KeyReused()
    assert firm.seats == 105


def test_a_key_belongs_to_its_customer(firm):
    other = Firm(firm.engine, now=firm.now, customer="org_other").opened()
    assert isinstance(firm.order(firm.quote(), key="k"), Ordered)
    assert isinstance(other.order(other.quote(), key="k"), Ordered)


def test_a_quote_is_ordered_once(firm):
    quoted = firm.quote()
    firm.order(quoted)
    stale = firm.order(quoted)
    assert isinstance(stale, Stale)
    assert (stale.why, firm.seats) == ("QUOTE_USED", 105)


def test_two_owners_at_once_buy_once_and_the_second_sees_why(firm):
    mine, yours = firm.quote(10), firm.quote(10)
    firm.order(yours, ordered_by="bruno")
    stale = firm.later(minutes=2).order(mine)
    assert isinstance(stale, Stale)
    assert stale.last_order is not None
    assert (stale.why, stale.last_order.ordered_by, stale.last_order.added) == ("SEATS_CHANGED", "bruno", 10)
    assert (stale.fresh_quote.seats_before, stale.fresh_quote.add) == (110, 10)
    assert firm.seats == 110
    assert isinstance(firm.order(stale.fresh_quote), Ordered)


def test_a_quote_expires_after_half_an_hour(firm):
    quoted = firm.quote()
    assert quoted.expires_at == firm.now + timedelta(minutes=30)
    stale = firm.later(minutes=30).order(quoted)
    assert (stale.why, stale.last_order) == ("QUOTE_EXPIRED", None)
    assert isinstance(firm.order(stale.fresh_quote), Ordered)


def test_a_quote_expires_when_the_price_changes(small_firm):
    started = small_firm.at(datetime(2026, 4, 1, 2, 50, tzinfo=UTC)).quote()
    assert started.line.months == 10
    assert started.expires_at == datetime(2026, 4, 1, 3, tzinfo=UTC)


def test_a_quote_by_the_day_expires_at_midnight(sqlite_engine):
    firm = Firm(sqlite_engine, now=datetime(2026, 4, 11, 2, 50, tzinfo=UTC)).opened(proration="month_plus_days")
    assert firm.quote().expires_at == datetime(2026, 4, 11, 3, tzinfo=UTC)


def test_a_quote_expires_at_the_end_of_the_term(small_firm):
    last = small_firm.at(datetime(2027, 1, 1, 2, 59, tzinfo=UTC)).quote(ttl_seconds=3600)
    assert last.expires_at == datetime(2027, 1, 1, 3, tzinfo=UTC)


def test_an_order_of_another_digest_buys_nothing(firm):
    stale = firm.order(firm.quote(), digest="0" * 64)
    assert (stale.why, firm.seats) == ("DIGEST_MISMATCH", 100)


def test_a_quote_whose_stored_amount_was_changed_buys_nothing(firm):
    quoted = firm.quote()
    with firm.engine.begin() as tx:
        tx.execute(text("UPDATE billing_quotes SET digest = 'another'"))
    stale = firm.order(quoted)
    assert (stale.why, firm.seats) == ("PRICE_CHANGED", 100)


def test_a_quote_whose_document_was_made_cheaper_buys_nothing(firm):
    quoted = firm.quote()
    with firm.engine.begin() as tx:
        tx.execute(text("UPDATE billing_quotes SET document = replace(document, '120000', '1')"))
    stale = firm.order(quoted, digest=quoted.digest)
    assert (stale.why, firm.seats) == ("DIGEST_MISMATCH", 100)
    forged = firm.quote()
    with firm.engine.begin() as tx:
        tx.execute(text("UPDATE billing_quotes SET document = replace(document, '120000', '1')"))
    assert firm.order(forged).why == "PRICE_CHANGED"
    assert firm.seats == 100


def test_an_unknown_quote_is_refused(firm):
    other = Firm(firm.engine, now=firm.now, customer="org_other").opened()
    with pytest.raises(billing.QuoteUnknown):
        other.order(firm.quote())


def test_a_contract_that_wants_a_po_number_gets_one(firm):
    firm.call("amend_contract", contract=contract(po_required=True))
    with pytest.raises(billing.PoNumberRequired) as refused:
        firm.order(firm.quote())
    assert refused.value.code == "PO_NUMBER_REQUIRED"
    assert firm.seats == 100
    assert isinstance(firm.order(firm.quote(), po_number="4711"), Ordered)


@pytest.mark.parametrize(
    "wrong", [{"po_number": "x" * 65}, {"po_number": "a\nb"}, {"ordered_by": ""}, {"key": "x" * 256}, {"ordered_by": 1}]
)
def test_words_that_cannot_be_kept_are_refused(small_firm, wrong):
    with pytest.raises(billing.OrderInvalid):
        small_firm.order(small_firm.quote(), **wrong)


@pytest.mark.parametrize("add", [0, -5, 10_001, True, "5", 5.0])
def test_only_one_to_ten_thousand_seats_are_quoted(small_firm, add):
    with pytest.raises(billing.QuantityInvalid):
        small_firm.quote(add)


def test_an_allocation_never_exceeds_a_million_seats(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 1, 1)).opened(seats=999_999)
    assert firm.quote(1).seats_after == 1_000_000
    with pytest.raises(billing.QuantityInvalid, match="more than"):
        firm.quote(2)


def test_a_term_that_is_over_is_renewed_before_anything_is_sold(firm):
    firm.at(day(2027, 1, 2))
    with pytest.raises(billing.RenewalDue) as refused:
        firm.quote()
    assert refused.value.code == "RENEWAL_DUE"
    quoted = firm.quote(in_use_at=lambda at: 95)
    assert (quoted.seats_before, quoted.line.months) == (95, 12)
    assert firm.findings() == []


def test_an_order_of_last_terms_quote_renews_and_asks_again(firm):
    quoted = firm.at(datetime(2027, 1, 1, 2, 59, tzinfo=UTC)).quote()
    stale = firm.at(day(2027, 1, 2)).order(quoted, in_use_at=lambda at: 95)
    assert (stale.why, stale.fresh_quote.seats_before) == ("QUOTE_EXPIRED", 95)


def test_orders_are_listed_newest_first_and_found_by_id(firm):
    placed = [firm.order(firm.quote(count)).order for count in (1, 2, 3)]
    with firm.engine.begin() as tx:
        assert billing.orders(tx, customer=firm.customer) == placed[::-1]
        assert billing.orders(tx, customer=firm.customer, limit=1) == placed[2:]
        assert billing.orders(tx, customer=firm.customer, limit=-1) == []
        found = billing.order_of(tx, customer=firm.customer, order_id=placed[0].id)
        assert found is not None
        assert (found.order, found.invoice.lines[0].seats) == (placed[0], 1)
        assert billing.order_of(tx, customer="org_other", order_id=placed[0].id) is None


def test_quotes_that_nobody_ordered_are_forgotten_after_a_month(firm):
    bought, lost = firm.quote(), firm.quote()
    firm.order(bought)
    with firm.engine.begin() as tx:
        assert billing.forget_quotes(tx, now=firm.now + timedelta(days=30)) == 0
        assert billing.forget_quotes(tx, now=firm.now + timedelta(days=31)) == 1
        assert billing.quote(tx, lost.id, customer=firm.customer) is None
        assert billing.quote(tx, bought.id, customer=firm.customer) == bought


def test_a_rollback_leaves_nothing_behind(firm):
    quoted = firm.quote()
    with pytest.raises(RuntimeError), firm.engine.begin() as tx:
        billing.order_seats(
            tx, customer=firm.customer, quote_id=quoted.id, idempotency_key="k", ordered_by="ana", now=firm.now
        )
        raise RuntimeError("the caller's own part failed")
    assert firm.seats == 100
    ordered = firm.order(quoted, key="k")
    assert (ordered.replayed, ordered.invoice.number) == (False, "INV-2026-000002")


def test_twenty_orders_of_twenty_quotes_at_once_buy_one_set_of_seats(firm):
    quotes = [firm.quote(10) for _ in range(20)]
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda i: firm.order(quotes[i], key=f"storm-{i}"), range(20)))
    assert sum(isinstance(result, Ordered) for result in results) == 1
    assert {result.why for result in results if isinstance(result, Stale)} == {"SEATS_CHANGED"}
    assert firm.seats == 110
    assert firm.findings() == []


def test_a_double_click_twenty_times_is_one_order(firm):
    quoted = firm.quote(10)
    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(lambda _: firm.order(quoted, key="click"), range(20)))
    assert {result.order.id for result in results} == {results[0].order.id}
    assert sum(not result.replayed for result in results) == 1
    assert firm.seats == 110
