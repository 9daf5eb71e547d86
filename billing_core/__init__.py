"""Seats on annual invoiced contracts: what they cost, who ordered them, and the books that prove it.

Owns contracts, terms, quotes, orders, numbered invoices, credit notes, renewal, payments, the journal and the SQL that
keeps them. Knows nothing of people, sign-in, HTTP or Redis, and never commits: every function that stores takes the
caller's open transaction first (``tx: sqlalchemy.Connection``), so that seats, invoice and whatever the caller adds to
that transaction commit together or not at all. On SQLite the caller begins with ``BEGIN IMMEDIATE``; on PostgreSQL READ
COMMITTED is enough. One customer a transaction: locks are taken contract first, number series second.

Rules, worked examples and a reading order: ``docs/billing.md``. Start with `proration.py`, then `orders.py`.

Pure, no database::

    Contract(anchor_date=, timezone=, currency=, unit_price=, term_months=12, price_per="seat_month",
             proration="started_month", kind="annual_invoiced", minimum_seats=1, auto_renew=False, uplift_percent="0",
             payment_days=30, tax=(), po_required=False, purchase_roles=())
    quote_line(contract, seats, at) -> Line              what an order of `seats` at that instant would invoice
    renewal_line(contract, seats, at) -> Line            the whole term after the one that holds `at`
    invoice_totals(lines) -> Totals                      net, taxes[], tax, gross (minor units)
    what_if(contract, seats_before, add, on, next_unit_price=None) -> Preview    line, totals, renewal; nothing stored

Stored (`customer` is the caller's opaque name of an organization; `now` is an aware datetime)::

    create_tables(engine)
    open_contract(tx, *, customer, contract, seats, buyer: Party, seller: Seller, locale, now) -> Opened
    contract_of(tx, customer) -> StoredContract | None         allocation(tx, customer) -> int
    amend_contract(tx, *, customer, now, contract=None, seats=None, buyer=None, seller=None, locale=None)
        -> StoredContract                                      raises ContractChangeRefused(field, why)
    pin_renewal(tx, *, customer, seats: int | None, now) -> StoredContract
    quote_seats(tx, *, customer, add, now, ttl_seconds=1800, in_use_at=None) -> Quote
    quote(tx, quote_id, *, customer) -> Quote | None           forget_quotes(tx, *, now) -> int
    order_seats(tx, *, customer, quote_id, idempotency_key, ordered_by, now, digest=None, po_number=None,
                ttl_seconds=1800, in_use_at=None) -> Ordered | Stale | KeyReused
    orders(tx, *, customer, limit=50) -> list[Order]           order_of(tx, *, customer, order_id) -> Ordered | None
    invoices(tx, *, customer, after=None, limit=50) -> list[Invoice]     newest first; `after` = last number seen
    invoice(tx, *, customer, number) -> Invoice | None
    record_payment(tx, *, customer, number, amount, paid_on, reference, now) -> Invoice
    credit(tx, *, customer, number, reason, now, net=None) -> Invoice    the credit note
    correct(tx, *, customer, number, reason, now, buyer=None, po_number=None) -> Correction
    due_for_renewal(tx, *, now, limit=100) -> list[str]
    renew(tx, *, customer, now, in_use_at: Callable[[datetime], int]) -> list[Renewed]
    rehearsal_due(tx, *, customer, now) -> 60 | 30 | 7 | None
    rehearse(tx, *, customer, now, in_use, idle=()) -> Rehearsal | None
    record_rehearsal(tx, *, customer, days_ahead, now) -> None
    recognise(tx, *, customer, now) -> int                     balances(tx, customer=None) -> dict
    reconcile(tx, progress=None) -> list[Finding]

For people and machines (from the stored document alone)::

    invoice_html(invoice, locale=None, fragment=False) -> str    invoice_css() -> str
    invoice_pdf(invoice, locale=None) -> bytes                   invoice_xml(invoice) -> bytes
    lines_csv(invoices) -> str                                   einvoice_gaps(invoice) -> list[str]
    explain(invoice) -> str                                      line_text(line, locale) -> str
    money_text(money, locale) -> str                             date_text(day, locale) -> str
    period_text(line, locale) -> str                             tax_id_label(country, locale) -> str

What a person may do wrong is a `BillingError` with a stable ``.code``; what may happen to an order is a value.
"""

