"""How every figure of a document came about: formula, boundaries, zone and rounding, from the stored document alone."""

from datetime import date
from fractions import Fraction

from billing_core.invoices import CREDIT_NOTE, Invoice
from billing_core.lines import Line
from billing_core.money import minor_digits, plain, round_half_up
from billing_core.periods import boundary, local_date, month_index
from billing_core.proration import line_exact, months_left
from billing_core.taxes import TaxGroup


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
    return [*said, *_months(invoice, line), *_product(line)]


def _months(invoice: Invoice, line: Line) -> list[str]:
    grid = invoice.grid
    day = local_date(grid.priced_at, grid.timezone)
    k = month_index(grid.anchor_date, day)
    begins, ends = boundary(grid.anchor_date, k), boundary(grid.anchor_date, k + 1)
    last = (grid.term_index + 1) * grid.term_months
    expected = months_left(grid.anchor_date, grid.term_months, grid.proration, day)
    return [
        f"  instant   {grid.priced_at.isoformat()} is {day} in {grid.timezone}",
        f"  grid      anchor {grid.anchor_date}: b[{k}] = {begins} <= {day} < b[{k + 1}] = {ends}",
        f"  term      {grid.term_index} ends at b[{last}] = {boundary(grid.anchor_date, last)}",
        f"  months    {grid.proration}: {_months_formula(grid.proration, last - k, day, begins, ends)} = {expected}"
        + _verdict(line.months == expected and line.period_start == day),
    ]


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
    return f"{minor / 10 ** minor_digits(currency)} {currency}"


def _rounding(exact: Fraction) -> str:
    if exact.denominator == 1:
        return "none, already whole minor units"
    return "once, half up away from zero"


def _tax(invoice: Invoice, group: TaxGroup) -> str:
    exact = group.base * Fraction(group.rate_percent) / 100
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
    return f"{invoice.totals.money(amount).decimal:,} {invoice.currency}"


def _verdict(right: bool) -> str:
    return "" if right else "  DIFFERS"
