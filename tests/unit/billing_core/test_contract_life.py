"""A contract's whole life in random order, crashes included, against a slow model written from the rules."""

import os
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine

import billing_core as billing
from billing_core import KeyReused, Ordered, Stale
from tests.unit.billing_core import databases, oracle
from tests.unit.billing_core.firm import Firm, contract

ZONE_OFFSET = timedelta(hours=-3)
"""America/Sao_Paulo has kept UTC-3 since 2019: the model needs no time zone database."""


@dataclass
class Held:
    """What the model knows of a quote."""

    quoted: billing.Quote
    allocation: int
    terms: int
    expires_at: datetime
    used: bool = False


class Crash(Exception):
    """The caller dies after the verb and before the commit."""


class Life(RuleBasedStateMachine):
    """Each rule does one thing to the product and to the model; the invariants compare them after every step."""

    engine: Engine

    @initialize(
        anchor=st.dates(date(2025, 6, 1), date(2026, 2, 1)),
        policy=st.sampled_from(["started_month", "month_plus_days"]),
        price=st.decimals(0, 300, places=3),
        per=st.sampled_from(["seat_month", "seat_year"]),
        currency=st.sampled_from(["JPY", "USD", "KWD"]),
        seats=st.integers(0, 50),
        renews=st.booleans(),
    )
    def open(self, anchor, policy, price, per, currency, seats, renews):
        databases.clear(self.engine)
        self.now = datetime(2026, 2, 1, 12, tzinfo=UTC)
        self.terms = {"anchor_date": anchor, "proration": policy, "unit_price": price, "price_per": per}
        self.terms |= {"currency": currency, "auto_renew": renews, "uplift_percent": "10", "minimum_seats": 3}
        self.firm = Firm(self.engine, now=self.now).opened(seats=seats, **self.terms)
        self.digits = {"JPY": 0, "USD": 2, "KWD": 3}[currency]
        self.grid = oracle.boundaries(anchor, 12 * 9)
        self.seats, self.allocation, self.agreed = seats, 1, 1
        self.price = Fraction(price)
        self.next_price: Fraction | None = None
        self.price_digits = max(self.digits, 3)
        self.term = sum(boundary <= self.today for boundary in self.grid[12::12]) if renews else 0
        self.pinned: int | None = None
        self.held: list[Held] = []
        self.placed: list[tuple[str, Held, Ordered]] = []
        self.net = [self.line(seats, Fraction(12))]

    @property
    def today(self) -> date:
        return (self.now + ZONE_OFFSET).date()

    @property
    def ends(self) -> date:
        return self.grid[12 * (self.term + 1)]

    @property
    def over(self) -> bool:
        return self.today >= self.ends

    def line(self, seats: int, months: Fraction) -> int:
        per_year = self.terms["price_per"] == "seat_year"
        return oracle.amount(seats, self.price, months, self.digits, per_year=per_year)

    def months(self) -> Fraction:
        return oracle.months(self.terms["anchor_date"], 12, self.terms["proration"], self.today)

    def midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=UTC) - ZONE_OFFSET

    def expiry(self) -> datetime:
        if self.terms["proration"] == "started_month":
            change = min(boundary for boundary in self.grid if boundary > self.today)
        else:
            change = self.today + oracle.ONE_DAY
        return min(self.now + timedelta(minutes=30), self.midnight(change), self.midnight(self.ends))

    @rule(minutes=st.integers(1, 90))
    def wait_a_little(self, minutes):
        self.move(timedelta(minutes=minutes))

    @rule(days=st.integers(1, 40))
    def wait_days(self, days):
        self.move(timedelta(days=days))

    @rule(months=st.integers(2, 14))
    def wait_months(self, months):
        self.move(timedelta(days=30 * months))

    def move(self, span: timedelta):
        if self.now + span < datetime(2033, 1, 1, tzinfo=UTC):
            self.now += span
            self.firm.at(self.now)

    @rule(add=st.integers(1, 20))
    def quote(self, add):
        if self.over:
            expected = billing.RenewalDue if self.terms["auto_renew"] else billing.TermEnded
            with pytest.raises(expected):
                self.firm.quote(add)
            return
        quoted = self.firm.quote(add)
        assert quoted.net.amount == self.line(add, self.months())
        assert (quoted.seats_before, quoted.seats_after) == (self.seats, self.seats + add)
        assert quoted.expires_at == self.expiry()
        self.held.append(Held(quoted, self.allocation, self.agreed, self.expiry()))

    def why_not(self, held: Held) -> str | None:
        if held.used:
            return "QUOTE_USED"
        if self.now >= held.expires_at:
            return "QUOTE_EXPIRED"
        if held.allocation != self.allocation:
            return "SEATS_CHANGED"
        return "CONTRACT_CHANGED" if held.terms != self.agreed else None

    @precondition(lambda self: bool(self.held))
    @rule(data=st.data(), crash=st.booleans())
    def order(self, data, crash):
        held = data.draw(st.sampled_from(self.held[-4:]))
        key = f"key {len(self.placed)} {len(self.held)} {self.now}"
        if crash:
            self.crash(lambda tx: self.place(tx, held, key))
        if self.over:
            with pytest.raises((billing.RenewalDue, billing.TermEnded)):
                self.firm.order(held.quoted, key=key)
            return
        why = self.why_not(held)
        result = self.firm.order(held.quoted, key=key, digest=held.quoted.digest)
        if why is not None:
            assert isinstance(result, Stale)
            assert result.why == why
            assert result.fresh_quote.net.amount == self.line(held.quoted.add, self.months())
            self.held.append(Held(result.fresh_quote, self.allocation, self.agreed, self.expiry()))
            return
        assert isinstance(result, Ordered)
        assert result.invoice.lines == held.quoted.lines
        self.bought(held, key, result)

    def place(self, tx, held: Held, key: str):
        billing.order_seats(
            tx,
            customer=self.firm.customer,
            quote_id=held.quoted.id,
            idempotency_key=key,
            ordered_by="ana",
            now=self.now,
            in_use_at=lambda at: 7,
        )

    def crash(self, work):
        with pytest.raises((Crash, billing.BillingError)), self.engine.begin() as tx:
            work(tx)
            raise Crash

    def bought(self, held: Held, key: str, result: Ordered):
        held.used = True
        self.seats += held.quoted.add
        self.allocation += 1
        self.net.append(result.invoice.net.amount)
        assert result.order.seats_after == self.seats
        self.placed.append((key, held, result))

    @precondition(lambda self: bool(self.placed))
    @rule(data=st.data())
    def order_again_with_the_same_key(self, data):
        key, held, first = data.draw(st.sampled_from(self.placed))
        again = self.firm.order(held.quoted, key=key, digest=held.quoted.digest)
        assert isinstance(again, Ordered)
        assert (again.order, again.invoice, again.replayed) == (first.order, first.invoice, True)
        assert self.firm.order(held.quoted, key=key, po_number="another body") == KeyReused()

    @rule(add=st.integers(1, 9))
    def two_owners_at_once(self, add):
        if self.over:
            return
        mine, yours = (Held(self.firm.quote(add), self.allocation, self.agreed, self.expiry()) for _ in range(2))
        key = f"first {len(self.placed)} {self.now}"
        first = self.firm.order(yours.quoted, key=key, digest=yours.quoted.digest)
        assert isinstance(first, Ordered)
        self.bought(yours, key, first)
        second = self.firm.order(mine.quoted)
        assert isinstance(second, Stale)
        assert (second.why, second.last_order) == ("SEATS_CHANGED", first.order)

    @rule(data=st.data(), part=st.integers(1, 100))
    def credit(self, data, part):
        chosen = data.draw(st.sampled_from([each for each in self.firm.documents(limit=500) if each.kind == "invoice"]))
        notes = [each for each in self.firm.documents(limit=500) if each.refers_to == chosen.number]
        left = chosen.net.amount - sum(note.net.amount for note in notes)
        if not left:
            with pytest.raises(billing.AmountInvalid):
                self.firm.call("credit", number=chosen.number, reason="none left")
            return
        note = self.firm.call("credit", number=chosen.number, reason="agreed", net=max(1, left * part // 100))
        if note.net.amount == left:
            assert self.firm.document(chosen.number).credited == chosen.gross.amount

    @rule(data=st.data())
    def pay(self, data):
        chosen = data.draw(st.sampled_from([each for each in self.firm.documents(limit=500) if each.kind == "invoice"]))
        if chosen.outstanding.amount:
            half = max(1, chosen.outstanding.amount // 2)
            given = {"number": chosen.number, "amount": half, "paid_on": self.today}
            paid = self.firm.call("record_payment", reference=f"{chosen.number} {chosen.paid}", **given)
            assert paid.outstanding.amount == chosen.outstanding.amount - half

    @rule(seats=st.integers(0, 40) | st.none())
    def pin(self, seats):
        self.firm.call("pin_renewal", seats=seats)
        self.pinned = seats

    @rule(price=st.integers(0, 99))
    def agree_on_another_price(self, price):
        changed = Fraction(self.terms["unit_price"]) != price
        self.terms["unit_price"] = price
        self.firm.call("amend_contract", contract=contract(**self.terms))
        if changed:
            self.next_price, self.agreed = Fraction(price), self.agreed + 1

    @rule(used=st.integers(0, 60), crash=st.booleans())
    def renew(self, used, crash):
        """On time or late; how many are used differs from boundary to boundary."""

        def in_use(at: datetime) -> int:
            return int(used + at.year) % 61

        if crash:
            given: dict[str, Any] = {"customer": self.firm.customer, "now": self.now, "in_use_at": in_use}
            self.crash(lambda tx: billing.renew(tx, **given))
        for renewed in self.firm.call("renew", in_use_at=in_use):
            assert self.terms["auto_renew"]
            assert self.over
            boundary = self.midnight(self.ends)
            expected = max(in_use(boundary), 3, self.pinned or 0)
            self.renew_model(expected)
            assert (renewed.term.starts_at, renewed.seats) == (boundary, expected)
            assert renewed.invoice.net.amount == self.line(expected, Fraction(12))
            self.net.append(renewed.invoice.net.amount)
        assert not (self.terms["auto_renew"] and self.over)

    def renew_model(self, seats: int):
        raised = self.price * Fraction(11, 10) * 10**self.price_digits
        uplifted = Fraction(int(raised + Fraction(1, 2)), 10**self.price_digits)
        if self.next_price is not None:
            self.price_digits = self.digits
        self.price = uplifted if self.next_price is None else self.next_price
        self.next_price, self.pinned = None, None
        self.term, self.seats, self.allocation = self.term + 1, seats, self.allocation + 1

    @rule()
    def recognise(self):
        self.firm.call("recognise")
        assert self.firm.call("recognise") == 0
        earned = -self.firm.balances().get("revenue", {}).get(self.terms["currency"], 0)
        assert 0 <= earned <= sum(self.net)

    @invariant()
    def the_allocation_is_the_models(self):
        if hasattr(self, "seats"):
            assert self.firm.seats == self.seats

    @invariant()
    def documents_are_the_models_and_numbers_have_no_gap(self):
        if hasattr(self, "net"):
            issued = [each for each in self.firm.documents(limit=500) if each.kind == "invoice"][::-1]
            assert [each.net.amount for each in issued] == self.net
            counts: dict[str, int] = {}
            for each in issued:
                year = each.number[4:8]
                counts[year] = counts.get(year, 0) + 1
                assert each.number == f"INV-{year}-{counts[year]:06d}"

    @invariant()
    def the_books_agree(self):
        if hasattr(self, "firm"):
            assert self.firm.findings() == []


def live(engine: Engine, examples: int, steps: int, *phases: Phase) -> None:
    chosen: dict[str, Any] = {
        "max_examples": examples,
        "stateful_step_count": steps,
        "deadline": None,
        "print_blob": True,
    }
    if phases:
        chosen["phases"] = phases
    machine = type("Life", (Life,), {"engine": engine})
    run_state_machine_as_test(machine, settings=settings(**chosen, suppress_health_check=list(HealthCheck)))


def test_a_contracts_life_follows_the_rules(engine):
    # A failure is not made smaller here, which would take minutes; the soak below does it.
    live(engine, 5, 12, Phase.explicit, Phase.reuse, Phase.generate)


@pytest.mark.soak
def test_a_contracts_long_life_follows_the_rules(engine):
    live(engine, int(os.environ.get("BILLING_LIVES", "150")), 50)
