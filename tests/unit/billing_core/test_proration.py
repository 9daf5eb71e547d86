"""The published example first; then the rules against a day-by-day definition, and what always holds."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from billing_core import Contract, quote_line
from billing_core.money import minor_digits
from billing_core.periods import boundary, month_index
from billing_core.proration import line_amount, line_exact, months_left, next_price_change
from tests.unit.billing_core import oracle
from tests.unit.billing_core.firm import contract, day

ANCHORS = st.dates(date(1996, 1, 1), date(2040, 12, 31))
POLICIES = st.sampled_from(["started_month", "month_plus_days"])
CURRENCIES = st.sampled_from(["JPY", "USD", "KWD"])
PRICES = st.decimals(0, 10_000, places=4)
PRICE_PER = st.sampled_from(["seat_month", "seat_year"])
SEATS = st.integers(1, 10_000)


def test_five_seats_on_1_march_of_a_calendar_year_cost_ten_months_exactly():
    line = quote_line(contract(), 5, day(2026, 3, 1))
    assert (line.seats, int(line.months), line.net) == (5, 10, 100_000)


def test_a_daily_formula_would_give_another_number():
    line = quote_line(contract(proration="month_plus_days"), 5, day(2026, 3, 16))
    assert line.months == Fraction(9) + Fraction(16, 31)
    assert line.net == 95_161
    assert quote_line(contract(), 5, day(2026, 3, 16)).net == 100_000


def test_a_thousand_seats_are_rounded_once_and_not_one_by_one():
    assert line_amount(1000, Decimal("1000.00"), Fraction(1), "seat_year", "USD") == 8_333_333


@pytest.mark.parametrize(("currency", "net"), [("JPY", 13), ("USD", 1_250), ("KWD", 12_500)])
def test_the_currency_decides_the_digits(currency, net):
    assert line_amount(1, Decimal("12.5"), Fraction(1), "seat_month", currency) == net


def test_a_price_may_be_finer_than_the_minor_unit():
    assert line_amount(3, Decimal("0.0042"), Fraction(10), "seat_month", "USD") == 13
    assert line_exact(3, Decimal("0.0042"), Fraction(10), "seat_month", "USD") == Fraction("12.6")


@given(anchor=ANCHORS, policy=POLICIES, after=st.integers(0, 1200), term_months=st.sampled_from([1, 3, 12, 24]))
@example(anchor=date(2024, 1, 31), policy="month_plus_days", after=29, term_months=12)
@example(anchor=date(2024, 2, 29), policy="month_plus_days", after=366, term_months=12)
def test_months_left_is_what_walking_day_by_day_gives(anchor, policy, after, term_months):
    first = anchor + timedelta(days=after)
    assert months_left(anchor, term_months, policy, first) == oracle.months(anchor, term_months, policy, first)


@given(seats=SEATS, price=PRICES, months=st.fractions(0, 12, max_denominator=31), per=PRICE_PER, currency=CURRENCIES)
def test_the_amount_is_the_product_rounded_half_up_once(seats, price, months, per, currency):
    expected = oracle.amount(seats, Fraction(price), months, minor_digits(currency), per_year=per == "seat_year")
    assert line_amount(seats, price, months, per, currency) == expected


@given(anchor=ANCHORS, k=st.integers(0, 40))
def test_both_policies_agree_on_every_boundary(anchor, k):
    on = boundary(anchor, k)
    assert months_left(anchor, 12, "started_month", on) == months_left(anchor, 12, "month_plus_days", on) == 12 - k % 12


@given(anchor=ANCHORS, policy=POLICIES, after=st.integers(0, 364), seats=SEATS, price=PRICES, per=PRICE_PER)
def test_a_line_is_never_negative_and_never_more_than_the_annual_price(anchor, policy, after, seats, price, per):
    months = months_left(anchor, 12, policy, anchor + timedelta(days=after))
    line = line_amount(seats, price, months, per, "USD")
    annual = line_amount(seats, price, Fraction(12), per, "USD")
    assert 0 <= line <= annual


@given(anchor=ANCHORS, policy=POLICIES, after=st.integers(0, 363), seats=SEATS, price=PRICES)
def test_a_day_later_never_costs_more_within_a_term(anchor, policy, after, seats, price):
    today, tomorrow = anchor + timedelta(days=after), anchor + timedelta(days=after + 1)
    amounts = [
        line_amount(seats, price, months_left(anchor, 12, policy, on), "seat_month", "USD") for on in (today, tomorrow)
    ]
    assert amounts[0] >= amounts[1]


@given(anchor=ANCHORS, policy=POLICIES, term=st.integers(0, 4))
def test_the_first_day_of_a_term_costs_the_full_price(anchor, policy, term):
    assert months_left(anchor, 12, policy, boundary(anchor, 12 * term)) == 12


@given(anchor=ANCHORS, after=st.integers(0, 800))
def test_started_month_is_constant_inside_a_contract_month(anchor, after):
    on = anchor + timedelta(days=after)
    same = boundary(anchor, month_index(anchor, on))
    assert months_left(anchor, 12, "started_month", on) == months_left(anchor, 12, "started_month", same)


@given(anchor=ANCHORS, policy=POLICIES, after=st.integers(0, 800))
def test_the_price_does_not_change_before_the_next_price_change_and_changes_then(anchor, policy, after):
    on = anchor + timedelta(days=after)
    change = next_price_change(anchor, policy, on)
    assert change > on
    for offset in range((change - on).days):
        between = on + timedelta(days=offset)
        assert months_left(anchor, 12, policy, between) == months_left(anchor, 12, policy, on)
    assert months_left(anchor, 12, policy, change) != months_left(anchor, 12, policy, on)


@given(seats=st.lists(st.integers(1, 500), min_size=2, max_size=6), price=PRICES, months=st.fractions(0, 12))
def test_buying_in_one_order_differs_from_several_by_rounding_alone(seats, price, months):
    together = line_amount(sum(seats), price, months, "seat_month", "USD")
    apart = sum(line_amount(count, price, months, "seat_month", "USD") for count in seats)
    assert abs(together - apart) <= len(seats)


def test_the_functions_take_plain_values_of_a_contract_without_a_database():
    assert isinstance(contract(), Contract)
    plain = {"anchor_date": date(2026, 1, 1), "timezone": "UTC", "currency": "USD", "unit_price": "20"}
    assert quote_line(plain, 5, date(2026, 3, 1)).net == 100_000
