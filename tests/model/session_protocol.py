"""How sessions follow their seat, as a model that is searched exhaustively: every order of steps, a crash at every
step, releases and grants again, time, and a Redis that is put back to an older copy of itself, or to nothing.

One person is enough: Redis keeps sessions and floors by person, and what others do raises the version alone. That a
seat is theirs when SQL says so is what `seat_protocol` proves; here a login is given one, or is not. Steps are those of
`sso_gate.admission.admit` and `recheck`. Time goes by the lease: when one has passed, every lease that ran has run out.
No other lifetime is counted on, not even the pending session's.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.model.search import explore

# What Redis keeps of a tab's session. A fresh one opens without SQL, a stale one when SQL has been asked again.
NONE, PENDING, FRESH, STALE = "", "pending", "fresh", "stale"


@dataclass(frozen=True, slots=True)
class Rules:
    """What the protocol promises to do. `Rules()` is the protocol."""

    session_before_commit: bool = True
    generation_at_activation: bool = True
    purge_is_promised: bool = True
    purge_spares_the_newer: bool = True
    leases_run_out: bool = True
    generation_at_the_lease: bool = True
    lease_from_before_the_decision: bool = True
    lease_from_before_the_answer: bool = True
    lease_is_an_instant: bool = True
    renew_what_is_there_alone: bool = True
    parent_is_still_there: bool = True
    lease_of_the_parent: bool = True


class Tab(NamedTuple):
    """A login, the session that came of it, and the request that has asked SQL about it; or, where it begins at "host",
    a session for an application's host, which stems from one of the others.
    """

    at: str = "A"
    generation: int = 0
    lease: str = FRESH  # what is left of one that began with the login, or of the parent's
    session: str = NONE
    copied: str = NONE
    renewal: str = NONE  # the lease that a request, to which SQL has said yes, is about to write


class World(NamedTuple):
    """The person's seat in SQL, what Redis keeps of them, and the processes under way."""

    tabs: tuple[Tab, ...]
    seat: int  # the generation of the seat, 0 without one
    version: int
    purges: frozenset[int] = frozenset()  # the outbox
    ended: int = 0  # the sessions below belong to a seat that was taken back,
    long_ended: int = 0  # and these to one that was taken back a lease ago
    floor: int = 0
    copied_floor: int = 0
    is_put_back: bool = False
    releases_left: int = 1
    copies_left: int = 1
    losses_left: int = 1
    wrong: str = ""


def start(*tabs: str, is_holder: bool, releases: int) -> World:
    """Return the beginning: the tabs of a person, by where they are, who has a seat already or has not."""
    seat = 1 if is_holder else 0
    return World(tuple(map(Tab, tabs)), seat, version=seat, releases_left=releases)


def search(beginning: World, rules: Rules = Rules()) -> tuple[int, str]:
    """Return how many worlds can come of this one, and the first broken promise, or an empty text."""
    return explore(beginning, partial(_following, rules=rules), _broken)


def _broken(world: World) -> str:
    if any(tab.session == FRESH and tab.generation < world.long_ended for tab in world.tabs):
        return "a session opens a lease after its seat was taken back"
    is_purged = not world.purges and not world.is_put_back
    if is_purged and any(tab.generation < world.ended for tab in _signed_in(world)):
        return "a session outlived its seat"
    return world.wrong


def _signed_in(world: World) -> list[Tab]:
    return [tab for tab in world.tabs if tab.session in (FRESH, STALE)]


def _following(world: World, rules: Rules) -> Iterator[World]:
    """Two tabs are worth the same: which is which makes no other world."""
    return (following._replace(tabs=tuple(sorted(following.tabs))) for following in _next(world, rules))


def _next(world: World, rules: Rules) -> Iterator[World]:
    for at, tab in enumerate(world.tabs):
        for following, moved in (*_login(world, tab, rules), *_request(world, tab, rules)):
            yield following._replace(tabs=(*world.tabs[:at], moved, *world.tabs[at + 1 :]))
    if world.seat and world.releases_left:
        yield _released(world, rules)
    yield from (_purged(world, below, rules) for below in world.purges)
    yield _later(world, rules)
    if world.copies_left:
        tabs = tuple(tab._replace(copied=tab.session) for tab in world.tabs)
        yield world._replace(tabs=tabs, copied_floor=world.floor, copies_left=world.copies_left - 1)
    if world.losses_left:
        yield _put_back(world, rules)


