"""Rows of contracts, their terms and seats. The contract row is the lock that every change of a customer takes."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, insert, select, text, update

from billing_core import tables
from billing_core.contracts import ANNUAL_INVOICED, Contract, Party, Seller
from billing_core.errors import ContractUnknown
from billing_core.identifiers import canonical
from billing_core.money import plain
from billing_core.periods import Term, from_micros, micros, term


@dataclass(frozen=True, slots=True)
class StoredContract:
    """A customer's contract as it stands: what was agreed (`declared`), what holds in the current term (`contract`).

    `version` rises with every change of what was agreed, `allocation_version` with every change of `seats`.
    """

    id: str
    customer: str
    declared: Contract
    contract: Contract
    buyer: Party
    seller: Seller
    locale: str
    version: int
    seats: int
    allocation_version: int
    opening_seats: int
    term: Term
    next_unit_price: Decimal | None
    renewal_pin: int | None
    opened_at: datetime

    @property
    def renews(self) -> bool:
        """Whether the term is followed by another one by itself."""
        return self.contract.auto_renew and self.contract.kind == ANNUAL_INVOICED

    @property
    def next_term(self) -> Term:
        """The term after the current one."""
        return contract_term(self.declared, self.term.index + 1)

    @property
    def next_contract(self) -> Contract:
        """The contract at the next term's price: the one agreed on, or the uplifted one."""
        if self.next_unit_price is None:
            return self.contract.uplifted()
        return self.contract.at_price(self.next_unit_price)


def contract_term(contract: Contract, index: int) -> Term:
    """Term `index` of the contract."""
    return term(contract.anchor_date, contract.term_months, index, contract.timezone)


def contract_of(tx: Connection, customer: str) -> StoredContract | None:
    """The customer's contract, as far as it has been rolled, or None. Takes no lock."""
    row = tx.execute(_by_customer(customer)).mappings().one_or_none()
    return None if row is None else _stored(row)


def allocation(tx: Connection, customer: str) -> int:
    """The seats that the customer has bought and may use, 0 without a contract."""
    seats = select(tables.contracts.c.seats).where(tables.contracts.c.customer == customer)
    return tx.execute(seats).scalar_one_or_none() or 0


def locked_contract(tx: Connection, customer: str) -> StoredContract:
    """The customer's contract with its row locked until the transaction ends. Raises `ContractUnknown`.

    SQLite ignores FOR UPDATE; there the caller's BEGIN IMMEDIATE is the lock.
    """
    row = tx.execute(_by_customer(customer).with_for_update()).mappings().one_or_none()
    if row is None:
        raise ContractUnknown(f"{customer} has no contract")
    return _stored(row)


def _by_customer(customer: str) -> Any:
    return select(tables.contracts).where(tables.contracts.c.customer == customer)


def add_contract(tx: Connection, stored: StoredContract) -> bool:
    """Whether this call made the customer's row: False when there is one, also one that was made at the same moment."""
    row = {"id": stored.id, "customer": stored.customer, "opened_at": micros(stored.opened_at), **_columns(stored)}
    return tx.execute(_ADD, row).rowcount == 1


_COLUMN_NAMES = [column.name for column in tables.contracts.columns]
_ADD = text(
    f"INSERT INTO billing_contracts ({', '.join(_COLUMN_NAMES)})"  # noqa: S608 # names of our own columns
    f" VALUES (:{', :'.join(_COLUMN_NAMES)}) ON CONFLICT (customer) DO NOTHING"
)


def save_contract(tx: Connection, stored: StoredContract) -> None:
    """Writes what may change of a contract whose row the caller has locked."""
    tx.execute(update(tables.contracts).where(tables.contracts.c.id == stored.id).values(_columns(stored)))


def record_term(tx: Connection, stored: StoredContract, invoice_id: str | None, now: datetime) -> None:
    """Writes the contract's current term down, once."""
    tx.execute(
        insert(tables.terms).values(
            contract_id=stored.id,
            term_index=stored.term.index,
            starts_on=stored.term.starts_on.isoformat(),
            ends_on=stored.term.ends_on.isoformat(),
            unit_price=plain(stored.contract.unit_price),
            seats=stored.seats,
            invoice_id=invoice_id,
            recorded_at=micros(now),
        )
    )


def change_seats(
    tx: Connection,
    stored: StoredContract,
    *,
    kind: str,
    delta: int,
    invoice_id: str | None,
    at: datetime,
    now: datetime,
) -> StoredContract:
    """The contract with `delta` more seats, and the entry that says why; the caller saves the contract."""
    seats = stored.seats + delta
    position = select(func.coalesce(func.max(tables.seat_entries.c.position), 0) + 1)
    tx.execute(
        insert(tables.seat_entries).values(
            contract_id=stored.id,
            position=position.where(tables.seat_entries.c.contract_id == stored.id).scalar_subquery(),
            kind=kind,
            delta=delta,
            seats_after=seats,
            term_index=stored.term.index,
            effective_at=micros(at),
            recorded_at=micros(now),
            invoice_id=invoice_id,
        )
    )
    return replace(stored, seats=seats, allocation_version=stored.allocation_version + 1)


def due_for_renewal(tx: Connection, *, now: datetime, limit: int = 100) -> list[str]:
    """Customers whose auto-renewing contract has reached the end of its term, the longest overdue first."""
    due = select(tables.contracts.c.customer).where(
        tables.contracts.c.renews == 1, tables.contracts.c.term_ends_at <= micros(now)
    )
    return list(
        tx.execute(due.order_by(tables.contracts.c.term_ends_at, tables.contracts.c.customer).limit(limit)).scalars()
    )


def _columns(stored: StoredContract) -> dict[str, Any]:
    return {
        "declared": canonical(stored.declared.to_json()),
        "buyer": canonical(stored.buyer.to_json()),
        "seller": canonical(stored.seller.to_json()),
        "locale": stored.locale,
        "version": stored.version,
        "seats": stored.seats,
        "allocation_version": stored.allocation_version,
        "opening_seats": stored.opening_seats,
        "term_index": stored.term.index,
        "unit_price": plain(stored.contract.unit_price),
        "next_unit_price": None if stored.next_unit_price is None else plain(stored.next_unit_price),
        "renewal_pin": stored.renewal_pin,
        "renews": int(stored.renews),
        "term_ends_at": micros(stored.term.ends_at),
    }


def _stored(row: Mapping[Any, Any]) -> StoredContract:
    declared = Contract.of(json.loads(row["declared"]))
    return StoredContract(
        id=row["id"],
        customer=row["customer"],
        declared=declared,
        contract=declared.at_price(row["unit_price"]),
        buyer=Party.of(json.loads(row["buyer"])),
        seller=Seller.of(json.loads(row["seller"])),
        locale=row["locale"],
        version=row["version"],
        seats=row["seats"],
        allocation_version=row["allocation_version"],
        opening_seats=row["opening_seats"],
        term=contract_term(declared, row["term_index"]),
        next_unit_price=None if row["next_unit_price"] is None else Decimal(row["next_unit_price"]),
        renewal_pin=row["renewal_pin"],
        opened_at=from_micros(row["opened_at"]),
    )


def opening_invoice_id(tx: Connection, contract_id: str) -> str | None:
    """The row of the invoice that the contract was opened with."""
    first = select(tables.seat_entries.c.invoice_id).where(
        tables.seat_entries.c.contract_id == contract_id, tables.seat_entries.c.position == 1
    )
    found: str | None = tx.execute(first).scalar_one()
    return found
