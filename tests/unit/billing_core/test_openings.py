"""Opening a contract invoices its first term at once; what was agreed changes only where it may."""

from datetime import date

import pytest

import billing_core as billing
from billing_core import ContractChangeRefused, ContractUnknown, Party, QuantityInvalid
from tests.unit.billing_core.firm import BUYER, SELLER, Firm, contract, day


def test_the_first_term_is_invoiced_at_once_for_all_seats(firm):
    invoice = firm.opening.invoice
    assert firm.opening.created
    assert (invoice.number, invoice.origin, invoice.issued_on) == ("INV-2026-000001", "opening", date(2026, 1, 1))
    assert (invoice.lines[0].seats, invoice.lines[0].months, invoice.net.amount) == (100, 12, 2_400_000)
    assert (invoice.tax.amount, invoice.gross.amount) == (456_000, 2_856_000)
    assert firm.seats == 100
    assert firm.findings() == []


def test_opening_again_changes_nothing_and_gives_the_same_invoice(firm):
    first = firm.opening
    again = firm.later(days=40).opened(seats=500, unit_price="99").opening
    assert not again.created
    assert again.invoice == first.invoice
    assert (firm.seats, firm.stored.contract.unit_price) == (100, first.contract.contract.unit_price)
    assert len(firm.documents()) == 1


def test_an_anchor_years_ago_opens_the_running_term_and_invoices_no_past(engine):
    firm = Firm(engine, now=day(2026, 3, 10)).opened(anchor_date="2019-02-28")
    assert firm.stored.term.index == 7
    line = firm.opening.invoice.lines[0]
    assert (line.period_start, line.last_day, line.months) == (date(2026, 2, 28), date(2027, 2, 27), 12)
    assert len(firm.documents()) == 1
    assert firm.findings() == []


def test_an_anchor_years_ago_without_renewal_is_an_ended_contract(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 3, 10)).opened(anchor_date="2019-02-28", auto_renew=False)
    assert firm.stored.term.index == 0
    with pytest.raises(billing.TermEnded):
        firm.quote()


def test_an_anchor_ahead_is_invoiced_now_and_sells_from_its_first_day(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 3, 10)).opened(anchor_date="2026-04-01")
    assert firm.opening.invoice.issued_on == date(2026, 3, 10)
    with pytest.raises(billing.TermNotStarted):
        firm.quote()
    assert firm.at(day(2026, 4, 1)).quote().line.months == 12


def test_another_kind_of_contract_has_seats_but_no_invoice_and_no_self_service(engine):
    firm = Firm(engine, now=day(2026, 3, 10)).opened(kind="card")
    assert (firm.opening.invoice, firm.seats) == (None, 100)
    with pytest.raises(billing.SelfServiceUnavailable):
        firm.quote()
    assert firm.opened(kind="card").opening.invoice is None
    assert firm.at(day(2028, 1, 1)).renew() == []
    assert firm.findings() == []


@pytest.mark.parametrize("seats", [-1, 1_000_001, True, "100"])
def test_a_wrong_allocation_is_refused(sqlite_engine, seats):
    with pytest.raises(QuantityInvalid):
        Firm(sqlite_engine, now=day(2026, 1, 1)).opened(seats=seats)


def test_a_contract_of_no_seats_is_numbered_and_settled(firm):
    other = Firm(firm.engine, now=firm.now, customer="org_empty").opened(seats=0)
    assert other.opening.invoice.number == "INV-2026-000002"
    assert other.opening.invoice.status(other.now) == "settled"
    assert firm.findings() == []


