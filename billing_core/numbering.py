"""Document numbers without gaps: `INV-2026-000001`, a series per seller and kind that restarts each year.

The counter's row is locked and counted up in the transaction that issues the document, so a rollback or a crash gives
the number back and a concurrent issuer waits for it.
"""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, select, text, update

from billing_core import tables
from billing_core.contracts import Seller
from billing_core.invoices import CREDIT_NOTE, INVOICE
from billing_core.periods import local_date

PREFIX = {INVOICE: "INV", CREDIT_NOTE: "CN"}


@dataclass(frozen=True, slots=True)
class Numbered:
    """One number of a series and the date that it was given on."""

    number: str
    year: int
    sequence: int
    issued_on: date


def next_number(tx: Connection, seller: Seller, kind: str, now: datetime) -> Numbered:
    """The next number of the seller's series, with its row locked until the transaction ends.

    The issue date is the seller's local date, but never before the last document of the series.
    """
    key = (tables.series.c.seller == seller.name) & (tables.series.c.kind == kind)
    tx.execute(_FIRST, {"seller": seller.name, "kind": kind})
    row = tx.execute(select(tables.series).where(key).with_for_update()).one()
    today = local_date(now, seller.timezone)
    issued_on = max(today, date.fromisoformat(row.last_issued_on or today.isoformat()))
    sequence = row.last_number + 1 if row.year == issued_on.year else 1
    counted = {"year": issued_on.year, "last_number": sequence, "last_issued_on": issued_on.isoformat()}
    tx.execute(update(tables.series).where(key).values(counted))
    return Numbered(number_text(kind, issued_on.year, sequence), issued_on.year, sequence, issued_on)


def number_text(kind: str, year: int, sequence: int) -> str:
    """Such as "INV-2026-000001"; the millionth document of a year simply has a seventh digit."""
    return f"{PREFIX[kind]}-{year}-{sequence:06d}"


_FIRST = text(
    "INSERT INTO billing_series (seller, kind, year, last_number, last_issued_on) VALUES (:seller, :kind, 0, 0, '')"
    " ON CONFLICT (seller, kind) DO NOTHING"
)
