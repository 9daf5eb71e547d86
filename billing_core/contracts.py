"""The terms that two parties agreed on, as plain checked values: no identity, no state, no database."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Self

from billing_core.errors import ContractInvalid
from billing_core.money import exact_decimal, minor_digits, parse_decimal, parse_unit_price, plain, round_half_up
from billing_core.periods import FIRST_YEAR, LAST_YEAR, zone
from billing_core.taxes import TaxRate, tax_rates
from billing_core.texts import printable

ANNUAL_INVOICED = "annual_invoiced"
"""The only kind whose owners may add seats by themselves."""
PRICE_PER = ("seat_month", "seat_year")
PRORATION = ("started_month", "month_plus_days")
MAX_SEATS = 1_000_000
MAX_TERM_MONTHS = 36
MAX_PAYMENT_DAYS = 365


@dataclass(frozen=True, slots=True, init=False)
class Contract:
    """What one seat costs, for how long, and by which calendar.

    `unit_price` is the price in the term that is being looked at, in major units; it may be finer than the minor unit.
    `anchor_date` is the first day of term 0 and the origin of every month boundary. Raises `ContractInvalid` (or
    `PriceInvalid`) naming the field; every field is checked here and nowhere else.
    """

    anchor_date: date
    timezone: str
    currency: str
    unit_price: Decimal
    term_months: int
    price_per: str
    proration: str
    kind: str
    minimum_seats: int
    auto_renew: bool
    uplift_percent: Decimal
    payment_days: int
    tax: tuple[TaxRate, ...]
    po_required: bool
    purchase_roles: tuple[str, ...]

    def __init__(
        self,
        *,
        anchor_date: date | str,
        timezone: str,
        currency: str,
        unit_price: Decimal | int | str,
        term_months: int = 12,
        price_per: str = "seat_month",
        proration: str = "started_month",
        kind: str = ANNUAL_INVOICED,
        minimum_seats: int = 1,
        auto_renew: bool = False,
        uplift_percent: Decimal | int | str = "0",
        payment_days: int = 30,
        tax: Iterable[TaxRate | Mapping[str, object]] = (),
        po_required: bool = False,
        purchase_roles: Iterable[str] = (),
    ) -> None:
        zone(timezone)
        minor_digits(currency)
        values = {
            "anchor_date": _date(anchor_date),
            "timezone": timezone,
            "currency": currency,
            "unit_price": parse_unit_price(unit_price, currency),
            "term_months": _whole("term_months", term_months, 1, MAX_TERM_MONTHS),
            "price_per": _one_of("price_per", price_per, PRICE_PER),
            "proration": _one_of("proration", proration, PRORATION),
            "kind": _word("kind", kind),
            "minimum_seats": _whole("minimum_seats", minimum_seats, 0, MAX_SEATS),
            "auto_renew": _flag("auto_renew", auto_renew),
            "uplift_percent": _percent(uplift_percent),
            "payment_days": _whole("payment_days", payment_days, 0, MAX_PAYMENT_DAYS),
            "tax": tax_rates(tax),
            "po_required": _flag("po_required", po_required),
            "purchase_roles": tuple(_word("purchase_roles", role) for role in purchase_roles),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @classmethod
    def of(cls, value: "Contract | Mapping[str, Any] | object") -> "Contract":
        """The same terms from a `Contract`, a mapping, or any object with these attributes; other keys are ignored."""
        if isinstance(value, cls):
            return value
        names = [item.name for item in fields(cls)]
        if isinstance(value, Mapping):
            given = {name: value[name] for name in names if name in value}
        else:
            given = {name: getattr(value, name) for name in names if hasattr(value, name)}
        try:
            return cls(**given)
        except TypeError as error:
            raise ContractInvalid(str(error)) from None

    def to_json(self) -> dict[str, Any]:
        """Plain values that `Contract.of` reads back."""
        return {
            **{item.name: getattr(self, item.name) for item in fields(self)},
            "anchor_date": self.anchor_date.isoformat(),
            "unit_price": plain(self.unit_price),
            "uplift_percent": plain(self.uplift_percent),
            "tax": [rate.to_json() for rate in self.tax],
            "purchase_roles": list(self.purchase_roles),
        }

    def at_price(self, unit_price: Decimal | str) -> Self:
        """The same contract in a term with another price."""
        return replace(self, unit_price=parse_unit_price(unit_price, self.currency))

    def uplifted(self) -> Self:
        """The contract at the next term's price: the uplift, rounded half up to the digits that the price has.

        A price is rounded to the finer of the currency's digits and its own, so that it can be printed and agreed on.
        """
        digits = max(minor_digits(self.currency), -int(self.unit_price.as_tuple().exponent))
        raised = Fraction(self.unit_price) * (100 + Fraction(self.uplift_percent)) / 100
        return self.at_price(exact_decimal(round_half_up(raised * 10**digits), digits))


@dataclass(frozen=True, slots=True)
class Party:
    """Who buys: the legal name and what an invoice prints about it. `country` is an ISO 3166 alpha-2 code."""

    name: str
    address: tuple[str, ...] = ()
    city: str = ""
    postcode: str = ""
    country: str = ""
    tax_id: str = ""
    email: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", tuple(self.address))
        for line in (self.name, *self.address, self.city, self.postcode, self.tax_id, self.email):
            _printable(type(self).__name__.lower(), line)
        _printable("name", self.name, at_least=1)
        if self.country and not re.fullmatch("[A-Z]{2}", self.country):
            raise ContractInvalid(f"country: {self.country!r} is not an ISO 3166 alpha-2 code")

    def to_json(self) -> dict[str, Any]:
        """Plain values that `of` reads back."""
        return {item.name: getattr(self, item.name) for item in fields(self)} | {"address": list(self.address)}

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> Self:
        """The party from the plain values of `to_json`; other keys are ignored."""
        kind: Any = cls
        known = _names(kind)
        given = [
            (name, tuple(item) if isinstance(item, list) else item) for name, item in value.items() if name in known
        ]
        read: Self = _read(kind, tuple(given))
        return read


@dataclass(frozen=True, slots=True)
class Seller(Party):
    """Who issues the invoices. Number series belong to `name`; issue and due dates are dates in `timezone`.

    `note` is printed at the foot of every document; empty prints the standing sentence that this document does not
    replace a fiscal document where the law asks for one. `payment` says where to pay (bank, IBAN), line by line.
    """

    timezone: str = "UTC"
    note: str = ""
    payment: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        Party.__post_init__(self)
        zone(self.timezone)
        object.__setattr__(self, "payment", tuple(self.payment))
        for line in (self.note, *self.payment):
            _printable("seller", line, at_most=500)

    def to_json(self) -> dict[str, Any]:
        """Plain values that `of` reads back."""
        return Party.to_json(self) | {"payment": list(self.payment)}


@lru_cache(maxsize=1024)
def _read(kind: type[Party], values: tuple[tuple[str, Any], ...]) -> Any:
    """The same few parties are on a hundred thousand documents: each is checked once."""
    return kind(**dict(values))


@lru_cache(maxsize=8)
def _names(kind: type[Party]) -> frozenset[str]:
    return frozenset(item.name for item in fields(kind))


def _printable(name: str, text: object, at_least: int = 0, at_most: int = 200) -> None:
    if not printable(text, at_least=at_least, at_most=at_most):
        raise ContractInvalid(f"{name}: {text!r} is not printable text of {at_least} to {at_most} characters")


def _date(value: object) -> date:
    if isinstance(value, str):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise ContractInvalid(f"anchor_date: {value!r} is not an ISO date") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise ContractInvalid(f"anchor_date: {value!r} is not a date")
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise ContractInvalid(f"anchor_date: {value} is not between the years {FIRST_YEAR} and {LAST_YEAR}")
    return date(value.year, value.month, value.day)


def _whole(name: str, value: object, low: int, high: int) -> int:
    if type(value) is not int or not low <= value <= high:
        raise ContractInvalid(f"{name}: {value!r} is not a whole number from {low} to {high}")
    return value


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ContractInvalid(f"{name}: {value!r} is not true or false")
    return value


def _one_of(name: str, value: object, allowed: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in allowed:
        raise ContractInvalid(f"{name}: {value!r} is not one of {', '.join(allowed)}")
    return value


def _word(name: str, value: object) -> str:
    if not isinstance(value, str) or not re.fullmatch("[a-z][a-z0-9_]{0,39}", value):
        raise ContractInvalid(f"{name}: {value!r} is not a lower-case word")
    return value


def _percent(value: object) -> Decimal:
    percent = parse_decimal(value, field="uplift_percent")
    if percent > 100:
        raise ContractInvalid(f"uplift_percent: {value!r} is more than 100")
    return percent
