"""Issued documents: numbered, written once, booked, and read back with what has been paid and credited since."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from billing_core import tables
from billing_core.contracts import Party
from billing_core.errors import InvoiceUnknown
from billing_core.identifiers import canonical, digest, new_id
from billing_core.invoices import CREDIT_NOTE, INVOICE, Grid, Invoice
from billing_core.journal import Booking, book, document_amounts
from billing_core.ledger import StoredContract
from billing_core.lines import Line
from billing_core.numbering import Numbered, next_number
from billing_core.periods import micros
from billing_core.taxes import Totals, invoice_totals
from billing_core.wording import line_text

MAX_PAGE = 500


@dataclass(frozen=True, slots=True)
class Draft:
    """What a document will say, before it has a number."""

    lines: tuple[Line, ...]
    origin: str
    priced_at: datetime
    kind: str = INVOICE
    totals: Totals | None = None
    grid: Grid | None = None
    buyer: Party | None = None
    po_number: str = ""
    reason: str = ""
    refers_to: str = ""
    refers_to_id: str | None = None


def issue(tx: Connection, stored: StoredContract, draft: Draft, now: datetime) -> tuple[str, Invoice]:
    """The row id and the document: numbered, stored and booked in the caller's transaction."""
    given = next_number(tx, stored.seller, draft.kind, now)
    invoice = _written(stored, draft, given, now)
    invoice_id = new_id("inv", now)
    tx.execute(insert(tables.invoices).values(_row(invoice_id, stored, invoice, given, draft.refers_to_id)))
    tx.execute(insert(tables.lines), [_line_row(invoice_id, i, line) for i, line in enumerate(invoice.lines, 1)])
    amounts = document_amounts(invoice.kind, invoice.totals.net, invoice.totals.tax)
    key = f"{invoice.kind} {invoice_id}"
    book(tx, Booking(stored.id, invoice_id, invoice.kind, key, invoice.issued_on, invoice.currency, amounts), now)
    return invoice_id, invoice


def _written(stored: StoredContract, draft: Draft, given: Numbered, now: datetime) -> Invoice:
    days = stored.contract.payment_days if draft.kind == INVOICE else 0
    return Invoice(
        number=given.number,
        kind=draft.kind,
        origin=draft.origin,
        issued_on=given.issued_on,
        issued_at=now,
        due_on=given.issued_on + timedelta(days=days),
        seller=stored.seller,
        buyer=draft.buyer or stored.buyer,
        locale=stored.locale,
        lines=tuple(worded(line, stored.locale) for line in draft.lines),
        totals=draft.totals or invoice_totals(draft.lines),
        grid=draft.grid or grid_of(stored, draft.priced_at),
        po_number=draft.po_number,
        reason=draft.reason,
        refers_to=draft.refers_to,
    )


def worded(line: Line, locale: str) -> Line:
    """The line with its sentence, unless it has one."""
    return line if line.text else replace(line, text=line_text(line, locale))


def grid_of(stored: StoredContract, priced_at: datetime) -> Grid:
    """The calendar that prices a document of this contract at that instant."""
    terms = stored.contract
    return Grid(
        contract_id=stored.id,
        anchor_date=terms.anchor_date,
        timezone=terms.timezone,
        term_months=terms.term_months,
        proration=terms.proration,
        term_index=stored.term.index,
        priced_at=priced_at,
    )


def invoice(tx: Connection, *, customer: str, number: str) -> Invoice | None:
    """The customer's document of that number, or None; another customer's document is None too."""
    found = _of_customer(customer).where(tables.invoices.c.number == number)
    return next(iter(_loaded(tx, tx.execute(found).all())), None)


def invoices(tx: Connection, *, customer: str, after: str | None = None, limit: int = 50) -> list[Invoice]:
    """The customer's documents, newest first, at most `limit` (500); `after` is the last number of the page before."""
    page = _of_customer(customer)
    if after is not None:
        last = (
            _of_customer(customer)
            .where(tables.invoices.c.number == after)
            .with_only_columns(tables.invoices.c.position)
        )
        page = page.where(tables.invoices.c.position < last.scalar_subquery())
    rows = tx.execute(page.order_by(tables.invoices.c.position.desc()).limit(max(0, min(limit, MAX_PAGE)))).all()
    return _loaded(tx, rows)


