"""Turning a contract into its next term: as of the boundary, however late, and once; only here may seats shrink."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection

from billing_core.archive import Draft, issue
from billing_core.invoices import Invoice
from billing_core.ledger import StoredContract, change_seats, locked_contract, record_term, save_contract
from billing_core.lines import allocation_quantity, term_line
from billing_core.periods import Term, in_utc

InUseAt = Callable[[datetime], int]
"""The seats assigned or reserved at an instant: the caller's count, asked for each boundary."""


@dataclass(frozen=True, slots=True)
class Renewed:
    """One new term: its seats before and after, how many of them were in use at the boundary, and its invoice."""

    term: Term
    seats_before: int
    seats: int
    in_use: int
    invoice: Invoice


def renew(tx: Connection, *, customer: str, now: datetime, in_use_at: InUseAt) -> list[Renewed]:
    """The terms that began since the last call, oldest first; empty when none did or the contract does not renew.

    Each has `max(in use at its boundary, the minimum, the owner's pin)` seats, the agreed or uplifted price, and an
    invoice for the whole term. A late call gives what a punctual one would have given, but for the issue date.
    Raises `ContractUnknown`.
    """
    return roll(tx, locked_contract(tx, customer), in_utc(now), in_use_at)


def roll(tx: Connection, stored: StoredContract, now: datetime, in_use_at: InUseAt) -> list[Renewed]:
    """`renew` for a contract whose row is locked already."""
    renewed = []
    while stored.renews and stored.term.ends_at <= now:
        stored, made = _next(tx, stored, now, in_use_at)
        renewed.append(made)
    return renewed


def renewal_seats(in_use: int, minimum: int, pin: int | None) -> int:
    """The seats of the next term: what is used, what was promised at least, what the owner asked to keep."""
    return max(in_use, minimum, pin or 0)


def _next(tx: Connection, stored: StoredContract, now: datetime, in_use_at: InUseAt) -> tuple[StoredContract, Renewed]:
    boundary_at = stored.term.ends_at
    in_use = allocation_quantity(in_use_at(boundary_at))
    seats = renewal_seats(in_use, stored.contract.minimum_seats, stored.renewal_pin)
    current = replace(
        stored, contract=stored.next_contract, term=stored.next_term, next_unit_price=None, renewal_pin=None
    )
    line = term_line(current.contract, current.term, seats)
    invoice_id, invoice = issue(tx, current, Draft((line,), "renewal", boundary_at), now)
    delta = seats - stored.seats
    current = change_seats(tx, current, kind="renewal", delta=delta, invoice_id=invoice_id, at=boundary_at, now=now)
    record_term(tx, current, invoice_id, now)
    save_contract(tx, current)
    return current, Renewed(current.term, stored.seats, seats, in_use, invoice)