def _login(world: World, tab: Tab, rules: Rules) -> Iterator[tuple[World, Tab]]:
    match tab.at:
        case "A":
            yield world, tab._replace(at="S", session=PENDING if rules.session_before_commit else NONE)
        case "S" if world.seat:
            yield world, tab._replace(at="E", generation=world.seat)
        case "S":
            version = world.version + 1
            yield world._replace(seat=version, version=version), tab._replace(at="E", generation=version)
            yield world, tab._replace(at="out")
        case "E":
            yield world, _activated(world, tab, rules)
        case "host":
            for parent in _signed_in(world):
                lease = parent.session if rules.lease_of_the_parent else FRESH
                yield world, tab._replace(at="host, A", generation=parent.generation, lease=lease)
        case "host, A":
            yield world, tab._replace(at="host, E", session=PENDING)
        case "host, E":
            is_orphan = rules.parent_is_still_there and not any(one.session for one in world.tabs if one is not tab)
            yield world, tab._replace(at="out", session=NONE) if is_orphan else _activated(world, tab, rules)


def _activated(world: World, tab: Tab, rules: Rules) -> Tab:
    lease = tab.lease if rules.lease_from_before_the_decision else FRESH
    if not rules.session_before_commit:
        return tab._replace(at="out", session=lease)
    if tab.session == NONE or (rules.generation_at_activation and tab.generation < world.floor):
        return tab._replace(at="out", session=NONE)  # 503: the next login is a returning one
    return tab._replace(at="out", session=lease)


def _request(world: World, tab: Tab, rules: Rules) -> Iterator[tuple[World, Tab]]:
    """Ask SQL where the lease has run out, and write the answer: two steps, between which anything may happen."""
    if tab.session == STALE and tab.renewal == NONE:
        is_theirs = world.seat and (tab.generation == world.seat or not rules.generation_at_the_lease)
        yield world, tab._replace(renewal=FRESH) if is_theirs else tab._replace(session=NONE)
    if tab.renewal != NONE:
        lease = tab.renewal if rules.lease_from_before_the_answer else FRESH
        is_there = tab.session != NONE or not rules.renew_what_is_there_alone
        yield world, tab._replace(renewal=NONE, session=lease if is_there else NONE)


def _released(world: World, rules: Rules) -> World:
    version = world.version + 1
    return world._replace(
        seat=0,
        version=version,
        purges=world.purges | {version} if rules.purge_is_promised else world.purges,
        ended=version,
        releases_left=world.releases_left - 1,
    )


def _purged(world: World, below: int, rules: Rules) -> World:
    """Whoever keeps the promise, now or much later: the person may hold a seat again by then, with sessions of its."""
    ended = [tab for tab in _signed_in(world) if tab.generation < below or not rules.purge_spares_the_newer]
    return world._replace(
        tabs=tuple(tab._replace(session=NONE) if tab in ended else tab for tab in world.tabs),
        floor=max(below, world.floor),
        purges=world.purges - {below},
        wrong="a holder was signed out" if any(tab.generation == world.seat for tab in ended) else "",
    )


def _later(world: World, rules: Rules) -> World:
    """As long as a lease goes by."""
    tabs = tuple(map(_without_lease, world.tabs)) if rules.leases_run_out else world.tabs
    return world._replace(tabs=tabs, long_ended=world.ended)


def _without_lease(tab: Tab) -> Tab:
    return tab._replace(
        lease=_run_out(tab.lease),
        session=_run_out(tab.session),
        copied=_run_out(tab.copied),
        renewal=_run_out(tab.renewal),
    )


def _run_out(lease: str) -> str:
    return STALE if lease == FRESH else lease


def _put_back(world: World, rules: Rules) -> World:
    """Redis is what it was when it was copied, which is empty before; time has gone on, and so have the leases."""
    tabs = (tab._replace(session=tab.copied) for tab in world.tabs)
    if not rules.lease_is_an_instant:
        tabs = (tab._replace(session=FRESH) if tab.session == STALE else tab for tab in tabs)
    return world._replace(
        tabs=tuple(tabs),
        floor=world.copied_floor,
        is_put_back=world.is_put_back or not world.copies_left,
        losses_left=world.losses_left - 1,
    )
