"""What the next renewal will do, told 60, 30 and 7 days ahead, while there is still time to release seats."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection, select, text

from billing_core import tables
from billing_core.ledger import StoredContract, contract_of, locked_contract
from billing_core.lines import Line, allocation_quantity, term_line
from billing_core.money import Money
from billing_core.periods import in_utc, local_date, micros
from billing_core.renewals import renewal_seats
from billing_core.taxes import Totals, invoice_totals

DAYS_AHEAD = (60, 30, 7)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The renewal as it would be if it were today.

    `seats` are renewed at `line` and `totals`; `idle` names who holds a seat without using it; releasing them all would
    renew `seats_without_idle` and save `saving` (gross): less than their price where the minimum or the pin holds.
    """

    renews_on: date
    days_ahead: int
    seats_now: int
    in_use: int
    minimum: int
    pin: int | None
    seats: int
    line: Line
    totals: Totals
    idle: tuple[str, ...]
    seats_without_idle: int
    saving: Money


def rehearse(
    tx: Connection, *, customer: str, now: datetime, in_use: int, idle: Sequence[str] = ()
) -> Rehearsal | None:
    """The next renewal as of now, or None when the contract does not renew by itself. Changes nothing.

    `in_use` counts assigned and reserved seats, `idle` names the holders among them who could be released. Raises
    `ContractUnknown`.
    """
    stored = contract_of(tx, customer) or locked_contract(tx, customer)
    if not stored.renews:
        return None
    used, holders = allocation_quantity(in_use), tuple(idle)
    minimum, pin = stored.contract.minimum_seats, stored.renewal_pin
    seats, without = (renewal_seats(count, minimum, pin) for count in (used, max(used - len(holders), 0)))
    line, totals = _renewal(stored, seats)
    return Rehearsal(
        renews_on=stored.term.ends_on,
        days_ahead=_days_ahead(stored, now),
        seats_now=stored.seats,
        in_use=used,
        minimum=minimum,
        pin=pin,
        seats=seats,
        line=line,
        totals=totals,
        idle=holders,
        seats_without_idle=without,
        saving=Money(totals.gross - _renewal(stored, without)[1].gross, line.currency),
    )


def rehearsal_due(tx: Connection, *, customer: str, now: datetime) -> int | None:
    """60, 30 or 7 when that milestone is reached and neither it nor a later one was recorded for this term, or None."""
    stored = contract_of(tx, customer) or locked_contract(tx, customer)
    left = _days_ahead(stored, now)
    reached = [days for days in DAYS_AHEAD if 0 < left <= days]
    if not stored.renews or not reached:
        return None
    told = tables.rehearsals.c
    this_term = (told.contract_id == stored.id) & (told.term_index == stored.term.index)
    recorded = tx.execute(select(told.days_ahead).where(this_term)).scalars().all()
    return min(reached) if all(days > min(reached) for days in recorded) else None


def record_rehearsal(tx: Connection, *, customer: str, days_ahead: int, now: datetime) -> None:
    """Remembers that the milestone was told in the contract's current term; again changes nothing."""
    stored = locked_contract(tx, customer)
    row = {"contract": stored.id, "term": stored.term.index, "days": days_ahead, "at": micros(now)}
    tx.execute(_RECORD, row)


def _days_ahead(stored: StoredContract, now: datetime) -> int:
    return (stored.term.ends_on - local_date(in_utc(now), stored.contract.timezone)).days


def _renewal(stored: StoredContract, seats: int) -> tuple[Line, Totals]:
    line = term_line(stored.next_contract, stored.next_term, seats)
    return line, invoice_totals([line])


_RECORD = text(
    "INSERT INTO billing_rehearsals (contract_id, term_index, days_ahead, recorded_at)"
    " VALUES (:contract, :term, :days, :at) ON CONFLICT (contract_id, term_index, days_ahead) DO NOTHING"
)
