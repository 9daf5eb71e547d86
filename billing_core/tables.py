"""The tables of this package, all named `billing_…`, in a metadata of their own.

Instants are whole microseconds since the epoch (`…_at`), dates are ISO text (`…_on`), amounts are minor units, prices
are decimal text, documents are canonical JSON text. Nothing here is ever updated except the contract row, the counter
of a series and what is said so; documents, lines, entries and postings are only appended.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, Engine, ForeignKey, Index, Integer, MetaData, Table, Text
from sqlalchemy import UniqueConstraint as Unique

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False)


def _whole(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False)


def _contract() -> Column[str]:
    return Column("contract_id", Text, ForeignKey("billing_contracts.id"), nullable=False)


def _invoice(name: str = "invoice_id", nullable: bool = False) -> Column[str]:
    return Column(name, Text, ForeignKey("billing_invoices.id"), nullable=nullable)


# Updated under its own row lock: the allocation, the current term, and the terms agreed on.
contracts = Table(
    "billing_contracts",
    metadata,
    Column("id", Text, primary_key=True),
    _text("customer"),
    _text("declared"),
    _text("buyer"),
    _text("seller"),
    _text("locale"),
    _whole("version"),
    _whole("seats"),
    _whole("allocation_version"),
    _whole("opening_seats"),
    _whole("term_index"),
    _text("unit_price"),
    Column("next_unit_price", Text),
    Column("renewal_pin", BigInteger),
    _whole("renews"),
    _whole("term_ends_at"),
    _whole("opened_at"),
    Unique("customer"),
    CheckConstraint("seats >= 0", name="seats"),
)
Index("ix_billing_contracts_due", contracts.c.renews, contracts.c.term_ends_at)

terms = Table(
    "billing_terms",
    metadata,
    Column("contract_id", Text, ForeignKey("billing_contracts.id"), primary_key=True),
    Column("term_index", BigInteger, primary_key=True, autoincrement=False),
    _text("starts_on"),
    _text("ends_on"),
    _text("unit_price"),
    _whole("seats"),
    _invoice(nullable=True),
    _whole("recorded_at"),
)

seat_entries = Table(
    "billing_seat_entries",
    metadata,
    Column("contract_id", Text, ForeignKey("billing_contracts.id"), primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    _text("kind"),
    _whole("delta"),
    _whole("seats_after"),
    _whole("term_index"),
    _whole("effective_at"),
    _whole("recorded_at"),
    _invoice(nullable=True),
)

Index("ix_billing_seat_entries_invoice_id", seat_entries.c.invoice_id)

quotes = Table(
    "billing_quotes",
    metadata,
    Column("id", Text, primary_key=True),
    _contract(),
    _text("document"),
    _text("digest"),
    _whole("priced_at"),
    _whole("expires_at"),
)
Index("ix_billing_quotes_expires_at", quotes.c.expires_at)

orders = Table(
    "billing_orders",
    metadata,
    Column("id", Text, primary_key=True),
    _contract(),
    Column("quote_id", Text, ForeignKey("billing_quotes.id"), nullable=False),
    _text("idempotency_key"),
    _text("request_digest"),
    _text("po_number"),
    _text("ordered_by"),
    _whole("seats_before"),
    _whole("seats_after"),
    _invoice(),
    _whole("ordered_at"),
    Unique("quote_id"),
    Unique("contract_id", "idempotency_key"),
)

Index("ix_billing_orders_invoice_id", orders.c.invoice_id)

# One row a seller and kind, locked while a document is issued: no gap, no duplicate.
series = Table(
    "billing_series",
    metadata,
    Column("seller", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    _whole("year"),
    _whole("last_number"),
    _text("last_issued_on"),
)

invoices = Table(
    "billing_invoices",
    metadata,
    Column("id", Text, primary_key=True),
    _contract(),
    _whole("position"),
    _text("seller"),
    _text("kind"),
    _text("origin"),
    Column("year", Integer, nullable=False),
    _whole("sequence"),
    _text("number"),
    _text("currency"),
    _whole("net"),
    _whole("tax"),
    _whole("gross"),
    _text("issued_on"),
    _text("due_on"),
    _whole("issued_at"),
    _invoice("refers_to", nullable=True),
    _text("document"),
    _text("digest"),
    Unique("contract_id", "position"),
    Unique("seller", "kind", "year", "sequence"),
    Unique("seller", "number"),
)
Index("ix_billing_invoices_number", invoices.c.number)
Index("ix_billing_invoices_refers_to", invoices.c.refers_to)

lines = Table(
    "billing_lines",
    metadata,
    Column("invoice_id", Text, ForeignKey("billing_invoices.id"), primary_key=True),
    Column("line", BigInteger, primary_key=True, autoincrement=False),
    _whole("seats"),
    _text("months"),
    _text("unit_price"),
    _whole("net"),
    _text("starts_on"),
    _text("ends_on"),
)

payments = Table(
    "billing_payments",
    metadata,
    Column("id", Text, primary_key=True),
    _contract(),
    _invoice(),
    _whole("amount"),
    _text("paid_on"),
    _text("reference"),
    _whole("recorded_at"),
    Unique("contract_id", "reference"),
)
Index("ix_billing_payments_invoice_id", payments.c.invoice_id)

# `key` names the event ("invoice inv_…", "payment pay_…", "revenue inv_… 1 3"), so that it is booked at most once.
journal = Table(
    "billing_journal",
    metadata,
    Column("id", Text, primary_key=True),
    _contract(),
    _invoice(),
    _text("kind"),
    _text("key"),
    _text("booked_on"),
    _whole("booked_at"),
    Unique("key"),
)
Index("ix_billing_journal_invoice_id", journal.c.invoice_id)
Index("ix_billing_journal_contract_id", journal.c.contract_id)

# Debits are positive, credits negative; the postings of one journal row sum to zero.
postings = Table(
    "billing_postings",
    metadata,
    Column("journal_id", Text, ForeignKey("billing_journal.id"), primary_key=True),
    Column("account", Text, primary_key=True),
    _whole("amount"),
    _text("currency"),
)

rehearsals = Table(
    "billing_rehearsals",
    metadata,
    Column("contract_id", Text, ForeignKey("billing_contracts.id"), primary_key=True),
    Column("term_index", BigInteger, primary_key=True, autoincrement=False),
    Column("days_ahead", BigInteger, primary_key=True, autoincrement=False),
    _whole("recorded_at"),
)


def create_tables(engine: Engine) -> None:
    """Makes the tables that are missing, for use without a migration tool."""
    metadata.create_all(engine)
