"""Every line of documents as one table for a spreadsheet, in which no text can become a formula."""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO

from billing_core.invoices import INVOICE, Invoice
from billing_core.lines import Line
from billing_core.money import Money, plain

HEADER = (
    "number", "kind", "issued_on", "due_on", "seller", "buyer", "po_number", "refers_to", "line", "description",
    "seats", "months", "unit_price", "price_per", "period_start", "period_end", "currency", "net",
)  # fmt: skip


def lines_csv(invoices: Iterable[Invoice]) -> str:
    """RFC 4180 text with a header and one row a line: ISO dates, a decimal point, a credit note's net negative.

    A text that a spreadsheet would run as a formula is led by an apostrophe (OWASP, CSV Injection).
    """
    out = StringIO()
    rows = csv.writer(out)
    rows.writerow(HEADER)
    for invoice in invoices:
        for position, line in enumerate(invoice.lines, 1):
            rows.writerow(_row(invoice, position, line))
    return out.getvalue()


def _row(invoice: Invoice, position: int, line: Line) -> Iterator[str]:
    net = Money(line.net if invoice.kind == INVOICE else -line.net, line.currency)
    yield from (invoice.number, invoice.kind, invoice.issued_on.isoformat(), invoice.due_on.isoformat())
    yield from map(_harmless, (invoice.seller.name, invoice.buyer.name, invoice.po_number, invoice.refers_to))
    yield from (str(position), _harmless(line.text), str(line.seats), str(line.months), plain(line.unit_price))
    yield from (line.price_per, line.period_start.isoformat(), line.last_day.isoformat(), line.currency)
    yield plain(net.decimal)


def _harmless(text: str) -> str:
    return f"'{text}" if text.lstrip().startswith(("=", "+", "-", "@")) else text
