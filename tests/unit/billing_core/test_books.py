"""Credit notes, payments, revenue month by month: every step balances, and steps add up to the whole."""

from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

import billing_core as billing
from billing_core import AmountInvalid, Party, quote_line
from billing_core.journal import Booking, book
from billing_core.recognition import schedule
from tests.unit.billing_core.firm import Firm, contract, day

FIRST = "INV-2026-000001"


def credit(firm: Firm, number: str = FIRST, **more) -> billing.Invoice:
    made: billing.Invoice = firm.call("credit", number=number, reason="Agreed by phone", **more)
    return made


def pay(firm: Firm, amount: int, reference: str = "wire 1", number: str = FIRST, paid_on: date = date(2026, 2, 1)):
    return firm.call("record_payment", number=number, amount=amount, paid_on=paid_on, reference=reference)


def test_an_invoice_is_booked_as_receivable_deferred_revenue_and_tax(firm):
    assert firm.balances() == {
        "receivable": {"USD": 2_856_000},
        "deferred_revenue": {"USD": -2_400_000},
        "tax_payable": {"USD": -456_000},
    }


def test_a_whole_credit_is_the_reversal_and_leaves_the_seats(firm):
    note = credit(firm)
    assert (note.number, note.kind, note.refers_to, note.reason) == (
        "CN-2026-000001",
        "credit_note",
        FIRST,
        "Agreed by phone",
    )
    assert (note.net.amount, note.tax.amount, note.status(firm.now)) == (2_400_000, 456_000, "settled")
    assert firm.balances() == {account: {"USD": 0} for account in ("receivable", "deferred_revenue", "tax_payable")}
    assert firm.document(FIRST).status(firm.now) == "credited"
    assert firm.seats == 100
    assert firm.findings() == []


@pytest.mark.parametrize("steps", [[1], [799_999, 1, 800_000, 799_999], [333_333] * 7])
def test_credits_in_any_steps_add_up_to_the_invoice_exactly(firm, steps):
    firm.call("amend_contract", contract=contract(tax=[{"category": "S", "rate_percent": "7.7"}]))
    notes = [credit(firm, net=net) for net in steps]
    notes.append(credit(firm))
    whole = firm.document(FIRST)
    assert sum(note.net.amount for note in notes) == whole.net.amount
    assert sum(note.tax.amount for note in notes) == whole.tax.amount
    assert all(note.tax.amount >= 0 for note in notes)
    assert firm.findings() == []


@pytest.mark.parametrize("net", [0, -1, 2_400_001, True, "5", 1.5])
def test_no_more_than_what_is_left_is_credited(small_firm, net):
    with pytest.raises(AmountInvalid):
        credit(small_firm, net=net)


def test_a_credited_invoice_and_a_credit_note_have_nothing_left_to_credit(small_firm):
    note = credit(small_firm)
    for number in (FIRST, note.number):
        with pytest.raises(AmountInvalid):
            credit(small_firm, number)


def test_a_credit_needs_a_reason_and_a_document(small_firm):
    with pytest.raises(billing.OrderInvalid):
        small_firm.call("credit", number=FIRST, reason="")
    with pytest.raises(billing.InvoiceUnknown):
        credit(small_firm, "INV-2026-000099")


def test_a_partial_credit_says_so_and_a_whole_one_repeats_the_product(firm):
    assert credit(firm, net=100).lines[0].text == (
        "Credit of 1.00 USD out of 24,000.00 USD of invoice INV-2026-000001, line 1"
    )
    bought = firm.buy(5)
    assert (
        credit(firm, bought.number).lines[0].text
        == f"Credit of invoice {bought.number}, line 1: {bought.lines[0].text}"
    )


def test_a_correction_takes_back_and_issues_again_for_another_buyer(firm):
    pay(firm, 1_000_000)
    pay(firm, 500_000, "wire 2")
    made = firm.call("correct", number=FIRST, reason="Wrong legal name", buyer=Party("Acme S.A."), po_number="PO-9")
    assert (made.credit_note.number, made.invoice.number, made.invoice.origin) == (
        "CN-2026-000001",
        "INV-2026-000002",
        "correction",
    )
    assert (made.invoice.buyer.name, made.invoice.po_number, made.invoice.refers_to) == ("Acme S.A.", "PO-9", FIRST)
    assert made.invoice.totals == made.credit_note.totals
    assert made.invoice.paid == firm.document("INV-2026-000002").paid == 1_500_000
    assert firm.document(FIRST).paid == 0
    assert (firm.document(FIRST).status(firm.now), firm.document("INV-2026-000002").status(firm.now)) == (
        "credited",
        "open",
    )
    assert firm.seats == 100
    assert firm.findings() == []


def test_a_correction_keeps_what_is_not_wrong(small_firm):
    bought = small_firm.buy(5, po_number="PO-1")
    made = small_firm.call("correct", number=bought.number, reason="Printed badly")
    assert (made.invoice.buyer, made.invoice.po_number, made.invoice.lines) == (bought.buyer, "PO-1", bought.lines)


def test_a_partly_credited_invoice_is_not_corrected(small_firm):
    credit(small_firm, net=1)
    with pytest.raises(AmountInvalid, match="credited before"):
        small_firm.call("correct", number=FIRST, reason="Too late")


