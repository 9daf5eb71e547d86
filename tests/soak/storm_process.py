"""One process of a gate in a storm: people come, seats are given back, passed on and bought, until it is killed.

It reports what it has seen through a pipe, and keeps nothing to itself: whoever kills it loses the last moment alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection

from billing_core import Ordered
from sso_gate.admission.admit import Admission
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Login
from sso_gate.billing import purchase
from sso_gate.errors import SsoGateError, Unavailable
from sso_gate.identity import new_id
from sso_gate.organizations.organization import Organization
from sso_gate.sessions.session import SessionToken
from sso_gate.worker import work
from tests.support.gates import OPERATOR, Gate, address, open_gate, person

TABS = 8
HOLDERS = [f"holder{number}" for number in range(5)]
"""Who holds a seat from the beginning, and is never asked to give it back."""
CROWD = [f"person{number}" for number in range(60)]
MOST_SEATS = 40
BEFORE_TRYING_AGAIN = 0.05


@dataclass(frozen=True, slots=True)
class Came:
    """A login that was answered: `told` is `in` or the reason; a session only with `in`."""

    name: str
    proof: str
    told: str
    token: SessionToken | None = None
    member: str = ""
    generation: int = 0


@dataclass(frozen=True, slots=True)
class Bought:
    """An order that was confirmed."""

    order: str


@dataclass(frozen=True, slots=True)
class Noted:
    """Something else that happened: `given back`, `passed on`, `unavailable` and so on."""

    what: str


def storm(reports: Connection, database_url: str, redis_url: str, organization: Organization, seed: int) -> None:
    """Act for ever, or until nobody listens any more."""
    logging.disable(logging.CRITICAL)
    with contextlib.suppress(BrokenPipeError):
        asyncio.run(_storm(reports, database_url, redis_url, organization, seed))


async def _storm(reports: Connection, database_url: str, redis_url: str, organization: Organization, seed: int) -> None:
    async with open_gate(database_url, redis_url) as gate:
        duties = asyncio.create_task(work(gate.runtime))
        try:
            tabs = [_Tab(gate, organization, random.Random(f"{seed} {at}"), reports) for at in range(TABS)]
            await asyncio.gather(*(tab.act_for_ever() for tab in tabs))
        finally:
            duties.cancel()


@dataclass(frozen=True, slots=True)
class _Tab:
    gate: Gate
    organization: Organization
    dice: random.Random
    reports: Connection
    used: list[Came] = field(default_factory=list)

    async def act_for_ever(self) -> None:
        while True:
            acts = (self._come, self._come_again, self._give_back, self._pass_on, self._buy)
            act = self.dice.choices(acts, (85, 5, 6, 3, 1))[0]
            self.reports.send(await _told(act))

    async def _come(self) -> Came:
        came = await self._enter(self.dice.choice(HOLDERS + CROWD), secrets.token_hex(32))
        self.used.append(came)
        return came

    async def _come_again(self) -> Came | Noted:
        """Try a proof that was used before: whatever Redis has forgotten, it opens nothing."""
        if not self.used:
            return Noted("nothing to try again")
        old = self.dice.choice(self.used)
        again = await self._enter(old.name, old.proof)
        return again if again.told == "in" else Noted(f"again: {again.told}")

    async def _enter(self, name: str, proof: str) -> Came:
        proved = replace(person(self.organization, name), login_id=proof)
        answer = await self.gate.door.admit(Login(proved, new_id("att", self.gate.runtime.clock)))
        if isinstance(answer, Admission):
            return Came(name, proof, "in", answer.token, answer.session.member, answer.session.generation)
        return Came(name, proof, str(answer.reason))

    async def _give_back(self) -> Noted:
        who = address(self.organization, self.dice.choice(CROWD))
        await Revoker.of(self.gate.runtime).release(self.organization.id, who, by=OPERATOR)
        return Noted("given back")

    async def _pass_on(self) -> Noted:
        giver, taker = (address(self.organization, name) for name in self.dice.sample(CROWD, 2))
        await Revoker.of(self.gate.runtime).reassign(self.organization.id, giver, taker, by=OPERATOR)
        return Noted("passed on")

    async def _buy(self) -> Bought | Noted:
        """Order one seat, and go on asking with the same key until it is answered."""
        if (await self.gate.pool(self.organization.id)).purchased >= MOST_SEATS:
            return Noted("enough seats")
        runtime, key = self.gate.runtime, secrets.token_hex(16)
        quote = await purchase.review(runtime, organization=self.organization, add=1)
        while True:
            try:
                outcome = await purchase.order(
                    runtime, organization=self.organization, by=OPERATOR, quote_id=quote.id, idempotency_key=key
                )
            except Unavailable:
                await asyncio.sleep(BEFORE_TRYING_AGAIN)
                continue
            return Bought(outcome.order.id) if isinstance(outcome, Ordered) else Noted("stale quote")


async def _told(act: Callable[[], Awaitable[Came | Noted | Bought]]) -> Came | Noted | Bought:
    try:
        return await act()
    except Unavailable:
        await asyncio.sleep(BEFORE_TRYING_AGAIN)
        return Noted("unavailable")
    except SsoGateError as error:
        return Noted(error.__class__.__name__)
