"""A price that is held for a while: everything an order will be compared with, and until when it may be ordered."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from billing_core import tables
from billing_core.archive import worded
from billing_core.contracts import MAX_SEATS
from billing_core.errors import QuantityInvalid, RenewalDue, TermEnded, TermNotStarted
from billing_core.identifiers import canonical, digest, new_id
from billing_core.ledger import StoredContract, contract_of, locked_contract
from billing_core.lines import Line, added_line, order_quantity, self_service, term_line
from billing_core.money import Money
from billing_core.periods import day_start, from_micros, in_utc, local_date, micros
from billing_core.proration import next_price_change
from billing_core.renewals import InUseAt, roll
from billing_core.taxes import Totals, invoice_totals

QUOTE_TTL_SECONDS = 1800
KEPT_DAYS = 30
"""How long an unordered quote is kept after it has expired."""


@dataclass(frozen=True, slots=True)
class Quote:
    """What adding `add` seats costs, fixed: ordering this quote invoices exactly `lines` and `totals`, or nothing.

    `digest` is the SHA-256 of everything that was reviewed. `renewal` is the whole next term with all seats in use,
    None when the contract does not renew by itself.
    """

    id: str
    customer: str
    contract_version: int
    allocation_version: int
    seats_before: int
    add: int
    lines: tuple[Line, ...]
    renewal: Line | None
    priced_at: datetime
    expires_at: datetime

    @property
    def seats_after(self) -> int:
        """The allocation once this quote is ordered."""
        return self.seats_before + self.add

    @property
    def line(self) -> Line:
        """The one line of an order."""
        return self.lines[0]

    @property
    def totals(self) -> Totals:
        """The sums of the invoice that an order would issue."""
        return invoice_totals(self.lines)

    @property
    def renewal_totals(self) -> Totals | None:
        """The sums of the whole next term."""
        return None if self.renewal is None else invoice_totals([self.renewal])

    @property
    def net(self) -> Money:
        """The amount before tax."""
        return self.totals.money(self.totals.net)

    @property
    def tax(self) -> Money:
        """All taxes together."""
        return self.totals.money(self.totals.tax)

    @property
    def gross(self) -> Money:
        """The amount to pay."""
        return self.totals.money(self.totals.gross)

    @property
    def digest(self) -> str:
        """The fingerprint of what was reviewed."""
        return digest(canonical(self.reviewed()))

    def reviewed(self) -> dict[str, Any]:
        """What the buyer saw and what an order has to reproduce."""
        return {
            "customer": self.customer,
            "contract_version": self.contract_version,
            "allocation_version": self.allocation_version,
            "seats_before": self.seats_before,
            "add": self.add,
            "lines": [line.to_json() for line in self.lines],
            "net": self.totals.net,
            "taxes": [group.to_json() for group in self.totals.taxes],
            "gross": self.totals.gross,
        }

    def to_json(self) -> dict[str, Any]:
        """The public form; amounts in minor units, instants in ISO 8601 UTC, `period_end` the last day included."""
        line = self.line
        return {
            "id": self.id,
            "digest": self.digest,
            "add": self.add,
            "seats_before": self.seats_before,
            "seats_after": self.seats_after,
            "currency": line.currency,
            "lines": [each.public() for each in self.lines],
            "net": self.net.to_json(),
            "tax": self.tax.to_json(),
            "gross": self.gross.to_json(),
            "renewal": None if self.renewal is None else self.renewal.public(),
            "priced_at": _iso(self.priced_at),
            "expires_at": _iso(self.expires_at),
        }


def quote_seats(
    tx: Connection,
    *,
    customer: str,
    add: int,
    now: datetime,
    ttl_seconds: int = QUOTE_TTL_SECONDS,
    in_use_at: InUseAt | None = None,
) -> Quote:
    """A stored quote for `add` more seats at this instant, in the language of the contract.

    It expires after `ttl_seconds`, at the next instant at which the price changes, or at the end of the term, whichever
    is first. A term that is over is renewed first when `in_use_at` is given. Raises `ContractUnknown`,
    `SelfServiceUnavailable`, `QuantityInvalid`, `TermNotStarted`, `TermEnded`, `RenewalDue`.
    """
    stored = contract_of(tx, customer) or locked_contract(tx, customer)
    instant = in_utc(now)
    current = in_term(tx, stored, instant, in_use_at)
    made = price(current, add, instant, ttl_seconds)
    tx.execute(
        insert(tables.quotes).values(
            id=made.id,
            contract_id=current.id,
            document=canonical(_document(made)),
            digest=made.digest,
            priced_at=micros(made.priced_at),
            expires_at=micros(made.expires_at),
        )
    )
    return made


def price(stored: StoredContract, add: int, now: datetime, ttl_seconds: int = QUOTE_TTL_SECONDS) -> Quote:
    """The quote, not stored, that this contract gives at that instant of its current term."""
    self_service(stored.contract)
    quantity = order_quantity(add)
    if stored.seats + quantity > MAX_SEATS:
        raise QuantityInvalid(f"{stored.seats} + {quantity} seats are more than {MAX_SEATS}")
    day = local_date(now, stored.contract.timezone)
    line = added_line(stored.contract, stored.term, quantity, day)
    after = stored.seats + quantity
    renewal = term_line(stored.next_contract, stored.next_term, after) if stored.renews else None
    change = next_price_change(stored.contract.anchor_date, stored.contract.proration, day)
    return Quote(
        id=new_id("quo", now),
        customer=stored.customer,
        contract_version=stored.version,
        allocation_version=stored.allocation_version,
        seats_before=stored.seats,
        add=quantity,
        lines=(worded(line, stored.locale),),
        renewal=None if renewal is None else worded(renewal, stored.locale),
        priced_at=now,
        expires_at=min(
            now + timedelta(seconds=ttl_seconds), day_start(change, stored.contract.timezone), stored.term.ends_at
        ),
    )


def in_term(tx: Connection, stored: StoredContract, now: datetime, in_use_at: InUseAt | None) -> StoredContract:
    """The contract in the term that holds `now`, rolled if need be. Raises what `quote_seats` raises about time."""
    self_service(stored.contract)
    if now < stored.term.starts_at:
        raise TermNotStarted(f"the term starts on {stored.term.starts_on} in {stored.contract.timezone}")
    if now < stored.term.ends_at:
        return stored
    if not stored.renews:
        raise TermEnded(f"the term ended on {stored.term.ends_on} in {stored.contract.timezone}")
    if in_use_at is None:
        raise RenewalDue(f"the term ended on {stored.term.ends_on}; renew first")
    roll(tx, locked_contract(tx, stored.customer), now, in_use_at)
    return locked_contract(tx, stored.customer)


def quote(tx: Connection, quote_id: str, *, customer: str) -> Quote | None:
    """The customer's quote of that id, or None; another customer's quote is None too."""
    joined = tables.quotes.join(tables.contracts)
    query = select(tables.quotes.c.document).select_from(joined)
    found = tx.execute(query.where(tables.quotes.c.id == quote_id, tables.contracts.c.customer == customer))
    text = found.scalar_one_or_none()
    return None if text is None else _quote(json.loads(text))


def forget_quotes(tx: Connection, *, now: datetime) -> int:
    """How many quotes were deleted: those that nobody ordered and that expired more than 30 days ago."""
    stale = tables.quotes.c.expires_at < micros(now - timedelta(days=KEPT_DAYS))
    ordered = select(tables.orders.c.quote_id).where(tables.orders.c.quote_id == tables.quotes.c.id)
    return tx.execute(delete(tables.quotes).where(stale, ~ordered.exists())).rowcount


def _document(made: Quote) -> dict[str, Any]:
    return {
        "id": made.id,
        "customer": made.customer,
        "contract_version": made.contract_version,
        "allocation_version": made.allocation_version,
        "seats_before": made.seats_before,
        "add": made.add,
        "lines": [line.to_json() for line in made.lines],
        "renewal": None if made.renewal is None else made.renewal.to_json(),
        "priced_at": micros(made.priced_at),
        "expires_at": micros(made.expires_at),
    }


def _quote(document: Mapping[str, Any]) -> Quote:
    renewal = document["renewal"]
    return Quote(
        **{
            **document,
            "lines": tuple(Line.of(line) for line in document["lines"]),
            "renewal": None if renewal is None else Line.of(renewal),
            "priced_at": from_micros(document["priced_at"]),
            "expires_at": from_micros(document["expires_at"]),
        }
    )


def _iso(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
