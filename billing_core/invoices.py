"""An issued document: an immutable value with everything that was printed, and what has happened to it since."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from billing_core.contracts import Party, Seller
from billing_core.lines import Line
from billing_core.money import Money, plain
from billing_core.periods import from_micros, local_date, micros
from billing_core.taxes import TaxGroup, Totals

INVOICE, CREDIT_NOTE = "invoice", "credit_note"


@dataclass(frozen=True, slots=True)
class Grid:
    """The calendar that priced a document: enough to compute its months again without the contract."""

    contract_id: str
    anchor_date: date
    timezone: str
    term_months: int
    proration: str
    term_index: int
    priced_at: datetime

    def to_json(self) -> dict[str, Any]:
        """The stored form; instants in microseconds."""
        return {
            "contract_id": self.contract_id,
            "anchor_date": self.anchor_date.isoformat(),
            "timezone": self.timezone,
            "term_months": self.term_months,
            "proration": self.proration,
            "term_index": self.term_index,
            "priced_at": micros(self.priced_at),
        }

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> "Grid":
        """The grid from its stored form."""
        anchor, priced_at = date.fromisoformat(value["anchor_date"]), from_micros(value["priced_at"])
        return cls(**{**value, "anchor_date": anchor, "priced_at": priced_at})


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice or a credit note as it was issued; amounts of both are positive.

    `origin` is "opening", "order", "renewal", "correction" or "credit"; `refers_to` is the number that a credit note
    credits or a correction replaces, `reason` why. `paid` and `credited` (minor units, gross) are what has happened
    since and are not part of the document.
    """

    number: str
    kind: str
    origin: str
    issued_on: date
    issued_at: datetime
    due_on: date
    seller: Seller
    buyer: Party
    locale: str
    lines: tuple[Line, ...]
    totals: Totals
    grid: Grid
    po_number: str = ""
    reason: str = ""
    refers_to: str = ""
    paid: int = field(default=0, compare=False)
    credited: int = field(default=0, compare=False)

    @property
    def currency(self) -> str:
        """The one currency of the document."""
        return self.totals.currency

    @property
    def net(self) -> Money:
        """The sum of the lines."""
        return Money(self.totals.net, self.currency)

    @property
    def tax(self) -> Money:
        """All taxes together."""
        return Money(self.totals.tax, self.currency)

    @property
    def gross(self) -> Money:
        """Net and tax."""
        return Money(self.totals.gross, self.currency)

    @property
    def outstanding(self) -> Money:
        """What is still to be paid: never negative, nothing for a credit note."""
        open_amount = self.totals.gross - self.paid - self.credited if self.kind == INVOICE else 0
        return Money(max(open_amount, 0), self.currency)

    def status(self, at: datetime) -> str:
        """One of "open", "overdue", "paid", "settled", "credited" at that instant.

        Overdue from the day after the due date in the seller's zone; a zero total is settled, and so is a credit note.
        """
        if self.kind == CREDIT_NOTE or not self.totals.gross:
            return "settled"
        if self.credited >= self.totals.gross:
            return "credited"
        if not self.outstanding.amount:
            return "paid"
        return "overdue" if local_date(at, self.seller.timezone) > self.due_on else "open"

    def to_json(self, at: datetime) -> dict[str, Any]:
        """The public form: number, kind, dates, status at that instant, lines, and amounts in minor units."""
        return {
            "number": self.number,
            "kind": self.kind,
            "origin": self.origin,
            "issued_on": self.issued_on.isoformat(),
            "due_on": self.due_on.isoformat(),
            "status": self.status(at),
            "currency": self.currency,
            "po_number": self.po_number,
            "reason": self.reason,
            "refers_to": self.refers_to,
            "lines": [line.public() for line in self.lines],
            "taxes": [_public_tax(group, self.currency) for group in self.totals.taxes],
            "net": self.net.to_json(),
            "tax": self.tax.to_json(),
            "gross": self.gross.to_json(),
            "outstanding": self.outstanding.to_json(),
        }

    def document(self) -> dict[str, Any]:
        """The plain values that are stored and never change."""
        return {
            "number": self.number,
            "kind": self.kind,
            "origin": self.origin,
            "issued_on": self.issued_on.isoformat(),
            "issued_at": micros(self.issued_at),
            "due_on": self.due_on.isoformat(),
            "seller": self.seller.to_json(),
            "buyer": self.buyer.to_json(),
            "locale": self.locale,
            "lines": [line.to_json() for line in self.lines],
            "currency": self.currency,
            "net": self.totals.net,
            "taxes": [group.to_json() for group in self.totals.taxes],
            "grid": self.grid.to_json(),
            "po_number": self.po_number,
            "reason": self.reason,
            "refers_to": self.refers_to,
        }

    @classmethod
    def of(cls, document: Mapping[str, Any], paid: int = 0, credited: int = 0) -> "Invoice":
        """The invoice from its stored document, with what has been paid and credited since."""
        taxes = tuple(
            TaxGroup(**{**group, "rate_percent": Decimal(group["rate_percent"])}) for group in document["taxes"]
        )
        return cls(
            **{
                name: document[name]
                for name in ("number", "kind", "origin", "locale", "po_number", "reason", "refers_to")
            },
            issued_on=date.fromisoformat(document["issued_on"]),
            issued_at=from_micros(document["issued_at"]),
            due_on=date.fromisoformat(document["due_on"]),
            seller=Seller.of(document["seller"]),
            buyer=Party.of(document["buyer"]),
            lines=tuple(Line.of(line) for line in document["lines"]),
            totals=Totals(document["currency"], document["net"], taxes),
            grid=Grid.of(document["grid"]),
            paid=paid,
            credited=credited,
        )


def _public_tax(group: TaxGroup, currency: str) -> dict[str, Any]:
    return {
        "category": group.category,
        "rate_percent": plain(group.rate_percent),
        "base": Money(group.base, currency).to_json(),
        "amount": Money(group.amount, currency).to_json(),
    }
