"""What an organization's seats must look like after each thing that people do, told without databases: values alone.

Time is counted in whole seconds, as the clock shows them, which may be set back; `tick` counts what has happened. Every
function returns the outcomes that are right: one, or two where it is nobody's business which (a hold that has run out
may be noticed now or later).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

HOUR = 60 * 60
HOLD = 72 * HOUR
INVITE = 14 * 24 * HOUR
ASK_AGAIN = 7 * 24 * HOUR
OWNER = "owner"
Moment = tuple[int, int]
"""What the clock showed, and the tick."""


@dataclass(frozen=True)
class Waiter:
    """Somebody who was refused for want of a seat."""

    name: str
    first: Moment
    last: int
    tries: int = 1
    asked: Moment | None = None
    declined: int | None = None
    lapsed: int | None = None

    @property
    def place(self) -> tuple[bool, bool, Moment, Moment]:
        """Who asked comes first, by when they asked; then by first refusal; at last who let a seat go."""
        return self.lapsed is not None, self.asked is None, self.asked or (0, 0), self.first

    @property
    def has_let_go(self) -> bool:
        """Whether they have shown no wish since, whatever the clock said."""
        _, asked = self.asked or (0, 0)
        return self.lapsed is not None and self.lapsed >= self.last and self.lapsed >= asked

    @property
    def is_willing(self) -> bool:
        return self.declined is None and not self.has_let_go


class Kept(NamedTuple):
    """A seat that is kept for somebody who waits, or was invited."""

    name: str
    since: int
    until: int


@dataclass(frozen=True)
class House:
    """One organization: who holds a seat, who waits, for whom a seat is kept until when."""

    purchased: int
    holders: frozenset[str] = frozenset({OWNER})
    blocked: frozenset[str] = frozenset()
    known: frozenset[str] = frozenset({OWNER})
    line: tuple[Waiter, ...] = ()
    kept: tuple[Kept, ...] = ()
    now: int = 0
    tick: int = 1
    invoices: int = 1
    due: tuple[int, int] | None = None
    """When there was a boundary that is not renewed yet, and the holders then."""

    @property
    def waiting(self) -> dict[str, Waiter]:
        return {one.name: one for one in self.line}

    @property
    def living(self) -> dict[str, int]:
        return {one.name: one.until for one in self.kept if one.until > self.now}

    @property
    def has_lapsed(self) -> bool:
        return len(self.living) < len(self.kept)

    @property
    def available(self) -> int:
        return max(0, self.purchased - len(self.holders) - len(self.living))

    def in_order(self) -> list[Waiter]:
        return sorted(self.line, key=lambda one: one.place)

    def with_waiter(self, waiter: Waiter) -> House:
        return replace(self, line=(*(one for one in self.line if one.name != waiter.name), waiter))

    def without(self, name: str) -> House:
        """Return the house in which this person neither waits nor has a seat kept."""
        line = tuple(one for one in self.line if one.name != name)
        return replace(self.without_hold(name), line=line)

    def without_hold(self, name: str) -> House:
        """Return the house in which no seat is kept for this person."""
        return replace(self, kept=tuple(one for one in self.kept if one.name != name))

    def state(self, name: str) -> str:
        if name in self.holders:
            return "held"
        if name in self.blocked:
            return "blocked"
        return "waiting" if name in self.waiting else "released"


@dataclass(frozen=True)
class View:
    """What can be seen of a house from outside, in SQL."""

    purchased: int
    used: int
    states: tuple[tuple[str, str], ...]
    line: tuple[tuple[str, int, bool, bool, bool], ...]
    kept: tuple[tuple[str, int], ...]
    invoices: int


def view(house: House) -> View:
    """Return what must be seen of this house."""
    line = [
        (one.name, one.tries, one.asked is not None, one.declined is not None, one.lapsed is not None)
        for one in house.in_order()
    ]
    kept = tuple(sorted((one.name, one.until) for one in house.kept))
    states = tuple(sorted((name, house.state(name)) for name in house.known))
    return View(house.purchased, len(house.holders), states, tuple(line), kept, house.invoices)


@dataclass(frozen=True)
class Outcome:
    """What the one who acts is told, and the house afterwards."""

    told: str
    house: House = field(repr=False)


Outcomes = list[Outcome]


def offer(house: House) -> House:
    """Pass on the holds that have run out, and keep free seats for whoever waits, in order."""
    house = _let_lapse(house)
    free = house.purchased - len(house.holders) - len(house.kept)
    helped = {one.name for one in house.kept}
    lucky = [one.name for one in house.in_order() if one.is_willing and one.name not in helped][: max(0, free)]
    return _keep(house, lucky)


def _let_lapse(house: House) -> House:
    house = replace(house, tick=house.tick + 1)
    for one in house.kept:
        if one.until <= house.now:
            house = _lapse(house, one.name)
    return house


def _lapse(house: House, name: str) -> House:
    house = house.without_hold(name)
    waiter = house.waiting.get(name)
    return house.with_waiter(replace(waiter, lapsed=house.tick)) if waiter else house


def _keep(house: House, names: Iterable[str], seconds: int = HOLD) -> House:
    fresh = [Kept(name, house.now, house.now + seconds) for name in names]
    return replace(house, kept=(*house.kept, *fresh))


def _notice(house: House) -> House:
    """Pass on what has run out, if anything has."""
    return offer(house) if house.has_lapsed else house


def _grant(house: House, name: str) -> House:
    house = house.without(name)
    return replace(
        house,
        holders=house.holders | {name},
        known=house.known | {name},
        blocked=house.blocked - {name},
        tick=house.tick + 1,
    )


def _refused(house: House, name: str) -> House:
    tick = house.tick + 1
    waiter = house.waiting.get(name)
    if waiter:
        waiter = replace(waiter, tries=waiter.tries + 1, last=tick)
    house = house.with_waiter(waiter or Waiter(name, (house.now, tick), tick))
    return replace(house, known=house.known | {name}, tick=tick)


def login(house: House, name: str) -> Outcomes:
    """Come to the door with a proof."""
    if name in house.blocked:
        return [Outcome("member_deactivated", house)]
    if name in house.holders:  # the first login of somebody who was given a seat by another door takes the lock
        return [Outcome("in", house), Outcome("in", _notice(house))]
    noticed = _under_lock(_notice(house), name)
    if house.available == 0 and name in house.waiting and name not in house.living:
        return [Outcome("seat_unavailable", _refused(house, name)), noticed]
    return [noticed]


def _under_lock(house: House, name: str) -> Outcome:
    if name in house.living or house.available:
        return Outcome("in", _grant(house, name))
    return Outcome("seat_unavailable", _refused(house, name))


def _freed(house: House, name: str) -> House:
    return replace(house, holders=house.holders - {name}, tick=house.tick + 1)


def release(house: House, name: str) -> Outcomes:
    """Take a seat back."""
    if name not in house.known:
        return [Outcome("NotFound", house)]
    if name == OWNER:
        return [Outcome("InvalidInput", house)]
    if name not in house.holders:
        return [Outcome("Conflict", house)]
    return [Outcome("done", offer(_freed(house, name)))]


def block(house: House, name: str) -> Outcomes:
    """Deactivate somebody: no seat, no place in the line."""
    if name not in house.known:
        return [Outcome("NotFound", house)]
    if name == OWNER:
        return [Outcome("InvalidInput", house)]
    gone = _freed(house, name).without(name)
    return [Outcome("done", offer(replace(gone, blocked=gone.blocked | {name})))]


def reassign(house: House, giver: str, taker: str) -> Outcomes:
    """Pass a seat on."""
    if giver not in house.known:
        return [Outcome("NotFound", house)]
    if giver == OWNER:
        return [Outcome("InvalidInput", house)]
    if giver not in house.holders or giver == taker or house.state(taker) in ("held", "blocked"):
        return [Outcome("Conflict", house)]
    return [Outcome("done", offer(_grant(_freed(house, giver), taker)))]


def buy(house: House, seats: int) -> Outcomes:
    """Buy seats: one invoice, and they go to those who wait."""
    more = replace(house, purchased=house.purchased + seats, invoices=house.invoices + 1)
    return [Outcome("Ordered", offer(more))]


def hold(house: House, name: str) -> Outcomes:
    """Keep a free seat for somebody who waits."""
    if name not in house.known:
        return [Outcome("NotFound", house)]
    if name not in house.waiting:
        return [Outcome("Conflict", house)]
    without = _let_lapse(house).without_hold(name)
    if not without.available:
        return [Outcome("NoSeatFree", house)]
    return [Outcome("done", offer(_keep(without, [name])))]


def invite(house: House, name: str) -> Outcomes:
    """Keep a free seat for somebody who holds none, waits for none and is not blocked."""
    if house.state(name) != "released":
        return [Outcome("Conflict", house)]
    without = _let_lapse(house).without_hold(name)
    if not without.available:
        return [Outcome("NoSeatFree", house)]
    return [Outcome("done", offer(_keep(replace(without, known=house.known | {name}), [name], INVITE)))]


def withdraw(house: House, name: str) -> Outcomes:
    """Take an invite back."""
    if house.state(name) != "released" or house.without_hold(name) == house:
        return [Outcome("NotFound", house)]
    return [Outcome("done", offer(house.without_hold(name)))]


def decline(house: House, name: str) -> Outcomes:
    """Tell somebody who waits no."""
    waiter = house.waiting.get(name)
    if waiter is None:
        return [Outcome("NotFound", house)]
    told = house.with_waiter(replace(waiter, asked=None, declined=house.now))
    return [Outcome("done", offer(told.without_hold(name)))]


def ask(house: House, name: str) -> Outcomes:
    """Ask the owners for a seat, on the waiting page."""
    waiter, lapsed = house.waiting.get(name), len(house.kept) - len(house.living)
    if waiter is None or name in house.living or waiter.has_let_go:
        return [Outcome("Conflict", house)]
    if waiter.declined is None and house.available > lapsed:
        return [Outcome("Conflict", house)]
    if waiter.declined is not None and house.now - waiter.declined < ASK_AGAIN:
        return [Outcome("Conflict", house)]
    tick = house.tick + 1
    asked = replace(waiter, declined=None, asked=waiter.asked or (house.now, tick))
    return [Outcome("done", replace(house.with_waiter(asked), tick=tick))]


def create(house: House, name: str) -> Outcomes:
    """A directory creates a user, active. A refusal undoes the whole request, what it passed on included."""
    noticed = _notice(house)
    if name in house.known:
        return [Outcome("409", house)]
    if not noticed.available:
        return [Outcome("403", house)]
    return [Outcome("201", _grant(noticed, name))]


def deactivate(house: House, name: str) -> Outcomes:
    """A directory sets a user inactive."""
    if name in house.blocked:
        return [Outcome("200", house)]
    return [Outcome("200", block(_notice(house), name)[0].house)]


def activate(house: House, name: str) -> Outcomes:
    """A directory sets a user active."""
    noticed = _notice(house)
    if name in house.holders:
        return [Outcome("200", house)]
    if name in noticed.living or noticed.available:
        return [Outcome("200", _grant(noticed, name))]
    # Said twice of somebody who waits already, it is no refusal; who they are to the directory is not told here.
    return [Outcome("403", house), Outcome("200", noticed)]


def renew(house: House) -> Outcomes:
    """Begin the term that is due with the seats in use at its boundary, never less than are used now."""
    if house.due is None:
        return [Outcome("done", house)]
    boundary, holders = house.due
    reserved = [one for one in house.kept if one.since < boundary <= one.until]
    seats = max(holders + len(reserved), len(house.holders) + len(house.living), 1)
    return [Outcome("done", offer(replace(house, purchased=seats, invoices=house.invoices + 1, due=None)))]
