"""Buying seats: the reviewed amount is the invoiced amount, or nothing happens. Read `order_seats` top to bottom."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, insert, select

from billing_core import tables
from billing_core.archive import Draft, invoice_by_id, issue
from billing_core.errors import OrderInvalid, PoNumberRequired, QuoteUnknown
from billing_core.identifiers import canonical, digest, new_id
from billing_core.invoices import Invoice
from billing_core.ledger import StoredContract, change_seats, locked_contract, save_contract
from billing_core.periods import from_micros, in_utc, micros
from billing_core.quotes import QUOTE_TTL_SECONDS, Quote, in_term, price, quote, quote_seats
from billing_core.renewals import InUseAt
from billing_core.texts import printable

MAX_ORDERS = 500


class Why(StrEnum):
    """Why a quote cannot be ordered any more."""

    QUOTE_EXPIRED = "QUOTE_EXPIRED"
    QUOTE_USED = "QUOTE_USED"
    SEATS_CHANGED = "SEATS_CHANGED"
    CONTRACT_CHANGED = "CONTRACT_CHANGED"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    PRICE_CHANGED = "PRICE_CHANGED"


@dataclass(frozen=True, slots=True)
class Order:
    """One purchase of seats: who, when, from which quote, and the seats before and after it."""

    id: str
    quote_id: str
    ordered_by: str
    po_number: str
    seats_before: int
    seats_after: int
    ordered_at: datetime

    @property
    def added(self) -> int:
        """The seats that this order bought."""
        return self.seats_after - self.seats_before


@dataclass(frozen=True, slots=True)
class Ordered:
    """The order and its invoice; `replayed` when this key had already ordered it."""

    order: Order
    invoice: Invoice
    replayed: bool


@dataclass(frozen=True, slots=True)
class Stale:
    """Nothing was bought: why, a fresh quote for as many seats, and the last order, which may be the reason."""

    fresh_quote: Quote
    why: Why
    last_order: Order | None


@dataclass(frozen=True, slots=True)
class KeyReused:
    """Nothing was bought: the idempotency key had already ordered something else."""


def order_seats(
    tx: Connection,
    *,
    customer: str,
    quote_id: str,
    idempotency_key: str,
    ordered_by: str,
    now: datetime,
    digest: str | None = None,
    po_number: str | None = None,
    ttl_seconds: int = QUOTE_TTL_SECONDS,
    in_use_at: InUseAt | None = None,
) -> Ordered | Stale | KeyReused:
    """The quoted seats, bought and invoiced in the caller's transaction, or the reason why they were not.

    `digest` is what the buyer reviewed; where it is given it has to be the quote's. Raises `ContractUnknown`,
    `QuoteUnknown`, `OrderInvalid`, `PoNumberRequired`, and what `quote_seats` raises when no fresh quote can be given.
    """
    instant = in_utc(now)
    request = _checked(quote_id, idempotency_key, ordered_by, digest, po_number)
    stored = locked_contract(tx, customer)
    earlier = _by_key(tx, stored, idempotency_key)
    if earlier is not None:
        return _replayed(tx, earlier) if earlier["request_digest"] == request else KeyReused()
    wanted = quote(tx, quote_id, customer=customer)
    if wanted is None:
        raise QuoteUnknown(f"{quote_id} is not a quote of {customer}")
    stored = in_term(tx, stored, instant, in_use_at)
    why = _why_not(tx, stored, wanted, digest, instant)
    if why is not None:
        fresh = quote_seats(tx, customer=customer, add=wanted.add, now=instant, ttl_seconds=ttl_seconds)
        return Stale(fresh, why, next(iter(orders(tx, customer=customer, limit=1)), None))
    if stored.contract.po_required and not po_number:
        raise PoNumberRequired("this contract's orders name a PO number")
    row = {
        "id": new_id("ord", instant),
        "contract_id": stored.id,
        "quote_id": wanted.id,
        "idempotency_key": idempotency_key,
        "request_digest": request,
        "po_number": po_number or "",
        "ordered_by": ordered_by,
        "seats_before": stored.seats,
        "seats_after": stored.seats + wanted.add,
        "ordered_at": micros(instant),
    }
    return _bought(tx, stored, wanted, row, instant)


def _why_not(  # a straight list of checks reads better whole
    tx: Connection, stored: StoredContract, wanted: Quote, reviewed: str | None, now: datetime
) -> Why | None:
    used = select(tables.orders.c.id).where(tables.orders.c.quote_id == wanted.id)
    if tx.execute(used).first() is not None:
        return Why.QUOTE_USED
    if now >= wanted.expires_at:
        return Why.QUOTE_EXPIRED
    if stored.allocation_version != wanted.allocation_version:
        return Why.SEATS_CHANGED
    if stored.version != wanted.contract_version:
        return Why.CONTRACT_CHANGED
    if reviewed is not None and reviewed != wanted.digest:
        return Why.DIGEST_MISMATCH
    if {price(stored, wanted.add, now).digest, _stored_digest(tx, wanted)} != {wanted.digest}:
        return Why.PRICE_CHANGED
    return None


def _stored_digest(tx: Connection, wanted: Quote) -> str:
    kept: str = tx.execute(select(tables.quotes.c.digest).where(tables.quotes.c.id == wanted.id)).scalar_one()
    return kept


def _bought(tx: Connection, stored: StoredContract, wanted: Quote, row: dict[str, Any], now: datetime) -> Ordered:
    """Invoice, journal, seats and order, all in the caller's transaction."""
    invoice_id, invoice = issue(tx, stored, Draft(wanted.lines, "order", now, po_number=row["po_number"]), now)
    after = change_seats(tx, stored, kind="order", delta=wanted.add, invoice_id=invoice_id, at=now, now=now)
    tx.execute(insert(tables.orders).values(row | {"invoice_id": invoice_id}))
    save_contract(tx, after)
    return Ordered(_order(row), invoice, replayed=False)


