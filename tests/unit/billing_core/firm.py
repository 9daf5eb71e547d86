"""A customer and a seller to buy and sell seats in tests: each verb is one transaction of the public face."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Engine

import billing_core as billing
from billing_core import Contract, Party, Seller

BUYER = Party(
    "Acme Ltda.",
    ("Av. Paulista, 1000", "Conjunto 42"),
    "São Paulo",
    "01310-100",
    "BR",
    "12.345.678/0001-90",
    "finance@acme.example",
)
SELLER = Seller(
    "Example GmbH",
    ("Chausseestraße 1",),
    "Berlin",
    "10115",
    "DE",
    "DE123456789",
    timezone="Europe/Berlin",
    payment=("Example Bank, IBAN DE02 1203 0000 0000 2020 51",),
)
TERMS: dict[str, Any] = {
    "anchor_date": "2026-01-01",
    "timezone": "America/Sao_Paulo",
    "currency": "USD",
    "unit_price": "20.00",
    "auto_renew": True,
    "tax": [{"category": "S", "rate_percent": "19"}],
}


def contract(**terms: Any) -> Contract:
    """The contract of the published example, with other terms where given."""
    return Contract(**{**TERMS, **terms})


def day(year: int, month: int, number: int, hour: int = 15) -> datetime:
    """An instant on that date, in the afternoon in Berlin and at noon in São Paulo."""
    return datetime(year, month, number, hour, tzinfo=UTC)


@dataclass
class Firm:
    """One customer in one database, at an instant that the test moves."""

    engine: Engine
    now: datetime
    customer: str = "org_acme"
    used: int = 90
    keys: int = 0
    opening: Any = None

    def opened(
        self, seats: int = 100, locale: str = "en", buyer: Party = BUYER, seller: Seller = SELLER, **terms: Any
    ) -> "Firm":
        """This customer with a contract; `opening` is what it was opened with."""
        self.opening = self.call(
            "open_contract", contract=contract(**terms), seats=seats, buyer=buyer, seller=seller, locale=locale
        )
        return self

    def call(self, verb: str, **arguments: Any) -> Any:
        """One verb of the face in a transaction of its own, for this customer at this instant."""
        with self.engine.begin() as tx:
            return getattr(billing, verb)(tx, customer=self.customer, now=self.now, **arguments)

    def at(self, instant: datetime) -> "Firm":
        self.now = instant
        return self

    def later(self, **span: float) -> "Firm":
        return self.at(self.now + timedelta(**span))

    @property
    def stored(self) -> billing.StoredContract:
        with self.engine.begin() as tx:
            found = billing.contract_of(tx, self.customer)
        assert found is not None
        return found

    @property
    def seats(self) -> int:
        with self.engine.begin() as tx:
            return billing.allocation(tx, self.customer)

    def quote(self, add: int = 5, **more: Any) -> billing.Quote:
        made = self.call("quote_seats", add=add, **more)
        assert isinstance(made, billing.Quote)
        return made

    def order(self, quoted: billing.Quote, key: str = "", **more: Any) -> Any:
        self.keys += 1
        given = {"ordered_by": "ana", "idempotency_key": key or f"key-{self.keys}", **more}
        return self.call("order_seats", quote_id=quoted.id, **given)

    def buy(self, add: int = 5, **more: Any) -> billing.Invoice:
        ordered = self.order(self.quote(add), **more)
        assert isinstance(ordered, billing.Ordered)
        return ordered.invoice

    def renew(self) -> list[billing.Renewed]:
        renewed: list[billing.Renewed] = self.call("renew", in_use_at=lambda at: self.used)
        return renewed

    def documents(self, **more: Any) -> list[billing.Invoice]:
        with self.engine.begin() as tx:
            return billing.invoices(tx, customer=self.customer, **more)

    def document(self, number: str) -> billing.Invoice:
        with self.engine.begin() as tx:
            found = billing.invoice(tx, customer=self.customer, number=number)
        assert found is not None
        return found

    def findings(self) -> list[billing.Finding]:
        with self.engine.begin() as tx:
            return billing.reconcile(tx)

    def balances(self) -> dict[str, dict[str, int]]:
        with self.engine.begin() as tx:
            return billing.balances(tx, self.customer)