def test_payments_move_cash_against_receivable_until_nothing_is_open(firm):
    assert pay(firm, 1_000_000).status(firm.now) == "open"
    paid = pay(firm, 1_856_000, "wire 2")
    assert (paid.status(firm.now), paid.outstanding.amount) == ("paid", 0)
    assert firm.balances()["cash"] == {"USD": 2_856_000}
    assert firm.balances()["receivable"] == {"USD": 0}
    assert firm.findings() == []


def test_a_payment_reference_counts_once(firm):
    first = pay(firm, 1_000)
    assert pay(firm, 1_000) == first
    assert firm.document(FIRST).paid == 1_000
    for other in ({"amount": 999}, {"amount": 1_000, "paid_on": date(2026, 2, 2)}):
        with pytest.raises(billing.PaymentConflict):
            pay(firm, **other)


@pytest.mark.parametrize("amount", [0, -1, 2_856_001, True, "1"])
def test_no_more_than_what_is_outstanding_is_paid(small_firm, amount):
    with pytest.raises(AmountInvalid):
        pay(small_firm, amount)


@pytest.mark.parametrize("reference", ["", "x" * 201, "a\nb", None])
def test_a_payment_has_a_reference(small_firm, reference):
    with pytest.raises(billing.OrderInvalid):
        pay(small_firm, 1, reference)


def test_an_invoice_is_overdue_from_the_day_after_the_due_date_in_the_sellers_zone(small_firm):
    invoice = small_firm.document(FIRST)
    assert invoice.due_on == date(2026, 1, 31)
    assert invoice.status(day(2026, 1, 31, 22)) == "open"
    assert invoice.status(day(2026, 1, 31, 23)) == "overdue"


def test_an_overdue_invoice_sells_on(small_firm):
    small_firm.at(day(2026, 5, 1))
    assert small_firm.document(FIRST).status(small_firm.now) == "overdue"
    assert small_firm.buy(1).lines[0].months == 8


def test_revenue_is_earned_a_twelfth_each_month_that_is_over(firm):
    assert firm.at(day(2026, 1, 31)).call("recognise") == 0
    assert firm.at(day(2026, 2, 1)).call("recognise") == 1
    assert firm.balances()["revenue"] == {"USD": -200_000}
    assert firm.call("recognise") == 0
    assert firm.at(day(2026, 12, 31)).call("recognise") == 10
    assert firm.at(day(2027, 1, 1)).call("recognise") == 1
    assert (firm.balances()["revenue"], firm.balances()["deferred_revenue"]) == ({"USD": -2_400_000}, {"USD": 0})
    assert firm.findings() == []


def test_a_credit_takes_earned_revenue_back_and_deferred_revenue_ends_at_nothing(firm):
    firm.buy(7)
    firm.at(day(2026, 5, 1)).call("recognise")
    credit(firm, net=1_000_001)
    firm.call("recognise")
    assert firm.findings() == []
    firm.at(day(2027, 1, 1)).call("recognise")
    assert firm.balances()["deferred_revenue"] == {"USD": 0}
    assert firm.balances()["revenue"] == {"USD": -(2_400_000 + 168_000 - 1_000_001)}
    assert firm.findings() == []


def test_many_small_credits_never_take_back_more_than_was_earned(small_firm):
    small = Firm(small_firm.engine, now=small_firm.now, customer="org_small").opened(
        seats=1, unit_price="0.0025", tax=[]
    )
    number = small.opening.invoice.number
    for _ in range(3):
        credit(small, number, net=1)
    for month in range(2, 13):
        small.at(day(2026, month, 1)).call("recognise")
        assert small.balances().get("revenue", {"USD": 0})["USD"] == 0
    assert small.findings() == []


@given(
    on=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    seats=st.integers(1, 50),
    price=st.decimals(0, 100, places=3),
    policy=st.sampled_from(["started_month", "month_plus_days"]),
)
def test_a_schedule_gives_every_unit_of_the_line_and_never_takes_one(on, seats, price, policy):
    terms = contract(unit_price=price, proration=policy, anchor_date="2026-01-01")
    line = quote_line(terms, seats, on)
    parts = schedule(line, terms.anchor_date)
    assert sum(part.amount for part in parts) == line.net
    assert all(part.amount >= 0 for part in parts)
    assert [part.month for part in parts] == list(range(on.month - 1, 12))
    done = Fraction(0)
    for part in parts:
        done += line.months - 11 + (on.month - 1) if part is parts[0] else 1
        earned = sum(each.amount for each in parts if each.month <= part.month)
        assert abs(earned - line.net * done / line.months) <= Fraction(1, 2)


def test_an_entry_that_does_not_balance_is_a_bug_and_is_not_written(small_firm):
    wrong = Booking("ctr", "inv", "test", "test", date(2026, 1, 1), "USD", {"cash": 1})
    with small_firm.engine.begin() as tx, pytest.raises(AssertionError, match="unbalanced"):
        book(tx, wrong, small_firm.now)


def test_balances_are_of_one_customer_or_of_all(firm):
    Firm(firm.engine, now=firm.now, customer="org_b").opened(seats=1, currency="JPY", tax=[])
    with firm.engine.begin() as tx:
        assert billing.balances(tx)["receivable"] == {"USD": 2_856_000, "JPY": 240}
        assert billing.balances(tx, "org_b") == {"receivable": {"JPY": 240}, "deferred_revenue": {"JPY": -240}}
