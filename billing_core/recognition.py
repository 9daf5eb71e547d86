"""Revenue as it is earned: each line's amount moves from deferred revenue to revenue month by month of its period."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from fractions import Fraction

from sqlalchemy import Connection, select

from billing_core import tables
from billing_core.invoices import INVOICE, Grid, Invoice
from billing_core.journal import DEFERRED, REVENUE, Booking, book
from billing_core.ledger import locked_contract
from billing_core.lines import Line
from billing_core.money import share_up_to
from billing_core.periods import boundary, in_utc, local_date, month_index


@dataclass(frozen=True, slots=True)
class Earned:
    """The part of a line, in minor units, that is earned when contract month `month` ends (`ends_on`, exclusive)."""

    month: int
    ends_on: date
    amount: int


def schedule(line: Line, anchor: date) -> list[Earned]:
    """A line's amount over its contract months by cumulative share: the parts sum to the line's net.

    A started month counts as the part of it that was billed. A credit note takes its share after the notes before it,
    so that an invoice and its credits together have earned neither less than nothing nor more than what is left.
    """
    first, last = month_index(anchor, line.period_start), month_index(anchor, line.period_end)
    parts = []
    for month in range(first, last):
        done = line.months - (last - 1 - month)
        amount = _earned(line, done) - _earned(line, max(done - 1, Fraction(0)))
        parts.append(Earned(month, boundary(anchor, month + 1), amount))
    return parts


def _earned(line: Line, done: Fraction) -> int:
    """What is earned of the line once `done` of its months are over."""
    before = line.credited_before
    return share_up_to(before + line.net, done, line.months) - share_up_to(before, done, line.months)


def recognise(tx: Connection, *, customer: str, now: datetime) -> int:
    """How many entries were booked: one a line and contract month that is over and was not booked yet.

    A credit note takes revenue back over the same months as its line, those already past at once. An entry is dated on
    the last day of its month, but not before its document. Raises `ContractUnknown`.
    """
    instant = in_utc(now)
    stored = locked_contract(tx, customer)
    today = local_date(instant, stored.contract.timezone)
    booked = set(_booked(tx, stored.id))
    missing = [booking for booking in _due(tx, stored.id, today) if booking.key not in booked]
    for booking in missing:
        book(tx, booking, instant)
    return len(missing)


def _booked(tx: Connection, contract_id: str) -> Iterator[str]:
    is_revenue = (tables.journal.c.contract_id == contract_id) & (tables.journal.c.kind == "revenue")
    return iter(tx.execute(select(tables.journal.c.key).where(is_revenue)).scalars())


def _due(tx: Connection, contract_id: str, today: date) -> Iterator[Booking]:
    query = select(tables.invoices.c.id, tables.invoices.c.document).where(tables.invoices.c.contract_id == contract_id)
    for row in tx.execute(query.order_by(tables.invoices.c.position)).all():
        yield from revenue_bookings(row.id, Invoice.of(json.loads(row.document)), today)


def revenue_bookings(invoice_id: str, invoice: Invoice, today: date) -> Iterator[Booking]:
    """The entries of a document for every contract month that is over on `today`."""
    sign = 1 if invoice.kind == INVOICE else -1
    grid: Grid = invoice.grid
    for position, line in enumerate(invoice.lines, 1):
        for part in schedule(line, grid.anchor_date):
            if part.ends_on <= today:
                key = f"revenue {invoice_id} {position} {part.month}"
                booked_on = max(part.ends_on - timedelta(days=1), invoice.issued_on)
                amounts = {DEFERRED: sign * part.amount, REVENUE: -sign * part.amount}
                yield Booking(grid.contract_id, invoice_id, "revenue", key, booked_on, invoice.currency, amounts)
