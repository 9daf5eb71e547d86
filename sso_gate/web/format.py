"""Money, numbers, dates and times as a reader of a language and region writes them, by Babel.

Never a clock: every instant comes in, with the zone that it is to be shown in. Amounts are exact decimals.
"""

import re
import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from babel import dates, numbers

from sso_gate.web.language import Language

# What CLDR names besides the countries of ISO 3166: unions, pseudo-locales, parts of countries, the unknown one.
_NO_COUNTRY = frozenset({"AC", "CP", "CQ", "DG", "EA", "EU", "EZ", "IC", "QO", "TA", "UN", "XA", "XB", "ZZ"})
_CODE_PATTERN = "¤¤\N{NO-BREAK SPACE}#,##0.00;-¤¤\N{NO-BREAK SPACE}#,##0.00"


class Amount(Protocol):
    """An exact amount: `decimal` in major units with the currency's own number of digits, 2100.00 for 210000 cents.

    The digits come from the amount, never from Babel: CLDR disagrees with ISO 4217 on a dozen currencies.
    """

    @property
    def decimal(self) -> Decimal: ...
    @property
    def currency(self) -> str: ...


def money(language: Language, amount: Amount) -> str:
    """Return the amount with the currency's symbol, as the region writes it: `$2,100.00`, `US$ 2.100,00`."""
    return _currency(language, amount.decimal, amount.currency, _digits(amount.decimal))


def money_with_code(language: Language, amount: Amount) -> str:
    """Return the amount with the ISO 4217 code, the form of invoices and of what somebody is about to pay: `USD
    2,100.00`.
    """
    return _currency(language, amount.decimal, amount.currency, _digits(amount.decimal), _CODE_PATTERN)


def price(language: Language, unit_price: Decimal, currency: str) -> str:
    """Return a unit price with its symbol and all of its digits, which may be more than the currency has: `$0.0042`."""
    digits = max(numbers.get_currency_precision(currency), _digits(unit_price.normalize()))
    return _currency(language, unit_price, currency, digits)


def number(language: Language, value: int | Decimal) -> str:
    """Return a number with the region's grouping: `12,345`, `12.345`."""
    return numbers.format_decimal(value, locale=language.locale)


def months(language: Language, value: Fraction) -> str:
    """Return a number of months as documents write it: `10`, or `9 17/31` for a part of one."""
    whole, rest = divmod(value.numerator, value.denominator)
    if not rest:
        return number(language, whole)
    return f"{number(language, whole)} {rest}/{value.denominator}" if whole else f"{rest}/{value.denominator}"


def day(language: Language, value: date) -> str:
    """Return a date with the month's name: `Mar 1, 2027`, `1 de mar. de 2027`."""
    return dates.format_date(value, "medium", locale=language.locale)


def instant(language: Language, value: datetime, zone: str | tzinfo) -> str:
    """Return an instant in a zone, with the zone's name: `Mar 1, 2027, 7:00 AM GMT-3`. Never relative, never without
    a zone.
    """
    return f"{day(language, _at(value, zone).date())}, {clock_time(language, value, zone)}"


def clock_time(language: Language, value: datetime, zone: str | tzinfo) -> str:
    """Return the time of day of an instant in a zone, with the zone's name: `14:35 GMT-3`."""
    there = _at(value, zone)
    time = dates.format_time(there, "short", tzinfo=there.tzinfo, locale=language.locale)
    return f"{time} {_zone_name(there)}"


def to_the_second(language: Language, value: datetime) -> str:
    """Return the time of day of an instant in UTC, to the second: `2:02:11 PM UTC`."""
    return f"{dates.format_time(_at(value, UTC), 'medium', tzinfo=UTC, locale=language.locale)} UTC"


def numbers_in(language: Language, values: Mapping[str, float]) -> dict[str, str]:
    """Return the numbers of a sentence as the region writes them, by their names."""
    return {name: numbers.format_decimal(value, locale=language.locale) for name, value in values.items()}


@lru_cache(maxsize=8)
def countries(language: Language) -> tuple[tuple[str, str], ...]:
    """Return ISO 3166 alpha-2 code and name of every country, by name as the language orders it."""
    named = [(str(code), str(name)) for code, name in language.locale.territories.items()]
    found = [(code, name) for code, name in named if re.fullmatch("[A-Z]{2}", code) and code not in _NO_COUNTRY]
    return tuple(sorted(found, key=lambda one: _unaccented(one[1])))


def _unaccented(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFD", text) if not unicodedata.combining(one)).casefold()


def _at(value: datetime, zone: str | tzinfo) -> datetime:
    if value.tzinfo is None:
        raise ValueError("an instant needs a zone")
    return value.astimezone(ZoneInfo(zone) if isinstance(zone, str) else zone)


def _zone_name(there: datetime) -> str:
    offset = dates.format_datetime(there, "ZZZZ", tzinfo=there.tzinfo, locale="en")
    return "UTC" if offset in {"GMT", "GMT+00:00"} else offset.replace(":00", "").replace("+0", "+").replace("-0", "-")


def _digits(value: Decimal) -> int:
    return max(0, -int(value.as_tuple().exponent))


def _currency(language: Language, value: Decimal, currency: str, digits: int, pattern: str = "") -> str:
    wanted = (pattern or language.locale.currency_formats["standard"].pattern).replace(
        "0.00", "0." + "0" * digits if digits else "0"
    )
    return numbers.format_currency(value, currency, wanted, locale=language.locale, currency_digits=False)
