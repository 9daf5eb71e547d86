"""Money that came in. A payment is recorded once per reference and never blocks or opens anything."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from billing_core import tables
from billing_core.archive import invoice_by_id, invoice_row
from billing_core.errors import AmountInvalid, OrderInvalid, PaymentConflict
from billing_core.identifiers import new_id
from billing_core.invoices import Invoice
from billing_core.journal import CASH, RECEIVABLE, Booking, book
from billing_core.ledger import StoredContract, locked_contract
from billing_core.periods import in_utc, micros
from billing_core.texts import printable


def record_payment(
    tx: Connection, *, customer: str, number: str, amount: int, paid_on: date, reference: str, now: datetime
) -> Invoice:
    """The invoice with `amount` minor units more paid. The same reference again changes nothing.

    Raises `ContractUnknown`, `InvoiceUnknown`, `AmountInvalid` for more than is outstanding, `OrderInvalid` for a
    reference that is empty or longer than 200 characters, `PaymentConflict` for a reference that says something else.
    """
    instant = in_utc(now)
    if not printable(reference):
        raise OrderInvalid("reference: not printable text of 1 to 200 characters")
    stored = locked_contract(tx, customer)
    invoice_id, invoice = invoice_row(tx, stored.id, number)
    earlier = _by_reference(tx, stored, reference)
    if earlier is not None:
        if (earlier.invoice_id, earlier.amount, earlier.paid_on) != (invoice_id, amount, paid_on.isoformat()):
            raise PaymentConflict(f"{reference} was recorded with another invoice, amount or date")
        return invoice
    if type(amount) is not int or not 0 < amount <= invoice.outstanding.amount:
        raise AmountInvalid(f"{amount!r} is not from 1 to {invoice.outstanding.amount}, what is outstanding")
    paid = Booking(stored.id, invoice_id, "payment", "", paid_on, invoice.currency, _moves(amount))
    _record(tx, paid, reference, instant)
    return invoice_by_id(tx, invoice_id)


def move_payments(tx: Connection, stored: StoredContract, from_id: str, to_id: str, now: datetime) -> int:
    """The amount of all payments of one invoice, now on another: an equal payment back and forth, none deleted."""
    query = select(tables.payments).where(tables.payments.c.invoice_id == from_id).order_by(tables.payments.c.id)
    currency = invoice_by_id(tx, from_id).currency
    rows = tx.execute(query).all()
    for row in rows:
        paid_on = date.fromisoformat(row.paid_on)
        for invoice_id, amount in ((from_id, -row.amount), (to_id, row.amount)):
            reference = f"{row.reference} moved to {invoice_id}"
            moved = Booking(stored.id, invoice_id, "payment", "", paid_on, currency, _moves(amount))
            _record(tx, moved, reference, now)
    return sum(row.amount for row in rows)


def _by_reference(tx: Connection, stored: StoredContract, reference: str) -> Any:
    same = (tables.payments.c.contract_id == stored.id) & (tables.payments.c.reference == reference)
    return tx.execute(select(tables.payments).where(same)).one_or_none()


def _moves(amount: int) -> dict[str, int]:
    return {CASH: amount, RECEIVABLE: -amount}


def _record(tx: Connection, paid: Booking, reference: str, now: datetime) -> None:
    payment_id = new_id("pay", now)
    tx.execute(
        insert(tables.payments).values(
            id=payment_id,
            contract_id=paid.contract_id,
            invoice_id=paid.invoice_id,
            amount=paid.amounts[CASH],
            paid_on=paid.booked_on.isoformat(),
            reference=reference,
            recorded_at=micros(now),
        )
    )
    book(tx, replace(paid, key=f"payment {payment_id}"), now)
