"""Double-entry books, append-only. Debits are positive, credits negative; every entry sums to zero in its currency."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, func, insert, select

from billing_core import tables
from billing_core.identifiers import new_id
from billing_core.invoices import INVOICE
from billing_core.periods import micros

RECEIVABLE, DEFERRED, TAX, CASH, REVENUE = "receivable", "deferred_revenue", "tax_payable", "cash", "revenue"


@dataclass(frozen=True, slots=True)
class Booking:
    """One journal entry: what happened (`key`, at most once), about which document, and the accounts it moves."""

    contract_id: str
    invoice_id: str
    kind: str
    key: str
    booked_on: date
    currency: str
    amounts: Mapping[str, int]


def book(tx: Connection, booking: Booking, now: datetime) -> None:
    """Writes an entry. Its amounts sum to zero; an account that does not move gets no posting."""
    if sum(booking.amounts.values()):
        raise AssertionError(f"unbalanced entry {booking.key}: {dict(booking.amounts)}")
    journal_id = new_id("jrn", now)
    tx.execute(
        insert(tables.journal).values(
            id=journal_id,
            contract_id=booking.contract_id,
            invoice_id=booking.invoice_id,
            kind=booking.kind,
            key=booking.key,
            booked_on=booking.booked_on.isoformat(),
            booked_at=micros(now),
        )
    )
    rows = [
        {"journal_id": journal_id, "account": account, "amount": amount, "currency": booking.currency}
        for account, amount in booking.amounts.items()
        if amount
    ]
    if rows:
        tx.execute(insert(tables.postings), rows)


def document_amounts(kind: str, net: int, tax: int) -> dict[str, int]:
    """What a document moves: receivable gross against deferred revenue net and tax; a credit note the reverse."""
    sign = 1 if kind == INVOICE else -1
    return {RECEIVABLE: sign * (net + tax), DEFERRED: -sign * net, TAX: -sign * tax}


def balances(tx: Connection, customer: str | None = None) -> dict[str, dict[str, int]]:
    """The balance of every account by currency, of one customer or all, in minor units: `{"cash": {"USD": 119000}}`."""
    query = select(tables.postings.c.account, tables.postings.c.currency, func.sum(tables.postings.c.amount))
    if customer is not None:
        booked = tables.postings.join(tables.journal)
        booked = booked.join(tables.contracts, tables.journal.c.contract_id == tables.contracts.c.id)
        query = query.select_from(booked).where(tables.contracts.c.customer == customer)
    sums: dict[str, dict[str, int]] = {}
    for account, currency, amount in tx.execute(query.group_by(tables.postings.c.account, tables.postings.c.currency)):
        sums.setdefault(account, {})[currency] = int(amount)
    return sums
