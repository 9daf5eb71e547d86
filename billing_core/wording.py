"""Money, dates and lines in a person's language (English, Brazilian Portuguese, Spanish), from exact values.

The sentence of a line states the product that it multiplies: whoever multiplies the printed seats, months and price and
rounds once gets the printed amount. Numbers and dates are formatted by Babel; amounts always show the ISO code.
"""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from fractions import Fraction

from babel import Locale
from babel.dates import format_date
from babel.numbers import format_decimal

from billing_core.lines import Line
from billing_core.money import Money, minor_digits

LOCALES = ("en", "pt-BR", "es")


@dataclass(frozen=True, slots=True)
class Words:
    """The phrases of one language. `{…}` are filled with formatted values, never with other languages' words."""

    locale: Locale
    date_pattern: str
    seat: tuple[str, str]
    month: tuple[str, str]
    product: dict[str, str]
    credit_whole: str
    credit_share: str


_WORDS = {
    "en": Words(
        locale=Locale("en"),
        date_pattern="d MMM y",
        seat=("{n} seat", "{n} seats"),
        month=("{n} month", "{n} months"),
        product={
            "seat_month": "{seats} × {months} ({period}) at {price} per seat and month",
            "seat_year": "{seats} × {months} ÷ 12 ({period}) at {price} per seat and year",
        },
        credit_whole="Credit of invoice {number}, line {line}: {text}",
        credit_share="Credit of {part} out of {whole} of invoice {number}, line {line}",
    ),
    "pt-BR": Words(
        locale=Locale("pt", "BR"),
        date_pattern="d 'de' MMM 'de' y",
        seat=("{n} assento", "{n} assentos"),
        month=("{n} mês", "{n} meses"),
        product={
            "seat_month": "{seats} × {months} ({period}) a {price} por assento e mês",
            "seat_year": "{seats} × {months} ÷ 12 ({period}) a {price} por assento e ano",
        },
        credit_whole="Crédito da fatura {number}, linha {line}: {text}",
        credit_share="Crédito de {part} sobre {whole} da fatura {number}, linha {line}",
    ),
    "es": Words(
        locale=Locale("es"),
        date_pattern="d MMM y",
        seat=("{n} asiento", "{n} asientos"),
        month=("{n} mes", "{n} meses"),
        product={
            "seat_month": "{seats} × {months} ({period}) a {price} por asiento y mes",
            "seat_year": "{seats} × {months} ÷ 12 ({period}) a {price} por asiento y año",
        },
        credit_whole="Crédito de la factura {number}, línea {line}: {text}",
        credit_share="Crédito de {part} sobre {whole} de la factura {number}, línea {line}",
    ),
}


def known_locale(tag: str) -> str:
    """The supported language nearest to a tag ("pt-br", "es_MX", "de"); English where none is near."""
    language = tag.replace("_", "-").split("-")[0].lower()
    return {"pt": "pt-BR", "es": "es"}.get(language, "en")


def words(locale: str) -> Words:
    """The phrases of the supported language nearest to a tag."""
    return _WORDS[known_locale(locale)]


def number_text(number: Decimal | int, locale: str, decimals: int = 0) -> str:
    """The number with grouping and exactly the decimals that it has, at least `decimals`; nothing is rounded."""
    exact = Decimal(number)
    shown = max(decimals, -int(exact.as_tuple().exponent), 0)
    pattern = "#,##0." + "0" * shown if shown else "#,##0"
    return format_decimal(exact, format=pattern, locale=words(locale).locale, decimal_quantization=False)


def money_text(money: Money, locale: str) -> str:
    """The amount with its currency's digits and the ISO code: "1,000.00 USD"."""
    return f"{number_text(money.decimal, locale, minor_digits(money.currency))} {money.currency}"


def price_text(price: Decimal, currency: str, locale: str) -> str:
    """A unit price with every digit that it has."""
    return f"{number_text(price, locale, minor_digits(currency))} {currency}"


def date_text(day: date, locale: str) -> str:
    """The date with its year: "1 Mar 2026", "1 de mar. de 2026", "1 mar 2026"."""
    return format_date(day, format=words(locale).date_pattern, locale=words(locale).locale)


def period_text(line: Line, locale: str) -> str:
    """First and last day of a line, both included."""
    return f"{date_text(line.period_start, locale)} – {date_text(line.last_day, locale)}"


def months_text(months: Fraction) -> str:
    """Exact, so that it can be multiplied: "10", "296/31"."""
    return str(months)


def line_text(line: Line, locale: str) -> str:
    """The sentence of a line: "5 seats × 10 months (1 Mar 2026 – 31 Dec 2026) at 20.00 USD per seat and month"."""
    in_words = words(locale)
    return in_words.product[line.price_per].format(
        seats=_counted(in_words.seat, number_text(line.seats, locale), one=line.seats == 1),
        months=_counted(in_words.month, months_text(line.months), one=line.months == 1),
        period=period_text(line, locale),
        price=price_text(line.unit_price, line.currency, locale),
    )


def credit_text(original: Line, net: int, number: str, position: int, locale: str) -> str:
    """The sentence of a credit note's line about line `position` of invoice `number`, whole or in part."""
    in_words = words(locale)
    if net == original.net:
        return in_words.credit_whole.format(number=number, line=position, text=line_text(original, locale))
    part = money_text(Money(net, original.currency), locale)
    whole = money_text(original.amount, locale)
    return in_words.credit_share.format(part=part, whole=whole, number=number, line=position)


def _counted(forms: tuple[str, str], n: str, one: bool) -> str:
    return forms[0 if one else 1].format(n=n)
