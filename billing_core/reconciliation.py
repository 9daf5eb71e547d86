"""The proof that seats, invoices, books and numbers agree. Reads everything, changes nothing, streams the documents."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Row, Select, func, select

from billing_core import tables
from billing_core.archive import document_count
from billing_core.identifiers import digest
from billing_core.invoices import CREDIT_NOTE, INVOICE, Invoice
from billing_core.journal import CASH, RECEIVABLE, document_amounts
from billing_core.numbering import number_text
from billing_core.proration import line_amount
from billing_core.recognition import revenue_bookings
from billing_core.taxes import tax_on

Progress = Callable[[int, int], None]
"""Called with the documents read so far and their number."""
Document = Mapping[str, Any]
"""A stored document as plain values: for the proof no other value is made of it, which would cost the most."""
LineRow = tuple[Any, ...]
"""Seats, months, net and first day of a line."""
Among = tuple[str, str]
"""The ids of the first and the last document of a batch."""
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """One disagreement: a closed code, what it is about (a number, a customer, an entry), and both sides in words."""

    code: str
    subject: str
    detail: str


def reconcile(tx: Connection, progress: Progress | None = None) -> list[Finding]:
    """Every disagreement between entries, documents, lines, postings, payments, orders and series; [] is the proof.

    Codes: SEATS, TERM, ENTRY, DOCUMENT, LINE, TOTALS, CREDIT, POSTINGS, UNBALANCED, PAYMENT, ORDER, SERIES.
    """
    return [
        *_seats(tx),
        *_terms(tx),
        *_entries(tx),
        *_documents(tx, progress or _quietly),
        *_credits(tx),
        *_unbalanced(tx),
        *_payments(tx),
        *_orders(tx),
        *_series(tx),
    ]


def _rows(tx: Connection, query: Select[*tuple[Any, ...]]) -> CursorResult[*tuple[Any, ...]]:
    """The rows, fetched many at a time: one by one is slower, and all at once is more than memory may hold."""
    return tx.execute(query.execution_options(yield_per=BATCH))


def _quietly(_done: int, _total: int) -> None:
    """Tells nobody."""


def _seats(tx: Connection) -> Iterator[Finding]:
    """The allocation is the sum of its entries, and each entry says the running sum."""
    contract, entry = tables.contracts.c, tables.seat_entries.c
    running: dict[str, int] = defaultdict(int)
    entries = select(entry.contract_id, entry.position, entry.delta, entry.seats_after)
    for contract_id, position, delta, after in _rows(tx, entries.order_by(entry.contract_id, entry.position)):
        running[contract_id] += delta
        if running[contract_id] != after:
            yield Finding("SEATS", contract_id, f"entry {position}: {running[contract_id]}, not {after}")
    for contract_id, customer, seats in _rows(tx, select(contract.id, contract.customer, contract.seats)):
        if running[contract_id] != seats:
            yield Finding("SEATS", customer, f"entries sum to {running[contract_id]}, the contract says {seats}")


def _terms(tx: Connection) -> Iterator[Finding]:
    """Every term from the first entry's to the current one is written down, once."""
    contract, term, entry = tables.contracts.c, tables.terms.c, tables.seat_entries.c
    opened = (tables.contracts.c.id == entry.contract_id) & (entry.position == 1)
    joined = tables.contracts.outerjoin(tables.seat_entries, opened).outerjoin(
        tables.terms, contract.id == term.contract_id
    )
    bounds = (func.min(term.term_index), func.max(term.term_index), func.count(term.term_index))
    keys = (contract.customer, contract.term_index, entry.term_index)
    query = select(*keys, *bounds).select_from(joined).group_by(*keys)
    for customer, current, opening, first, last, count in _rows(tx, query):
        if (first, last, count) != (opening, current, current - (opening or 0) + 1):
            yield Finding("TERM", customer, f"in term {current}; terms {first} to {last} in {count} rows")