def orders(tx: Connection, *, customer: str, limit: int = 50) -> list[Order]:
    """The customer's orders, newest first, at most `limit` (500)."""
    newest = _of_customer(customer).order_by(tables.invoices.c.position.desc())
    return [_order(row) for row in tx.execute(newest.limit(max(0, min(limit, MAX_ORDERS)))).mappings()]


def order_of(tx: Connection, *, customer: str, order_id: str) -> Ordered | None:
    """The customer's order of that id with its invoice, or None; another customer's order is None too."""
    row = tx.execute(_of_customer(customer).where(tables.orders.c.id == order_id)).mappings().one_or_none()
    return None if row is None else _replayed(tx, row)


def _of_customer(customer: str) -> Any:
    invoiced = tables.orders.c.invoice_id == tables.invoices.c.id
    joined = tables.orders.join(tables.contracts).join(tables.invoices, invoiced)
    return select(tables.orders).select_from(joined).where(tables.contracts.c.customer == customer)


def _by_key(tx: Connection, stored: StoredContract, key: str) -> Mapping[Any, Any] | None:
    same = (tables.orders.c.contract_id == stored.id) & (tables.orders.c.idempotency_key == key)
    return tx.execute(select(tables.orders).where(same)).mappings().one_or_none()


def _replayed(tx: Connection, row: Mapping[Any, Any]) -> Ordered:
    return Ordered(_order(row), invoice_by_id(tx, row["invoice_id"]), replayed=True)


def _order(row: Mapping[Any, Any]) -> Order:
    return Order(
        id=row["id"],
        quote_id=row["quote_id"],
        ordered_by=row["ordered_by"],
        po_number=row["po_number"],
        seats_before=row["seats_before"],
        seats_after=row["seats_after"],
        ordered_at=from_micros(row["ordered_at"]),
    )


def _checked(quote_id: str, key: str, ordered_by: str, reviewed: str | None, po_number: str | None) -> str:
    """The digest of the request, which a repetition with the same key has to match."""
    for name, value, longest in (
        ("idempotency_key", key, 255),
        ("ordered_by", ordered_by, 255),
        ("po_number", po_number or "-", 64),
    ):
        if not printable(value, at_most=longest):
            raise OrderInvalid(f"{name}: not printable text of 1 to {longest} characters")
    return digest(canonical([quote_id, reviewed, po_number or "", ordered_by]))
