"""Minor units, one rounding rule, and splitting that loses nothing."""

import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from babel.numbers import list_currencies
from hypothesis import given
from hypothesis import strategies as st

from billing_core import AmountInvalid, ContractInvalid, Money, PriceInvalid
from billing_core.money import (
    _DIGITS,
    MINOR_DIGITS,
    exact_decimal,
    minor_digits,
    parse_decimal,
    parse_unit_price,
    plain,
    round_half_up,
    share_up_to,
    split,
)

FRACTIONS = st.fractions(-(10**9), 10**9)


@pytest.mark.parametrize(("currency", "digits"), [("JPY", 0), ("USD", 2), ("BRL", 2), ("KWD", 3), ("TND", 3)])
def test_the_digits_are_those_of_iso_4217(currency, digits):
    assert minor_digits(currency) == digits


@pytest.mark.parametrize("currency", ["usd", "XXX", "", None, "US", "EURO", ["USD"]])
def test_an_unknown_currency_is_refused(currency):
    with pytest.raises(ContractInvalid):
        minor_digits(currency)


def test_every_active_currency_is_listed_once():
    assert sum(len(codes.split()) for codes in _DIGITS.values()) == len(MINOR_DIGITS)
    assert set(MINOR_DIGITS) - set(list_currencies("en")) <= {"XCG", "ZWG"}  # newer than some releases of CLDR


@pytest.mark.parametrize(
    ("exact", "rounded"),
    [("1/2", 1), ("-1/2", -1), ("3/2", 2), ("5/2", 3), ("-5/2", -3), ("249/100", 2), ("0", 0), ("-1/3", 0), ("7", 7)],
)
def test_a_tie_goes_away_from_zero(exact, rounded):
    assert round_half_up(Fraction(exact)) == rounded


@given(FRACTIONS)
def test_rounding_is_nearest_and_symmetric(value):
    rounded = round_half_up(value)
    assert abs(value - rounded) <= Fraction(1, 2)
    assert round_half_up(-value) == -rounded


@given(st.fractions(0, 10**6))
def test_rounding_is_the_floor_of_a_half_more(value):
    assert round_half_up(value) == math.floor(value + Fraction(1, 2))


@given(total=st.integers(-(10**9), 10**9), weights=st.lists(st.integers(0, 1000), min_size=1, max_size=8).filter(any))
def test_parts_sum_to_the_whole_and_stay_within_one_unit_of_their_share(total, weights):
    parts = split(total, weights)
    assert sum(parts) == total
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part - Fraction(total * weight, sum(weights))) < 1


def test_a_tie_between_parts_goes_to_the_earlier_one():
    assert split(100, [1, 1, 1]) == [34, 33, 33]
    assert split(-100, [1, 1, 1]) == [-34, -33, -33]
    assert split(2, [1, 1, 1]) == [1, 1, 0]


def test_the_largest_remainder_gets_the_unit_that_is_left():
    assert split(10, [1, 2, 4]) == [1, 3, 6]


@given(total=st.integers(0, 10**9), steps=st.lists(st.integers(1, 50), min_size=1, max_size=12))
def test_cumulative_shares_in_any_steps_sum_to_the_whole(total, steps):
    whole, done, parts = sum(steps), 0, []
    for step in steps:
        parts.append(share_up_to(total, done + step, whole) - share_up_to(total, done, whole))
        done += step
    assert sum(parts) == total
    assert min(parts) >= 0


@pytest.mark.parametrize(
    "value", [0.1, True, False, None, "x", "NaN", "Infinity", "-1", "-0", b"1", [], "1e13", "1e-13"]
)
def test_what_is_not_an_exact_decimal_is_no_price(value):
    with pytest.raises(PriceInvalid):
        parse_decimal(value, field="unit_price")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("20.00", "20.00"),
        (20, "20"),
        ("1E+3", "1000"),
        ("0", "0"),
        ("1e-12", "0.000000000001"),
        ("1e12", "1" + "0" * 12),
    ],
)
def test_a_price_keeps_the_digits_that_it_was_given(value, text):
    assert plain(parse_decimal(value, field="unit_price")) == text


def test_the_largest_price_is_ten_billion_minor_units():
    assert parse_unit_price("100000000", "USD") == 10**8
    assert parse_unit_price("10000000", "KWD") == 10**7
    with pytest.raises(PriceInvalid, match="larger than"):
        parse_unit_price("100000000.01", "USD")
    with pytest.raises(PriceInvalid, match="larger than"):
        parse_unit_price("10000000.001", "KWD")
    with pytest.raises(PriceInvalid, match=r"unit_price: 100000000\.01 is larger"):
        parse_unit_price(Decimal("100000000.01"), "USD")


def test_money_adds_only_within_one_currency():
    assert Money(150, "USD") + Money(50, "USD") - Money(1, "USD") == Money(199, "USD")
    assert -Money(5, "USD") == Money(-5, "USD")
    with pytest.raises(AmountInvalid):
        Money(1, "USD") + Money(1, "EUR")


@pytest.mark.parametrize("amount", [1.0, True, "1", None, Decimal(1)])
def test_an_amount_is_a_whole_number(amount):
    with pytest.raises(AmountInvalid):
        Money(amount, "USD")


@given(st.integers(-(10**20), 10**20), st.sampled_from(["JPY", "USD", "KWD"]))
def test_money_as_a_decimal_is_exact_in_any_decimal_context(amount, currency):
    with localcontext(prec=3):
        shown = Money(amount, currency).decimal
    assert Fraction(shown) * 10 ** minor_digits(currency) == amount
    assert -int(shown.as_tuple().exponent) == minor_digits(currency)


def test_money_in_json_is_minor_units_and_code():
    assert Money(123456, "USD").to_json() == {"amount": 123456, "currency": "USD"}


def test_an_exact_decimal_has_the_digits_asked_for():
    assert str(exact_decimal(-5, 3)) == "-0.005"
    assert str(exact_decimal(0, 2)) == "0.00"
