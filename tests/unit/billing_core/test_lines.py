"""The pure functions at the top of the package: what an order and a renewal would invoice, and the sums."""

from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core import (
    BillingError,
    ContractInvalid,
    InstantInvalid,
    Line,
    QuantityInvalid,
    SelfServiceUnavailable,
    TaxRate,
    TermEnded,
    TermNotStarted,
    invoice_totals,
    quote_line,
    renewal_line,
    what_if,
)
from tests.unit.billing_core.firm import contract, day


@pytest.mark.parametrize("seats", [0, -1, 10_001, True, False, 5.0, "5", None, Decimal(5), Fraction(5)])
def test_what_is_no_number_of_seats_is_refused(seats):
    with pytest.raises(QuantityInvalid) as refused:
        quote_line(contract(), seats, day(2026, 3, 1))
    assert refused.value.code == "QUANTITY_INVALID"


@pytest.mark.parametrize("seats", [1, 10_000])
def test_one_seat_and_ten_thousand_can_be_ordered(seats):
    assert quote_line(contract(), seats, day(2026, 1, 1)).net == seats * 24_000


def test_before_the_first_day_in_the_contracts_zone_the_term_has_not_started():
    with pytest.raises(TermNotStarted) as refused:
        quote_line(contract(), 5, datetime(2026, 1, 1, 2, 59, tzinfo=UTC))
    assert refused.value.code == "TERM_NOT_STARTED"
    assert quote_line(contract(), 5, datetime(2026, 1, 1, 3, tzinfo=UTC)).months == 12


def test_after_the_last_day_the_term_has_ended_unless_it_renews():
    last = datetime(2027, 1, 1, 2, 59, tzinfo=UTC)
    after = datetime(2027, 1, 1, 3, tzinfo=UTC)
    assert quote_line(contract(auto_renew=False), 5, last).months == 1
    with pytest.raises(TermEnded) as refused:
        quote_line(contract(auto_renew=False), 5, after)
    assert refused.value.code == "TERM_ENDED"
    assert quote_line(contract(auto_renew=True), 5, after).months == 12


@pytest.mark.parametrize("kind", ["monthly", "card"])
def test_another_kind_of_contract_has_no_self_service(kind):
    with pytest.raises(SelfServiceUnavailable) as refused:
        quote_line(contract(kind=kind), 5, day(2026, 3, 1))
    assert refused.value.code == "SELF_SERVICE_UNAVAILABLE"


@pytest.mark.parametrize("at", [datetime(2026, 3, 1), "2026-03-01", None, date(1899, 1, 1), date(9999, 1, 1)])
def test_what_is_no_instant_and_no_date_is_refused(at):
    with pytest.raises(InstantInvalid):
        quote_line(contract(), 5, at)


def test_a_refusal_says_its_code_when_there_is_nothing_else_to_say():
    assert str(BillingError()) == "BILLING_ERROR"


def test_a_line_says_its_period():
    line = quote_line(contract(), 5, day(2026, 3, 16))
    assert (line.period_start, line.period_end, line.last_day) == (
        date(2026, 3, 16),
        date(2027, 1, 1),
        date(2026, 12, 31),
    )


def test_a_renewal_is_the_whole_next_term_at_the_uplifted_price():
    line = renewal_line(contract(uplift_percent="5"), 107, day(2026, 3, 1))
    assert (line.seats, int(line.months), str(line.unit_price), line.net) == (107, 12, "21.00", 107 * 12 * 2100)
    assert (line.period_start, line.last_day) == (date(2027, 1, 1), date(2027, 12, 31))


def test_a_renewal_seen_before_the_start_is_the_second_term():
    assert renewal_line(contract(), 1, date(2025, 6, 1)).period_start == date(2027, 1, 1)


def test_what_if_is_the_bill_and_the_renewal_after_it():
    preview = what_if(contract(unit_price="30.00"), 100, 20, date(2026, 6, 15))
    assert (preview.seats_before, preview.seats_after) == (100, 120)
    assert preview.line == quote_line(contract(unit_price="30.00"), 20, date(2026, 6, 15))
    assert preview.totals.net == 20 * 7 * 3000
    assert preview.renewal.net == preview.renewal_totals.net == 120 * 12 * 3000


def test_what_if_knows_a_price_that_was_agreed_for_the_next_term():
    preview = what_if(contract(uplift_percent="50"), 100, 5, date(2026, 3, 1), next_unit_price="21")
    assert preview.renewal.net == 105 * 12 * 2100


@given(
    seats=st.integers(1, 10_000),
    price=st.decimals(0, 1000, places=3),
    policy=st.sampled_from(["started_month", "month_plus_days"]),
    on=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
)
def test_a_line_survives_storage_exactly(seats, price, policy, on):
    line = quote_line(contract(unit_price=price, proration=policy), seats, on)
    assert Line.of(line.to_json()) == line


def line_of(net: int, *rates: tuple[str, str], currency: str = "USD") -> Line:
    taxes = tuple(TaxRate(category, Decimal(rate)) for category, rate in rates)
    on = date(2026, 1, 1)
    return Line(1, Fraction(1), Decimal(0), "seat_month", currency, net, on, date(2026, 2, 1), taxes)


def test_tax_is_computed_on_the_sum_and_never_per_line():
    totals = invoice_totals([line_of(3, ("S", "19")), line_of(3, ("S", "19")), line_of(3, ("S", "19.0"))])
    assert (totals.net, totals.tax, totals.gross) == (9, 2, 11)
    assert len(totals.taxes) == 1


def test_each_category_and_rate_is_a_group_of_its_own():
    totals = invoice_totals([line_of(1000, ("S", "19")), line_of(1000, ("S", "7")), line_of(500, ("Z", "0"))])
    assert [(group.category, group.base, group.amount) for group in totals.taxes] == [
        ("S", 1000, 190),
        ("S", 1000, 70),
        ("Z", 500, 0),
    ]


def test_two_taxes_on_one_line_stand_side_by_side():
    totals = invoice_totals([line_of(10_000, ("S", "5"), ("S", "9.975"))])
    assert [group.amount for group in totals.taxes] == [500, 998]
    assert totals.gross == 11_498


def test_a_document_has_one_currency_and_at_least_one_line():
    with pytest.raises(ContractInvalid):
        invoice_totals([])
    with pytest.raises(ContractInvalid):
        invoice_totals([line_of(1), line_of(1, currency="EUR")])


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=6), st.decimals(0, 100, places=3))
def test_tax_is_within_half_a_unit_of_the_exact_rate(nets, rate):
    totals = invoice_totals([line_of(net, ("S", str(rate))) for net in nets])
    assert totals.gross == sum(nets) + totals.tax
    assert abs(totals.tax - sum(nets) * Fraction(rate) / 100) <= Fraction(1, 2)