from billing_core.archive import invoice, invoices
from billing_core.contracts import Contract, Party, Seller
from billing_core.credits import Correction, correct, credit
from billing_core.documents.csv import lines_csv
from billing_core.documents.einvoice import einvoice_gaps, invoice_xml
from billing_core.documents.html import invoice_css, invoice_html
from billing_core.documents.pdf import invoice_pdf
from billing_core.documents.sheet import TAX_ID_LABELS, tax_id_label
from billing_core.errors import (
    AmountInvalid,
    BillingError,
    ContractChangeRefused,
    ContractInvalid,
    ContractUnknown,
    EInvoiceUnavailable,
    InstantInvalid,
    InvoiceUnknown,
    OrderInvalid,
    PaymentConflict,
    PoNumberRequired,
    PriceInvalid,
    QuantityInvalid,
    QuoteUnknown,
    RenewalDue,
    SelfServiceUnavailable,
    TermEnded,
    TermNotStarted,
)
from billing_core.explanation import explain
from billing_core.invoices import Invoice
from billing_core.journal import balances
from billing_core.ledger import StoredContract, allocation, contract_of, due_for_renewal
from billing_core.lines import MAX_SEATS_PER_ORDER, Line, Preview, quote_line, renewal_line, what_if
from billing_core.money import Money
from billing_core.openings import Opened, amend_contract, open_contract, pin_renewal
from billing_core.orders import KeyReused, Order, Ordered, Stale, Why, order_of, order_seats, orders
from billing_core.payments import record_payment
from billing_core.periods import Term
from billing_core.quotes import Quote, forget_quotes, quote, quote_seats
from billing_core.recognition import recognise
from billing_core.reconciliation import Finding, reconcile
from billing_core.rehearsals import Rehearsal, record_rehearsal, rehearsal_due, rehearse
from billing_core.renewals import Renewed, renew
from billing_core.tables import create_tables, metadata
from billing_core.taxes import TaxGroup, TaxRate, Totals, invoice_totals
from billing_core.wording import date_text, line_text, money_text, period_text

__all__ = [
    "MAX_SEATS_PER_ORDER",
    "TAX_ID_LABELS",
    "AmountInvalid",
    "BillingError",
    "Contract",
    "ContractChangeRefused",
    "ContractInvalid",
    "ContractUnknown",
    "Correction",
    "EInvoiceUnavailable",
    "Finding",
    "InstantInvalid",
    "Invoice",
    "InvoiceUnknown",
    "KeyReused",
    "Line",
    "Money",
    "Opened",
    "Order",
    "OrderInvalid",
    "Ordered",
    "Party",
    "PaymentConflict",
    "PoNumberRequired",
    "Preview",
    "PriceInvalid",
    "QuantityInvalid",
    "Quote",
    "QuoteUnknown",
    "Rehearsal",
    "RenewalDue",
    "Renewed",
    "SelfServiceUnavailable",
    "Seller",
    "Stale",
    "StoredContract",
    "TaxGroup",
    "TaxRate",
    "Term",
    "TermEnded",
    "TermNotStarted",
    "Totals",
    "Why",
    "allocation",
    "amend_contract",
    "balances",
    "contract_of",
    "correct",
    "create_tables",
    "credit",
    "date_text",
    "due_for_renewal",
    "einvoice_gaps",
    "explain",
    "forget_quotes",
    "invoice",
    "invoice_css",
    "invoice_html",
    "invoice_pdf",
    "invoice_totals",
    "invoice_xml",
    "invoices",
    "line_text",
    "lines_csv",
    "metadata",
    "money_text",
    "open_contract",
    "order_of",
    "order_seats",
    "orders",
    "period_text",
    "pin_renewal",
    "quote",
    "quote_line",
    "quote_seats",
    "recognise",
    "reconcile",
    "record_payment",
    "record_rehearsal",
    "rehearsal_due",
    "rehearse",
    "renew",
    "renewal_line",
    "tax_id_label",
    "what_if",
]