def _entries(tx: Connection) -> Iterator[Finding]:
    """Every seat entry is invoiced by a line of as many seats, and every such line has its entry."""
    entry, invoice, line = tables.seat_entries.c, tables.invoices.c, tables.lines.c
    seats = select(line.invoice_id, func.sum(line.seats).label("seats")).group_by(line.invoice_id).subquery()
    joined = tables.invoices.join(seats, seats.c.invoice_id == invoice.id).outerjoin(
        tables.seat_entries, entry.invoice_id == invoice.id
    )
    query = select(invoice.number, invoice.origin, seats.c.seats, entry.kind, entry.delta, entry.seats_after)
    query = query.select_from(joined).where(invoice.origin.in_(("opening", "order", "renewal")))
    for number, origin, invoiced, kind, delta, after in _rows(tx, query):
        counted = after if kind == "renewal" else delta
        if (kind, counted) != (origin, invoiced):
            yield Finding("ENTRY", number, f"{origin} of {invoiced} seats has the entry {kind} of {counted}")
    uninvoiced = select(tables.contracts.c.customer, entry.position).select_from(
        tables.seat_entries.join(tables.contracts)
    )
    for customer, position in _rows(tx, uninvoiced.where(entry.invoice_id.is_(None), entry.kind != "opening")):
        yield Finding("ENTRY", customer, f"entry {position} has no invoice")


def _documents(tx: Connection, progress: Progress) -> Iterator[Finding]:
    """Every document is as issued, its rows say what it says, its figures follow from it, and it is booked."""
    total, done = document_count(tx), 0
    for rows in _rows(tx, select(tables.invoices).order_by(tables.invoices.c.id)).partitions():
        among = (rows[0].id, rows[-1].id)
        lines, posted, revenue = _line_rows(tx, among), _posted(tx, among), _revenue(tx, among)
        for row in rows:
            yield from _document(row, lines.get(row.id, []), posted.get(row.id, {}), revenue.get(row.id, {}))
        done += len(rows)
        progress(done, total)


def _document(
    row: Row[*tuple[Any, ...]],
    lines: list[LineRow],
    posted: Mapping[str, int],
    revenue: Mapping[str, int],
) -> Iterator[Finding]:
    if digest(row.document) != row.digest:
        yield Finding("DOCUMENT", row.number, "the stored document is not the issued one")
        return
    document = json.loads(row.document)
    tax = sum(group["amount"] for group in document["taxes"])
    yield from _columns(row, document, tax)
    yield from _lines(row, document, lines)
    yield from _totals(row, document)
    moved = document_amounts(document["kind"], document["net"], tax)
    wanted = {account: amount for account, amount in moved.items() if amount}
    if dict(posted) != wanted:
        yield Finding("POSTINGS", row.number, f"booked {dict(posted)}, not {wanted}")
    if revenue:
        yield from _earned(row.id, Invoice.of(document), revenue)


def _columns(row: Row[*tuple[Any, ...]], document: Document, tax: int) -> Iterator[Finding]:
    said = [document[name] for name in ("number", "kind", "origin", "currency", "net", "issued_on", "due_on")]
    said += [document["seller"]["name"], tax, document["net"] + tax]
    kept = [row.number, row.kind, row.origin, row.currency, row.net, row.issued_on, row.due_on, row.seller]
    if said != [*kept, row.tax, row.gross]:
        yield Finding("DOCUMENT", row.number, "the row does not say what the document says")
    if number_text(row.kind, row.year, row.sequence) != row.number:
        yield Finding("DOCUMENT", row.number, f"is number {row.sequence} of {row.year}")


def _lines(row: Row[*tuple[Any, ...]], document: Document, kept: list[LineRow]) -> Iterator[Finding]:
    said = [(line["seats"], line["months"], line["net"], line["period_start"]) for line in document["lines"]]
    if said != kept:
        yield Finding("LINE", row.number, "the rows of its lines do not say what the document says")
    for line in document["lines"]:
        product = _product(line["seats"], line["unit_price"], line["months"], line["price_per"], line["currency"])
        if line["basis"] == "product" and line["net"] != product:
            yield Finding("LINE", row.number, f"{line['text']}: {product}, not {line['net']}")


