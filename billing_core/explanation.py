"""How every figure of a document came about: formula, boundaries, zone and rounding, from the stored document alone."""

from datetime import date
from fractions import Fraction
from functools import lru_cache

from billing_core.invoices import CREDIT_NOTE, Grid, Invoice
from billing_core.lines import Line
from billing_core.money import Money, minor_digits, plain, round_half_up
from billing_core.periods import boundary, local_date, month_index
from billing_core.proration import line_exact, months_left
from billing_core.taxes import TaxGroup, tax_exact


def explain(invoice: Invoice) -> str:
    """Plain English text, one block a line and one line a tax; every figure is computed again and compared.

    A figure that the rules do not give is marked "DIFFERS"; a document as issued by this package has none.
    """
    parts = [_head(invoice)]
    for position, line in enumerate(invoice.lines, 1):
        parts += _line(invoice, position, line)
    parts += [_tax(invoice, group) for group in invoice.totals.taxes]
    parts.append(_sum(invoice))
    return "\n".join(parts) + "\n"


def _head(invoice: Invoice) -> str:
    about = f", refers to {invoice.refers_to} ({invoice.reason})" if invoice.refers_to else ""
    return (
        f"{invoice.number}: {invoice.kind.replace('_', ' ')} ({invoice.origin}){about}, issued {invoice.issued_on} and "
        f"due {invoice.due_on} in {invoice.seller.timezone}, by {invoice.seller.name} to {invoice.buyer.name}"
    )


def _line(invoice: Invoice, position: int, line: Line) -> list[str]:
    said = [f"Line {position}: {line.text}"]
    if invoice.kind == CREDIT_NOTE:
        return [*said, f"  amount    {_money(invoice, line.net)}, taken back from {invoice.refers_to}"]
    return [*said, *_months(invoice.grid, line), *_product(line)]


def _months(grid: Grid, line: Line) -> list[str]:
    day = local_date(grid.priced_at, grid.timezone)
    expected, said = _calendar(grid.anchor_date, grid.term_months, grid.term_index, grid.proration, day)
    return [
        f"  instant   {grid.priced_at.isoformat()} is {day} in {grid.timezone}",
        said + _verdict(line.months == expected and line.period_start == day),
    ]


@lru_cache(maxsize=16_384)
def _calendar(anchor: date, term_months: int, index: int, proration: str, day: date) -> tuple[Fraction, str]:
    """The months of a seat that begins on `day` and where they come from; many documents share the day."""
    k, last = month_index(anchor, day), (index + 1) * term_months
    begins, ends = boundary(anchor, k), boundary(anchor, k + 1)
    expected = months_left(anchor, term_months, proration, day)
    return expected, (
        f"  grid      anchor {anchor}: b[{k}] = {begins} <= {day} < b[{k + 1}] = {ends}\n"
        f"  term      {index} ends at b[{last}] = {boundary(anchor, last)}\n"
        f"  months    {proration}: {_months_formula(proration, last - k, day, begins, ends)} = {expected}"
    )


def _months_formula(proration: str, left: int, day: date, begins: date, ends: date) -> str:
    if proration == "started_month":
        return f"{left} contract months from the started one to the end of the term"
    return f"{left - 1} whole contract months + {(ends - day).days}/{(ends - begins).days} of the started one"


def _product(line: Line) -> list[str]:
    exact = line_exact(line.seats, line.unit_price, line.months, line.price_per, line.currency)
    twelfth = " / 12" if line.price_per == "seat_year" else ""
    rounded = round_half_up(exact)
    product = f"{line.seats} seats x {plain(line.unit_price)} {line.currency} x {line.months} months{twelfth}"
    return [
        f"  formula   {product} = {_exact(exact, line.currency)}",
        f"  rounding  {_rounding(exact)} -> {rounded} minor units" + _verdict(rounded == line.net),
    ]


def _exact(minor: Fraction, currency: str) -> str:
    return f"{Fraction(minor.numerator, minor.denominator * 10 ** minor_digits(currency))} {currency}"


def _rounding(exact: Fraction) -> str:
    if exact.denominator == 1:
        return "none, already whole minor units"
    return "once, half up away from zero"


def _tax(invoice: Invoice, group: TaxGroup) -> str:
    exact = tax_exact(group.base, group.rate_percent)
    said = f"Tax {group.category} {plain(group.rate_percent)} %: "
    if invoice.kind == CREDIT_NOTE:
        return said + f"{_money(invoice, group.amount)}, the cumulative share of the invoice's tax"
    return (
        said + f"{_money(invoice, group.base)} x {plain(group.rate_percent)}/100 = {_exact(exact, invoice.currency)}, "
        f"{_rounding(exact)} -> {_money(invoice, group.amount)}" + _verdict(round_half_up(exact) == group.amount)
    )


def _sum(invoice: Invoice) -> str:
    totals = invoice.totals
    right = sum(line.net for line in invoice.lines) == totals.net
    return (
        f"Total: net {_money(invoice, totals.net)} + tax {_money(invoice, totals.tax)} "
        f"= gross {_money(invoice, totals.gross)}" + _verdict(right)
    )


def _money(invoice: Invoice, amount: int) -> str:
    return _amount(amount, invoice.currency)


@lru_cache(maxsize=4096, typed=True)
def _amount(minor: int, currency: str) -> str:
    """The amount in figures; a document says most of its amounts more than once."""
    return f"{Money(minor, currency).decimal:,} {currency}"


def _verdict(right: bool) -> str:
    return "" if right else "  DIFFERS"