def test_who_has_no_contract_has_no_seats_and_no_documents(firm):
    with firm.engine.begin() as tx:
        assert billing.contract_of(tx, "org_nobody") is None
        assert billing.allocation(tx, "org_nobody") == 0
        assert billing.invoices(tx, customer="org_nobody") == []
        assert billing.invoice(tx, customer="org_nobody", number="INV-2026-000001") is None
        with pytest.raises(ContractUnknown):
            billing.amend_contract(tx, customer="org_nobody", now=firm.now)
        with pytest.raises(ContractUnknown):
            billing.quote_seats(tx, customer="org_nobody", add=1, now=firm.now)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "monthly"),
        ("currency", "EUR"),
        ("anchor_date", "2026-02-01"),
        ("timezone", "UTC"),
        ("term_months", 24),
        ("price_per", "seat_year"),
        ("proration", "month_plus_days"),
    ],
)
def test_what_invoices_were_computed_from_holds_for_life(small_firm, field, value):
    with pytest.raises(ContractChangeRefused) as refused:
        small_firm.call("amend_contract", contract=contract(**{field: value}))
    assert (refused.value.field, refused.value.code) == (field, "CONTRACT_CHANGE_REFUSED")
    assert small_firm.stored == small_firm.opening.contract


def test_a_new_price_holds_from_the_next_term_in_the_uplifts_place(firm):
    firm.call("amend_contract", contract=contract(unit_price="25.00", uplift_percent="10"))
    assert firm.quote().line.unit_price == 20
    assert firm.quote().renewal.unit_price == 25
    second, third = firm.at(day(2028, 1, 2)).renew()
    assert [str(term.invoice.lines[0].unit_price) for term in (second, third)] == ["25.00", "27.50"]


def test_what_the_file_says_after_an_uplift_is_no_change_of_price(firm):
    terms = contract(uplift_percent="10")
    firm.call("amend_contract", contract=terms)
    firm.at(day(2027, 1, 2)).renew()
    before = firm.stored
    assert str(before.contract.unit_price) == "22.00"
    assert firm.call("amend_contract", contract=terms, seats=100) == before


def test_amending_twice_changes_once(firm):
    moved = Party("Acme S.A.", country="BR")
    first = firm.call("amend_contract", contract=contract(payment_days=60), buyer=moved, seller=SELLER, locale="pt-br")
    assert (first.version, first.locale, first.buyer) == (2, "pt-BR", moved)
    assert firm.call("amend_contract", contract=contract(payment_days=60), buyer=moved, locale="pt-BR") == first
    assert firm.call("amend_contract") == first


def test_terms_that_may_change_hold_from_the_next_document(firm):
    firm.call("amend_contract", contract=contract(payment_days=60, tax=[], minimum_seats=120))
    invoice = firm.buy()
    assert ((invoice.due_on - invoice.issued_on).days, invoice.tax.amount) == (60, 0)
    assert firm.document("INV-2026-000001").tax.amount == 456_000


def test_an_amended_contract_makes_its_quotes_stale(firm):
    quoted = firm.quote()
    firm.call("amend_contract", contract=contract(tax=[]))
    stale = firm.order(quoted)
    assert (stale.why, stale.fresh_quote.tax.amount) == ("CONTRACT_CHANGED", 0)


@pytest.mark.parametrize("seats", [0, 99, 100])
def test_a_file_never_lowers_seats(small_firm, seats):
    small_firm.call("amend_contract", seats=seats)
    assert small_firm.seats == 100


def test_a_file_never_raises_seats_either(small_firm):
    with pytest.raises(ContractChangeRefused, match="seats"):
        small_firm.call("amend_contract", seats=101)
    small_firm.buy(5)
    small_firm.call("amend_contract", seats=105)
    assert small_firm.seats == 105


def test_a_file_with_the_opening_seats_is_no_raise_after_a_smaller_renewal(small_firm):
    small_firm.at(day(2027, 1, 2)).renew()
    assert small_firm.seats == 90
    small_firm.call("amend_contract", seats=100)
    with pytest.raises(ContractChangeRefused):
        small_firm.call("amend_contract", seats=95)


def test_an_issued_document_keeps_its_buyer(firm):
    firm.call("amend_contract", buyer=Party("Somebody Else"))
    assert firm.document("INV-2026-000001").buyer == BUYER