@lru_cache(maxsize=10_000)
def _product(seats: int, unit_price: str, months: str, price_per: str, currency: str) -> int:
    """The amount of a line from its stored words; many documents have the same line."""
    return line_amount(seats, Decimal(unit_price), Fraction(months), price_per, currency)


def _totals(row: Row[*tuple[Any, ...]], document: Document) -> Iterator[Finding]:
    """An invoice's totals follow from its lines; a credit note's taxes are a share, checked with its invoice."""
    bases: dict[tuple[str, str], int] = {}
    for line in document["lines"]:
        for tax in line["taxes"]:
            key = (tax["category"], tax["rate_percent"])
            bases[key] = bases.get(key, 0) + line["net"]
    wanted = [(*key, base, _tax(base, key[1])) for key, base in bases.items()]
    said = [(tax["category"], tax["rate_percent"], tax["base"], tax["amount"]) for tax in document["taxes"]]
    if sum(line["net"] for line in document["lines"]) != document["net"] or (row.kind == INVOICE and said != wanted):
        yield Finding("TOTALS", row.number, "the totals do not follow from the lines")


@lru_cache(maxsize=10_000)
def _tax(base: int, rate_percent: str) -> int:
    return tax_on(base, Decimal(rate_percent))


def _earned(invoice_id: str, invoice: Invoice, revenue: Mapping[str, int]) -> Iterator[Finding]:
    """What was recognised is what the schedule gives, month by month from the first."""
    ends = max(line.period_end for line in invoice.lines)
    planned = {booking.key: booking.amounts for booking in revenue_bookings(invoice_id, invoice, ends)}
    booked = dict(list(planned.items())[: len(revenue)])
    if set(booked) != set(revenue) or any(revenue[key] != booked[key]["deferred_revenue"] for key in booked):
        yield Finding("POSTINGS", invoice.number, "recognised revenue is not the schedule's")


def _posted(tx: Connection, among: Among) -> dict[str, dict[str, int]]:
    """The amounts booked at issue, by document and account."""
    journal, posting = tables.journal.c, tables.postings.c
    query = select(journal.invoice_id, posting.account, posting.amount).select_from(
        tables.journal.join(tables.postings)
    )
    query = query.where(journal.invoice_id.between(*among), journal.kind.in_((INVOICE, CREDIT_NOTE)))
    sums: dict[str, dict[str, int]] = defaultdict(dict)
    for invoice_id, account, amount in _rows(tx, query):
        sums[invoice_id][account] = sums[invoice_id].get(account, 0) + amount
    return sums


def _revenue(tx: Connection, among: Among) -> dict[str, dict[str, int]]:
    """What each revenue entry took out of deferred revenue, by document and key; a zero part has no posting."""
    journal, posting = tables.journal.c, tables.postings.c
    deferred = (posting.journal_id == journal.id) & (posting.account == "deferred_revenue")
    query = select(journal.invoice_id, journal.key, posting.amount).select_from(
        tables.journal.outerjoin(tables.postings, deferred)
    )
    query = query.where(journal.invoice_id.between(*among), journal.kind == "revenue")
    parts: dict[str, dict[str, int]] = defaultdict(dict)
    for invoice_id, key, amount in _rows(tx, query):
        parts[invoice_id][key] = amount or 0
    return parts


def _line_rows(tx: Connection, among: Among) -> dict[str, list[LineRow]]:
    line = tables.lines.c
    query = select(line.invoice_id, line.seats, line.months, line.net, line.starts_on)
    query = query.where(line.invoice_id.between(*among)).order_by(line.invoice_id, line.line)
    kept: dict[str, list[LineRow]] = defaultdict(list)
    for invoice_id, *said in _rows(tx, query):
        kept[invoice_id].append(tuple(said))
    return kept


