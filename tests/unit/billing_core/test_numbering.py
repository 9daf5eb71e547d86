"""No gap and no duplicate: under rollback, a crash of the process, and twenty issuers at once."""

import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from typing import Any

import pytest
from sqlalchemy import create_engine

import billing_core as billing
from billing_core import Seller
from billing_core.numbering import number_text
from tests.unit.billing_core.firm import BUYER, SELLER, Firm, contract, day


def numbers(firm: Firm) -> list[str]:
    return sorted(invoice.number for invoice in firm.documents(limit=500))


def test_numbers_restart_each_year_of_the_issue_date(firm):
    firm.buy()
    firm.at(day(2027, 1, 2)).renew()
    assert numbers(firm) == ["INV-2026-000001", "INV-2026-000002", "INV-2027-000001"]


def test_invoices_and_credit_notes_have_series_of_their_own(firm):
    firm.buy()
    firm.call("credit", number="INV-2026-000002", reason="Agreed")
    firm.buy()
    assert numbers(firm) == ["CN-2026-000001", "INV-2026-000001", "INV-2026-000002", "INV-2026-000003"]


def test_the_year_is_that_of_the_sellers_zone(sqlite_engine):
    new_year_in_berlin = datetime(2026, 12, 31, 23, 30, tzinfo=UTC)
    firm = Firm(sqlite_engine, now=new_year_in_berlin).opened()
    assert (firm.opening.invoice.number, firm.opening.invoice.issued_on) == ("INV-2027-000001", date(2027, 1, 1))
    assert firm.opening.invoice.lines[0].months == 12


def test_an_issue_date_never_goes_back_within_a_series(firm):
    firm.at(day(2026, 3, 5)).buy()
    late = firm.at(day(2026, 3, 4)).buy()
    assert late.issued_on == date(2026, 3, 5)
    assert late.lines[0].period_start == date(2026, 3, 4)
    assert firm.findings() == []


def test_a_clock_that_goes_back_over_new_year_stays_in_the_year_of_the_series(firm):
    firm.at(day(2027, 1, 2)).renew()
    other = Firm(firm.engine, now=day(2026, 12, 31), customer="org_late").opened()
    assert other.opening.invoice.number == "INV-2027-000002"
    assert firm.findings() == []


def test_each_seller_counts_for_itself(firm):
    other = Firm(firm.engine, now=firm.now, customer="org_b").opened(seller=Seller("Another Ltd", timezone="UTC"))
    assert other.opening.invoice.number == "INV-2026-000001"
    assert firm.findings() == []
    with firm.engine.begin() as tx:
        assert billing.invoice(tx, customer="org_b", number="INV-2026-000001") == other.opening.invoice


def test_a_millionth_document_has_a_seventh_digit():
    assert number_text("invoice", 2026, 1_000_000) == "INV-2026-1000000"


def test_a_rollback_gives_the_number_back(firm):
    with pytest.raises(RuntimeError), firm.engine.begin() as tx:
        billing.credit(tx, customer=firm.customer, number="INV-2026-000001", reason="Agreed", now=firm.now)
        raise RuntimeError("changed my mind")
    assert firm.call("credit", number="INV-2026-000001", reason="Agreed").number == "CN-2026-000001"
    assert firm.findings() == []


def _die_while_issuing(url: str, quote_id: str, now: datetime) -> None:
    """Runs in a process of its own, which is gone before it can commit or roll back."""
    engine = create_engine(url)
    tx = engine.connect()
    tx.begin()
    arguments: dict[str, Any] = {
        "customer": "org_acme",
        "quote_id": quote_id,
        "idempotency_key": "k",
        "ordered_by": "ana",
        "now": now,
    }
    assert isinstance(billing.order_seats(tx, **arguments), billing.Ordered)
    os._exit(9)


def test_a_process_that_dies_while_issuing_leaves_no_gap(firm):
    quoted = firm.quote()
    url = firm.engine.url.render_as_string(hide_password=False)
    child = multiprocessing.get_context("spawn").Process(target=_die_while_issuing, args=(url, quoted.id, firm.now))
    child.start()
    child.join(60)
    assert child.exitcode == 9
    assert firm.seats == 100
    ordered = firm.order(quoted, key="k")
    assert (ordered.invoice.number, ordered.replayed) == ("INV-2026-000002", False)
    assert firm.findings() == []


def test_twenty_customers_at_once_get_twenty_numbers_in_a_row(firm):
    def opened(i: int) -> str:
        return str(Firm(firm.engine, now=firm.now, customer=f"org_{i}").opened().opening.invoice.number)

    with ThreadPoolExecutor(20) as pool:
        given = sorted(pool.map(opened, range(20)))
    assert given == [f"INV-2026-{i:06d}" for i in range(2, 22)]
    assert firm.findings() == []


def test_one_customer_opened_twenty_times_at_once_has_one_contract(firm):
    def opened(_: int) -> tuple[bool, str]:
        with firm.engine.begin() as tx:
            made = billing.open_contract(
                tx,
                customer="org_same",
                contract=contract(),
                seats=7,
                buyer=BUYER,
                seller=SELLER,
                locale="en",
                now=firm.now,
            )
        assert made.invoice is not None
        return made.created, made.invoice.number

    with ThreadPoolExecutor(20) as pool:
        results = list(pool.map(opened, range(20)))
    assert sum(created for created, _ in results) == 1
    assert {number for _, number in results} == {"INV-2026-000002"}


def test_documents_are_paged_newest_first(firm):
    for _ in range(4):
        firm.buy(1)
    first = firm.documents(limit=2)
    second = firm.documents(limit=2, after=first[-1].number)
    rest = firm.documents(after=second[-1].number)
    assert [invoice.number[-1] for invoice in (*first, *second, *rest)] == ["5", "4", "3", "2", "1"]
    assert firm.documents(limit=0) == firm.documents(limit=-1) == []
    assert firm.documents(after="INV-1999-000001") == []