def invoices_numbered(tx: Connection, number: str) -> list[Invoice]:
    """Every seller's document of that number, for whoever may see all of them."""
    return _loaded(tx, tx.execute(select(*_COLUMNS).where(tables.invoices.c.number == number)).all())


def document_count(tx: Connection) -> int:
    """The number of documents of every customer."""
    return tx.execute(select(func.count()).select_from(tables.invoices)).scalar_one()


def every_invoice(tx: Connection) -> Iterator[Invoice]:
    """Every document of every customer, oldest first, as issued: what was paid or credited since is left out."""
    query = select(tables.invoices.c.document).order_by(tables.invoices.c.id).execution_options(yield_per=1000)
    return (Invoice.of(json.loads(text)) for text in tx.execute(query).scalars())


def invoice_row(tx: Connection, contract_id: str, number: str) -> tuple[str, Invoice]:
    """The row id and the contract's document of that number. Raises `InvoiceUnknown`."""
    query = select(*_COLUMNS).where(tables.invoices.c.contract_id == contract_id, tables.invoices.c.number == number)
    rows = tx.execute(query).all()
    if not rows:
        raise InvoiceUnknown(f"{number} is not a document of this contract")
    return rows[0].id, _loaded(tx, rows)[0]


def invoices_in(tx: Connection, ids: Select[Any]) -> list[Invoice]:
    """The documents in the rows that a query of ids selects, oldest first."""
    query = select(*_COLUMNS).where(tables.invoices.c.id.in_(ids)).order_by(tables.invoices.c.position)
    return _loaded(tx, tx.execute(query).all())


def invoice_by_id(tx: Connection, invoice_id: str) -> Invoice:
    """The document in that row."""
    return _loaded(tx, [tx.execute(select(*_COLUMNS).where(tables.invoices.c.id == invoice_id)).one()])[0]


_COLUMNS = (tables.invoices.c.id, tables.invoices.c.document)


def _of_customer(customer: str) -> Select[Any]:
    joined = tables.invoices.join(tables.contracts)
    return select(*_COLUMNS).select_from(joined).where(tables.contracts.c.customer == customer)


def _loaded(tx: Connection, rows: Sequence[Row[*tuple[Any, ...]]]) -> list[Invoice]:
    ids = [row.id for row in rows]
    paid = _sums(tx, tables.payments.c.invoice_id, tables.payments.c.amount, ids)
    credited = _sums(tx, tables.invoices.c.refers_to, tables.invoices.c.gross, ids)
    return [Invoice.of(json.loads(row.document), paid.get(row.id, 0), credited.get(row.id, 0)) for row in rows]


def _sums(tx: Connection, key: Any, amount: Any, ids: Iterable[str]) -> dict[str, int]:
    """What has been paid or credited, by document. A correction also refers to a document, but credits nothing."""
    query = select(key, func.sum(amount)).where(key.in_(list(ids)))
    if key.table is tables.invoices:
        query = query.where(tables.invoices.c.kind == CREDIT_NOTE)
    return {row[0]: int(row[1]) for row in tx.execute(query.group_by(key))}


def _row(
    invoice_id: str, stored: StoredContract, invoice: Invoice, given: Numbered, refers_to: str | None
) -> dict[str, Any]:
    document = canonical(invoice.document())
    position = select(func.coalesce(func.max(tables.invoices.c.position), 0) + 1)
    return {
        "id": invoice_id,
        "contract_id": stored.id,
        "position": position.where(tables.invoices.c.contract_id == stored.id).scalar_subquery(),
        "seller": invoice.seller.name,
        "kind": invoice.kind,
        "origin": invoice.origin,
        "year": given.year,
        "sequence": given.sequence,
        "number": invoice.number,
        "currency": invoice.currency,
        "net": invoice.totals.net,
        "tax": invoice.totals.tax,
        "gross": invoice.totals.gross,
        "issued_on": invoice.issued_on.isoformat(),
        "due_on": invoice.due_on.isoformat(),
        "issued_at": micros(invoice.issued_at),
        "refers_to": refers_to,
        "document": document,
        "digest": digest(document),
    }


def _line_row(invoice_id: str, position: int, line: Line) -> dict[str, Any]:
    stored = line.to_json()
    return {
        "invoice_id": invoice_id,
        "line": position,
        "seats": line.seats,
        "months": stored["months"],
        "unit_price": stored["unit_price"],
        "net": line.net,
        "starts_on": stored["period_start"],
        "ends_on": stored["period_end"],
    }
