"""One line of an invoice: a product of seats, months and price over a period. Pure; works on plain contract values."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from billing_core.contracts import ANNUAL_INVOICED, MAX_SEATS, Contract
from billing_core.errors import InstantInvalid, QuantityInvalid, SelfServiceUnavailable, TermEnded, TermNotStarted
from billing_core.money import Money, plain
from billing_core.periods import LAST_YEAR, Term, local_date, month_index, term
from billing_core.proration import line_amount, months_left
from billing_core.taxes import TaxRate, Totals, invoice_totals, tax_rates

MAX_SEATS_PER_ORDER = 10_000
"""More than this in one order is a conversation, not a click."""


@dataclass(frozen=True, slots=True)
class Line:
    """`net` minor units of `currency` for `seats` seats over `months` months (exact) in `[period_start, period_end)`.

    `basis` is "product" when `net` is the rounded product of seats, months and price, and "share" when it is a part of
    another document's line (a partial credit). `credited_before` is what earlier credit notes took of that line.
    `text` is the sentence that the document prints; empty before issue.
    """

    seats: int
    months: Fraction
    unit_price: Decimal
    price_per: str
    currency: str
    net: int
    period_start: date
    period_end: date
    taxes: tuple[TaxRate, ...] = ()
    basis: str = "product"
    credited_before: int = 0
    text: str = field(default="", compare=False)

    @property
    def last_day(self) -> date:
        """The last day of the period."""
        return self.period_end - timedelta(days=1)

    @property
    def amount(self) -> Money:
        """The net amount as money."""
        return Money(self.net, self.currency)

    def to_json(self) -> dict[str, Any]:
        """The stored form; `months` as "10" or "296/31", prices as decimal text, `net` in minor units."""
        return {
            "seats": self.seats,
            "months": str(self.months),
            "unit_price": plain(self.unit_price),
            "price_per": self.price_per,
            "currency": self.currency,
            "net": self.net,
            "period_start": self.period_start.isoformat(),
            "period_end": self.period_end.isoformat(),
            "taxes": [rate.to_json() for rate in self.taxes],
            "basis": self.basis,
            "credited_before": self.credited_before,
            "text": self.text,
        }

    def public(self) -> dict[str, Any]:
        """The form of the API: as stored, but `net` is money and `period_end` is the last day, included."""
        return {
            "text": self.text,
            "seats": self.seats,
            "months": str(self.months),
            "unit_price": plain(self.unit_price),
            "price_per": self.price_per,
            "period_start": self.period_start.isoformat(),
            "period_end": self.last_day.isoformat(),
            "net": self.amount.to_json(),
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Line":
        """The line from its stored form."""
        return cls(
            **{
                **value,
                "months": _months(value["months"]),
                "unit_price": Decimal(value["unit_price"]),
                "period_start": date.fromisoformat(value["period_start"]),
                "period_end": date.fromisoformat(value["period_end"]),
                "taxes": tax_rates(value["taxes"]),
            }
        )


@dataclass(frozen=True, slots=True)
class Preview:
    """What an order would cost on a date, and what the allocation after it costs at the next renewal."""

    seats_before: int
    seats_after: int
    line: Line
    totals: Totals
    renewal: Line
    renewal_totals: Totals


def quote_line(contract: Contract | Mapping[str, Any] | object, seats: int, at: datetime | date) -> Line:
    """The line that an order of `seats` seats at that instant would invoice: seats, exact months, net in minor units.

    `at` is an instant with an offset; a plain date is taken as that date in the contract's zone. `unit_price` is the
    price of the term that holds it. Raises `SelfServiceUnavailable`, `QuantityInvalid`, `TermNotStarted`, and
    `TermEnded` after the first term of a contract that does not renew by itself.
    """
    terms = Contract.of(contract)
    self_service(terms)
    count = order_quantity(seats)
    day = _day(terms, at)
    index = month_index(terms.anchor_date, day) // terms.term_months
    if index < 0:
        raise TermNotStarted(f"the term starts on {terms.anchor_date}, and it is {day} in {terms.timezone}")
    if index > 0 and not terms.auto_renew:
        raise TermEnded(f"the term of {terms.term_months} months from {terms.anchor_date} is over on {day}")
    return added_line(terms, term(terms.anchor_date, terms.term_months, index, terms.timezone), count, day)


def renewal_line(contract: Contract | Mapping[str, Any] | object, seats: int, at: datetime | date) -> Line:
    """The whole term after the one that holds `at`, at the uplifted price; before the start, the second term."""
    terms = Contract.of(contract)
    index = max(month_index(terms.anchor_date, _day(terms, at)) // terms.term_months, 0) + 1
    next_term = term(terms.anchor_date, terms.term_months, index, terms.timezone)
    return term_line(terms.uplifted(), next_term, allocation_quantity(seats))


def what_if(
    contract: Contract | Mapping[str, Any] | object,
    seats_before: int,
    add: int,
    on: datetime | date,
    next_unit_price: Decimal | str | None = None,
) -> Preview:
    """What adding `add` seats on a date would cost, by the same code as the bill; nothing is stored or promised.

    `next_unit_price` is a price already agreed for the next term, which then takes the uplift's place.
    """
    terms = Contract.of(contract)
    line = quote_line(terms, add, on)
    after = allocation_quantity(seats_before) + add
    renewal = renewal_line(terms, after, on)
    if next_unit_price is not None:
        renewal = repriced(renewal, terms.at_price(next_unit_price).unit_price)
    return Preview(seats_before, after, line, invoice_totals([line]), renewal, invoice_totals([renewal]))


def added_line(contract: Contract, within: Term, seats: int, day: date) -> Line:
    """The line of seats that begin on `day` inside the given term, at the contract's price."""
    months = months_left(contract.anchor_date, contract.term_months, contract.proration, day)
    return _line(contract, seats, months, day, within.ends_on)


