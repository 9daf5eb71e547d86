"""Taking an invoice back, in part or whole: a credit note, and for a wrong address a new invoice. Seats stay."""

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, select

from billing_core import tables
from billing_core.archive import Draft, invoice_row, invoices_in, issue
from billing_core.contracts import Party
from billing_core.errors import AmountInvalid, OrderInvalid
from billing_core.invoices import CREDIT_NOTE, INVOICE, Invoice
from billing_core.ledger import StoredContract, locked_contract
from billing_core.lines import Line
from billing_core.money import share_up_to, split
from billing_core.payments import move_payments
from billing_core.periods import in_utc
from billing_core.taxes import Totals
from billing_core.texts import printable
from billing_core.wording import credit_text


@dataclass(frozen=True, slots=True)
class Correction:
    """The credit note that takes the wrong invoice back, and the invoice that replaces it."""

    credit_note: Invoice
    invoice: Invoice


def credit(
    tx: Connection, *, customer: str, number: str, reason: str, now: datetime, net: int | None = None
) -> Invoice:
    """The credit note over `net` minor units of an invoice, without `net` over all that is left of it.

    Lines share by largest remainder what is left of each; taxes by cumulative share, so that credits in any steps add
    up to exactly the invoice. Seats are not taken back. Raises `ContractUnknown`, `InvoiceUnknown`, `AmountInvalid`
    for a credit note, for nothing left, or for more than is left.
    """
    instant = in_utc(now)
    stored = locked_contract(tx, customer)
    invoice_id, invoice = invoice_row(tx, stored.id, number)
    return _credited(tx, stored, invoice_id, invoice, reason=_reason(reason), net=net, now=instant)


def correct(
    tx: Connection,
    *,
    customer: str,
    number: str,
    reason: str,
    now: datetime,
    buyer: Party | None = None,
    po_number: str | None = None,
) -> Correction:
    """A whole credit of an invoice and the same lines again with another buyer or PO number; payments move along.

    Raises what `credit` raises; `AmountInvalid` also when a part was credited before.
    """
    instant = in_utc(now)
    stored = locked_contract(tx, customer)
    invoice_id, invoice = invoice_row(tx, stored.id, number)
    if invoice.credited:
        raise AmountInvalid(f"{number} was credited before; credit the rest and order again")
    note = _credited(tx, stored, invoice_id, invoice, reason=_reason(reason), net=None, now=instant)
    draft = Draft(
        invoice.lines,
        "correction",
        invoice.grid.priced_at,
        totals=invoice.totals,
        grid=invoice.grid,
        buyer=buyer or invoice.buyer,
        po_number=invoice.po_number if po_number is None else po_number,
        reason=reason,
        refers_to=number,
        refers_to_id=invoice_id,
    )
    replacement_id, replacement = issue(tx, stored, draft, instant)
    moved = move_payments(tx, stored, invoice_id, replacement_id, instant)
    return Correction(note, replace(replacement, paid=moved))


def _credited(
    tx: Connection,
    stored: StoredContract,
    invoice_id: str,
    invoice: Invoice,
    *,
    reason: str,
    net: int | None,
    now: datetime,
) -> Invoice:
    notes = _notes(tx, invoice_id)
    before = sum(note.totals.net for note in notes)
    left = invoice.totals.net - before
    amount = left if net is None else net
    if invoice.kind != INVOICE or type(amount) is not int or not 0 < amount <= left:
        raise AmountInvalid(f"{amount!r} is not from 1 to {left}, what is left of {invoice.number} to credit")
    draft = Draft(
        _lines(invoice, notes, amount),
        "credit",
        invoice.grid.priced_at,
        kind=CREDIT_NOTE,
        totals=_totals(invoice, before, amount),
        grid=invoice.grid,
        buyer=invoice.buyer,
        po_number=invoice.po_number,
        reason=reason,
        refers_to=invoice.number,
        refers_to_id=invoice_id,
    )
    return issue(tx, stored, draft, now)[1]


def _notes(tx: Connection, invoice_id: str) -> list[Invoice]:
    is_note = tables.invoices.c.kind == CREDIT_NOTE
    return invoices_in(tx, select(tables.invoices.c.id).where(tables.invoices.c.refers_to == invoice_id, is_note))


def _lines(invoice: Invoice, notes: list[Invoice], amount: int) -> tuple[Line, ...]:
    before = [sum(note.lines[i].net for note in notes) for i in range(len(invoice.lines))]
    parts = split(amount, [line.net - taken for line, taken in zip(invoice.lines, before, strict=True)])
    return tuple(_part(invoice, i, parts[i], before[i]) for i in range(len(parts)))


def _part(invoice: Invoice, index: int, net: int, before: int) -> Line:
    original = invoice.lines[index]
    basis = "product" if net == original.net else "share"
    text = credit_text(original, net, invoice.number, index + 1, invoice.locale)
    return replace(original, net=net, basis=basis, credited_before=before, text=text)


def _totals(invoice: Invoice, before: int, amount: int) -> Totals:
    whole = invoice.totals.net

    def part(total: int) -> int:
        return share_up_to(total, before + amount, whole) - share_up_to(total, before, whole)

    groups = tuple(replace(group, base=part(group.base), amount=part(group.amount)) for group in invoice.totals.taxes)
    return Totals(invoice.currency, amount, groups)


def _reason(reason: str) -> str:
    if not printable(reason, at_most=500):
        raise OrderInvalid("reason: not printable text of 1 to 500 characters")
    return reason
