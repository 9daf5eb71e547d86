"""Tax on a document: one amount per (category, rate), computed on the sum of its rounded lines, never per line."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Protocol

from billing_core.errors import ContractInvalid
from billing_core.money import Money, parse_decimal, plain, round_half_up
from billing_core.texts import printable

CATEGORIES = ("S", "Z", "E", "AE", "K", "G", "O", "L", "M")
"""EN 16931 BT-151, the VAT categories of UNTDID 5305."""
RATE_IS_ZERO = ("Z", "E", "AE", "K", "G", "O")
MAX_TAXES = 4


@dataclass(frozen=True, slots=True, order=True)
class TaxRate:
    """One tax that every line bears: its EN 16931 category and its rate in percent; `reason` for an exemption."""

    category: str
    rate_percent: Decimal
    reason: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate_percent", parse_decimal(self.rate_percent, field="tax.rate_percent"))
        if self.category not in CATEGORIES:
            raise ContractInvalid(f"tax.category: {self.category!r} is not one of {', '.join(CATEGORIES)}")
        if self.rate_percent > 100 or (self.rate_percent and self.category in RATE_IS_ZERO):
            raise ContractInvalid(f"tax.rate_percent: {self.rate_percent} cannot be the rate of {self.category}")
        if not printable(self.reason, at_least=0):
            raise ContractInvalid("tax.reason: not printable text of at most 200 characters")

    def to_json(self) -> dict[str, str]:
        """The stored form."""
        return {"category": self.category, "rate_percent": plain(self.rate_percent), "reason": self.reason}


def tax_rates(values: Iterable[TaxRate | Mapping[str, object]]) -> tuple[TaxRate, ...]:
    """The taxes of a contract, each (category, rate) once, in the order given. Raises `ContractInvalid`."""
    rates = tuple(value if isinstance(value, TaxRate) else _rate(value) for value in values)
    if len(rates) > MAX_TAXES or len({(rate.category, rate.rate_percent) for rate in rates}) < len(rates):
        raise ContractInvalid(f"tax: at most {MAX_TAXES} taxes, each category and rate once")
    return rates


def _rate(value: Mapping[str, Any]) -> TaxRate:
    try:
        return _checked(value["category"], value["rate_percent"], value.get("reason", ""))
    except (KeyError, TypeError, AttributeError):
        raise ContractInvalid(f"tax: {value!r} needs category and rate_percent") from None


@lru_cache(maxsize=1024, typed=True)
def _checked(category: str, rate_percent: Decimal, reason: str) -> TaxRate:
    """The same few taxes are on a hundred thousand documents: each is checked once."""
    return TaxRate(category, rate_percent, reason)


@dataclass(frozen=True, slots=True)
class TaxGroup:
    """One tax of a document: `amount = round_half_up(base * rate / 100)`, both in minor units."""

    category: str
    rate_percent: Decimal
    base: int
    amount: int
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "category": self.category,
            "rate_percent": plain(self.rate_percent),
            "base": self.base,
            "amount": self.amount,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a document in minor units of `currency`; `gross = net + tax`."""

    currency: str
    net: int
    taxes: tuple[TaxGroup, ...]

    @property
    def tax(self) -> int:
        """All taxes together, in minor units."""
        return sum(group.amount for group in self.taxes)

    @property
    def gross(self) -> int:
        """Net and tax, in minor units."""
        return self.net + self.tax

    def money(self, amount: int) -> Money:
        """An amount in the currency of these totals."""
        return Money(amount, self.currency)


class Taxed(Protocol):
    """What a total is made of: a rounded amount in minor units, its currency, and the taxes that it bears."""

    @property
    def net(self) -> int:
        """The rounded amount in minor units."""

    @property
    def currency(self) -> str:
        """The ISO 4217 code."""

    @property
    def taxes(self) -> tuple[TaxRate, ...]:
        """The taxes on it."""


def invoice_totals(lines: Iterable[Taxed]) -> Totals:
    """The totals of lines of one currency. Lines bear their taxes side by side, not one upon the other.

    Raises `ContractInvalid` for no line at all or for two currencies.
    """
    listed = list(lines)
    currencies = {line.currency for line in listed}
    if len(currencies) != 1:
        raise ContractInvalid("a document has at least one line, and one currency")
    bases: dict[tuple[str, Decimal], int] = {}
    reasons: dict[tuple[str, Decimal], str] = {}
    for line in listed:
        for rate in line.taxes:
            key = (rate.category, rate.rate_percent)
            bases[key] = bases.get(key, 0) + line.net
            reasons.setdefault(key, rate.reason)
    return Totals(
        currency=currencies.pop(),
        net=sum(line.net for line in listed),
        taxes=tuple(TaxGroup(*key, base, tax_on(base, key[1]), reasons[key]) for key, base in bases.items()),
    )


def tax_on(base: int, rate_percent: Decimal) -> int:
    """The tax on `base` minor units, rounded half up once."""
    return round_half_up(tax_exact(base, rate_percent))


def tax_exact(base: int, rate_percent: Decimal) -> Fraction:
    """The tax on `base` minor units before rounding."""
    rate, per_rate = rate_percent.as_integer_ratio()
    return Fraction(base * rate, per_rate * 100)
