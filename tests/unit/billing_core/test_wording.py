"""Whoever multiplies what is printed gets what is printed, in every language and currency."""

import re
from datetime import date
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_core import Money, line_text, money_text, quote_line
from billing_core.money import minor_digits
from billing_core.wording import LOCALES, known_locale
from tests.unit.billing_core.firm import contract, day

SEPARATORS = {"en": (",", "."), "pt-BR": (".", ","), "es": (".", ",")}


def read(text: str, locale: str) -> Fraction:
    """A printed number, read as a person of that language reads it."""
    group, point = SEPARATORS[locale]
    return Fraction(text.replace(group, "").replace(point, "."))


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "5 seats × 10 months (1 Mar 2026 – 31 Dec 2026) at 20.00 USD per seat and month"),
        ("pt-BR", "5 assentos × 10 meses (1 de mar. de 2026 – 31 de dez. de 2026) a 20,00 USD por assento e mês"),
        ("es", "5 asientos × 10 meses (1 mar 2026 – 31 dic 2026) a 20,00 USD por asiento y mes"),
    ],
)
def test_a_line_says_its_product_and_period(locale, text):
    assert line_text(quote_line(contract(), 5, day(2026, 3, 1)), locale) == text


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en", "1 seat × 1 month (1 Dec 2026 – 31 Dec 2026) at 20.00 USD per seat and month"),
        ("pt-BR", "1 assento × 1 mês (1 de dez. de 2026 – 31 de dez. de 2026) a 20,00 USD por assento e mês"),
        ("es", "1 asiento × 1 mes (1 dic 2026 – 31 dic 2026) a 20,00 USD por asiento y mes"),
    ],
)
def test_one_is_singular(locale, text):
    assert line_text(quote_line(contract(), 1, day(2026, 12, 1)), locale) == text


@pytest.mark.parametrize(
    ("locale", "end"), [("en", "per seat and year"), ("pt-BR", "por assento e ano"), ("es", "por asiento y año")]
)
def test_a_price_per_year_is_divided_by_twelve_in_print(locale, end):
    text = line_text(quote_line(contract(price_per="seat_year", unit_price="240"), 5, day(2026, 3, 1)), locale)
    assert "10 m" in text
    assert "÷ 12" in text
    assert text.endswith(end)


@given(
    locale=st.sampled_from(LOCALES),
    currency=st.sampled_from(["JPY", "USD", "KWD"]),
    price=st.decimals(0, 99_999, places=4),
    per=st.sampled_from(["seat_month", "seat_year"]),
    policy=st.sampled_from(["started_month", "month_plus_days"]),
    seats=st.integers(1, 10_000),
    on=st.dates(date(2026, 1, 1), date(2026, 12, 31)),
)
def test_the_product_of_what_is_printed_is_the_amount_printed(locale, currency, price, per, policy, seats, on):
    line = quote_line(contract(currency=currency, unit_price=price, price_per=per, proration=policy), seats, on)
    said = line_text(line, locale)
    factors = re.match(r"([\d.,]+) \w+ × ([\d/]+) \w+( ÷ 12)? \(.*\) \w+ ([\d.,]+) ([A-Z]{3}) ", said)
    assert factors is not None, said
    product = read(factors[1], locale) * Fraction(factors[2]) * read(factors[4], locale) / (12 if factors[3] else 1)
    amount = read(money_text(line.amount, locale).split(" ")[0], locale)
    assert abs(product - amount) <= Fraction(1, 2 * 10 ** minor_digits(currency))
    assert factors[5] == currency


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        (123456789, "USD", "en", "1,234,567.89 USD"),
        (123456789, "USD", "pt-BR", "1.234.567,89 USD"),
        (123456789, "USD", "es", "1.234.567,89 USD"),
        (1234567, "JPY", "en", "1,234,567 JPY"),
        (1234567, "KWD", "en", "1,234.567 KWD"),
        (0, "KWD", "es", "0,000 KWD"),
        (-5, "USD", "en", "-0.05 USD"),
    ],
)
def test_money_shows_its_currencys_digits_and_code(amount, currency, locale, text):
    assert money_text(Money(amount, currency), locale) == text


@given(st.integers(-(10**18), 10**18), st.sampled_from(["JPY", "USD", "KWD"]), st.sampled_from(LOCALES))
def test_no_digit_of_money_is_lost_in_print(amount, currency, locale):
    number, code = money_text(Money(amount, currency), locale).split(" ")
    assert (read(number, locale) * 10 ** minor_digits(currency), code) == (amount, currency)


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("pt", "pt-BR"),
        ("pt_BR", "pt-BR"),
        ("PT-br", "pt-BR"),
        ("es-MX", "es"),
        ("en-GB", "en"),
        ("de", "en"),
        ("", "en"),
    ],
)
def test_a_tag_finds_the_nearest_language(tag, locale):
    assert known_locale(tag) == locale