def _credits(tx: Connection) -> Iterator[Finding]:
    """No invoice is credited by more than it says, in net or tax."""
    note, invoice = tables.invoices.alias("note"), tables.invoices.alias("invoice")
    net, tax = func.sum(note.c.net), func.sum(note.c.tax)
    query = (
        select(invoice.c.number, invoice.c.net, invoice.c.tax, net, tax)
        .select_from(note.join(invoice, note.c.refers_to == invoice.c.id))
        .where(note.c.kind == CREDIT_NOTE)
        .group_by(invoice.c.id, invoice.c.number, invoice.c.net, invoice.c.tax)
    )
    for number, whole, whole_tax, credited, credited_tax in _rows(tx, query):
        uneven = credited == whole and credited_tax != whole_tax
        if credited > whole or credited_tax > whole_tax or uneven:
            yield Finding("CREDIT", number, f"credited {credited} and tax {credited_tax} of {whole} and {whole_tax}")


def _unbalanced(tx: Connection) -> Iterator[Finding]:
    posting = tables.postings.c
    query = select(posting.journal_id, posting.currency, func.sum(posting.amount))
    query = query.group_by(posting.journal_id, posting.currency).having(func.sum(posting.amount) != 0)
    for journal_id, currency, amount in _rows(tx, query):
        yield Finding("UNBALANCED", journal_id, f"sums to {amount} {currency}")


def _payments(tx: Connection) -> Iterator[Finding]:
    """Every payment is booked as cash against receivable, and nothing else is booked as a payment."""
    journal, posting = tables.journal.c, tables.postings.c
    query = select(journal.key, posting.account, posting.amount).select_from(tables.journal.join(tables.postings))
    booked = {(key, account): amount for key, account, amount in _rows(tx, query.where(journal.kind == "payment"))}
    for row in _rows(tx, select(tables.payments.c.id, tables.payments.c.amount)):
        key = f"payment {row.id}"
        found = (booked.pop((key, CASH), 0), booked.pop((key, RECEIVABLE), 0))
        if found != (row.amount, -row.amount):
            yield Finding("PAYMENT", row.id, f"{row.amount} is booked as {found}")
    for key, account in booked:
        yield Finding("PAYMENT", key, f"booked on {account} without a payment")


def _orders(tx: Connection) -> Iterator[Finding]:
    """Every order invoiced what its quote said, for as many seats; every order's invoice has its order."""
    order, quote, invoice = tables.orders.c, tables.quotes.c, tables.invoices.c
    joined = tables.orders.join(tables.quotes, order.quote_id == quote.id)
    joined = joined.join(tables.invoices, order.invoice_id == invoice.id)
    query = select(order.id, order.seats_before, order.seats_after, quote.document, invoice.net).select_from(joined)
    for order_id, before, after, document, net in _rows(tx, query):
        quoted = json.loads(document)
        if quoted["add"] != after - before or sum(line["net"] for line in quoted["lines"]) != net:
            yield Finding("ORDER", order_id, "did not invoice what its quote said")
    without = tables.invoices.outerjoin(tables.orders, order.invoice_id == invoice.id)
    lonely = select(invoice.number).select_from(without).where(invoice.origin == "order", order.id.is_(None))
    for number in _rows(tx, lonely).scalars():
        yield Finding("ORDER", number, "invoices an order that does not exist")


def _series(tx: Connection) -> Iterator[Finding]:
    """Each series counts 1, 2, 3 … in each year, dates never go back, and the counter is where its documents end."""
    invoice = tables.invoices.c
    ordered = select(invoice.seller, invoice.kind, invoice.year, invoice.sequence, invoice.number, invoice.issued_on)
    last: dict[tuple[str, str], tuple[int, int, str]] = {}
    ordered = ordered.order_by(invoice.seller, invoice.kind, invoice.year, invoice.sequence)
    for seller, kind, year, sequence, number, issued_on in _rows(tx, ordered):
        before = last.get((seller, kind), (year, 0, ""))
        expected = before[1] + 1 if before[0] == year else 1
        if sequence != expected or issued_on < before[2] or not issued_on.startswith(str(year)):
            yield Finding("SERIES", number, f"follows number {before[1]} of {before[0]}, issued on {before[2]}")
        last[seller, kind] = (year, sequence, issued_on)
    for row in _rows(tx, select(tables.series)):
        if last.get((row.seller, row.kind)) != (row.year, row.last_number, row.last_issued_on):
            yield Finding("SERIES", f"{row.kind} {row.seller}", "the counter is not where its documents end")