def term_line(contract: Contract, whole: Term, seats: int) -> Line:
    """The line of a whole term, at the contract's price."""
    return _line(contract, seats, Fraction(contract.term_months), whole.starts_on, whole.ends_on)


def repriced(line: Line, unit_price: Decimal) -> Line:
    """The same seats and months at another price."""
    net = line_amount(line.seats, unit_price, line.months, line.price_per, line.currency)
    return replace(line, unit_price=unit_price, net=net)


def self_service(contract: Contract) -> None:
    """Raises `SelfServiceUnavailable` for every kind of contract but the annual invoiced one."""
    if contract.kind != ANNUAL_INVOICED:
        raise SelfServiceUnavailable(f"a contract of kind {contract.kind} is changed by its seller")


def order_quantity(seats: object) -> int:
    """The number of seats of one order: 1 to 10,000. `True`, "5" and 5.0 are not quantities."""
    return _quantity(seats, 1, MAX_SEATS_PER_ORDER)


def allocation_quantity(seats: object) -> int:
    """The seats of a whole allocation: 0 to 1,000,000."""
    return _quantity(seats, 0, MAX_SEATS)


@lru_cache(maxsize=4096)
def _months(text: str) -> Fraction:
    """The stored months; there are only a few hundred of them, and a fraction is slow to read."""
    return Fraction(text)


def _quantity(seats: object, low: int, high: int) -> int:
    if type(seats) is not int or not low <= seats <= high:
        raise QuantityInvalid(f"{seats!r} is not a whole number of seats from {low} to {high}")
    return seats


def _day(contract: Contract, at: object) -> date:
    if isinstance(at, datetime) or not isinstance(at, date):
        return local_date(at, contract.timezone)
    if not 1900 <= at.year <= LAST_YEAR:
        raise InstantInvalid(f"{at} is not between the years 1900 and {LAST_YEAR}")
    return at


def _line(contract: Contract, seats: int, months: Fraction, begins: date, ends: date) -> Line:
    net = line_amount(seats, contract.unit_price, months, contract.price_per, contract.currency)
    return Line(
        seats=seats,
        months=months,
        unit_price=contract.unit_price,
        price_per=contract.price_per,
        currency=contract.currency,
        net=net,
        period_start=begins,
        period_end=ends,
        taxes=contract.tax,
    )
