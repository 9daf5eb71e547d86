"""The seat protocol as a model that is searched exhaustively: every order of steps, a crash at every step, seats added
at any time, releases, and a Redis that answers anything and forgets everything.

A rule of the protocol is a flag of `Rules`; turning one off is a mutant, and the search must find out. Steps are those
of `sso_gate.admission.admit`: A pending session, B the counter is asked, S1 and S2 decide in SQL, E activate. A process
that has crashed is one that takes no further step, so every crash is among the orders in which a tab goes no further.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

FREE, FULL = "free", "full"  # "unknown" is tried like "full"
MOST_SEATS = 2


@dataclass(frozen=True, slots=True)
class Rules:
    """What the protocol promises to do. `Rules()` is the protocol."""

    held_is_read_from_sql: bool = True
    full_is_only_a_hint: bool = True
    audit_in_the_transaction: bool = True
    lock_before_reading: bool = True
    count_the_rows: bool = True
    session_before_commit: bool = True
    generation_at_activation: bool = True


class Login(NamedTuple):
    """One tab: where it is, the generation it was given, and what was true while it ran."""

    person: str
    at: str = "A"
    generation: int = 0
    saw_free: bool = False  # what an unlocked read said: only a mutant acts on it
    held_all_along: bool = True
    once_full: bool = False


class Session(NamedTuple):
    """What Redis keeps for a tab; `state` is pending or active."""

    state: str
    person: str
    generation: int


class World(NamedTuple):
    """Everything that exists, and the processes under way."""

    purchased: int
    used: int
    version: int
    held: tuple[tuple[str, int], ...]
    told: frozenset[tuple[str, int]]  # (person, generation) of grants on the audit record
    logged: frozenset[int]  # tabs whose login is on the audit record
    waiting: frozenset[str]
    purges: tuple[tuple[str, int], ...]  # the outbox
    ended: tuple[tuple[str, int], ...]  # the newest release of each person
    logins: tuple[Login, ...]
    sessions: tuple[Session | None, ...]
    floors: tuple[tuple[str, int], ...]
    releases_left: int
    losses_left: int

    def generation(self, person: str) -> int:
        """Return the generation of this person's seat, 0 without one."""
        return dict(self.held).get(person, 0)


def start(tabs: str, *, seats: int, holders: str = "", releases: int = 1, losses: int = 1) -> World:
    """Return the beginning: one tab for each letter, which names its person; `holders` have a seat already."""
    held = tuple((person, place) for place, person in enumerate(holders, 1))
    return World(
        purchased=seats,
        used=len(held),
        version=len(held),
        held=held,
        told=frozenset(held),
        logged=frozenset(),
        waiting=frozenset(),
        purges=(),
        ended=(),
        logins=tuple(Login(person) for person in tabs),
        sessions=(None,) * len(tabs),
        floors=(),
        releases_left=releases,
        losses_left=losses,
    )


def explore(world: World, rules: Rules = Rules()) -> tuple[int, str]:
    """Return how many worlds can come of this one, and the first broken promise, or an empty text."""
    seen, todo = {world}, deque([world])
    while todo:
        now = todo.popleft()
        if broken := _broken(now):
            return len(seen), broken
        for following in _next(now, rules):
            noted = _note(following)
            if noted not in seen:
                seen.add(noted)
                todo.append(noted)
    return len(seen), ""


def _broken(world: World) -> str:
    if world.used != len(world.held):
        return "a seat leaked"
    if world.used > world.purchased:
        return "oversold"
    if not set(world.held) <= world.told:
        return "a seat without its audit record"
    answers = [_broken_answer(world, place, login) for place, login in enumerate(world.logins)]
    return next(filter(None, [*answers, _broken_session(world)]), "")


def _broken_answer(world: World, place: int, login: Login) -> str:
    if login.at in ("E", "in") and place not in world.logged:
        return "let in without an audit record"
    if login.at == "refused" and login.held_all_along:
        return "a holder was refused"
    if login.at == "refused" and not login.once_full:
        return "refused while a seat was free"
    return ""


def _broken_session(world: World) -> str:
    promised, ended = {person for person, _ in world.purges}, dict(world.ended)
    active = [session for session in world.sessions if session and session.state == "active"]
    outlived = [one for one in active if one.person not in promised and one.generation < ended.get(one.person, 0)]
    return "a session outlived its seat" if outlived else ""


def _note(world: World) -> World:
    """Write down, for each tab under way, whether its person held a seat all along, and whether there was once none."""
    return world._replace(logins=tuple(_noted(world, login) for login in world.logins))


def _noted(world: World, login: Login) -> Login:
    if login.at in ("refused", "in", "gone"):
        return login
    held = bool(world.generation(login.person))
    none_free = world.used >= world.purchased and not held
    return login._replace(held_all_along=login.held_all_along and held, once_full=login.once_full or none_free)


def _next(world: World, rules: Rules) -> Iterator[World]:
    for place, login in enumerate(world.logins):
        yield from _step(world, place, login, rules)
    if world.purchased < MOST_SEATS:
        yield world._replace(purchased=world.purchased + 1)  # the version is for generations here
    if world.releases_left:
        yield from (_released(world, person) for person, _ in world.held)
    yield from (_purged(world, promise) for promise in world.purges)
    if world.losses_left:
        nothing = (None,) * len(world.sessions)
        yield world._replace(sessions=nothing, floors=(), losses_left=world.losses_left - 1)


def _moved(world: World, place: int, login: Login) -> World:
    return world._replace(logins=(*world.logins[:place], login, *world.logins[place + 1 :]))


def _with_session(world: World, place: int, session: Session | None) -> World:
    return world._replace(sessions=(*world.sessions[:place], session, *world.sessions[place + 1 :]))


def _step(world: World, place: int, login: Login, rules: Rules) -> Iterator[World]:
    match login.at:
        case "A":
            pending = Session("pending", login.person, 0)
            following = _with_session(world, place, pending) if rules.session_before_commit else world
            yield _moved(following, place, login._replace(at="S1"))
        case "S1":
            yield from (_first_look(world, place, login, hint, rules) for hint in (FREE, FULL))
            if not rules.held_is_read_from_sql:  # Redis says that this person holds a seat: it may say anything
                yield _moved(world, place, login._replace(at="E", generation=world.version))
        case "S2":
            yield _decided(world, place, login, rules, is_free=world.used < world.purchased)
        case "S2 write":
            yield _decided(world, place, login, rules, is_free=login.saw_free)
        case "audit":
            told = world.told | {(login.person, login.generation)}
            yield _moved(world._replace(told=told, logged=world.logged | {place}), place, login._replace(at="E"))
        case "E":
            yield _activated(world, place, login, rules)


def _first_look(world: World, place: int, login: Login, hint: str, rules: Rules) -> World:
    if generation := world.generation(login.person):
        return _moved(
            world._replace(logged=world.logged | {place}), place, login._replace(at="E", generation=generation)
        )
    is_free = world.used < world.purchased
    if hint == FULL and not rules.full_is_only_a_hint:
        return _moved(world._replace(logged=world.logged | {place}), place, login._replace(at="refused"))
    if hint != FREE and not is_free and login.person in world.waiting:
        return _moved(world._replace(logged=world.logged | {place}), place, login._replace(at="refused"))
    if not rules.lock_before_reading:
        return _moved(world, place, login._replace(at="S2 write", saw_free=is_free))
    return _moved(world, place, login._replace(at="S2"))


def _decided(world: World, place: int, login: Login, rules: Rules, *, is_free: bool) -> World:
    """S2: everything in one transaction, what is read and what is written."""
    held = world.generation(login.person)
    logged = world.logged | {place}
    if held and rules.count_the_rows:
        return _moved(world._replace(logged=logged), place, login._replace(at="E", generation=held))
    if not is_free:
        waiting = world.waiting | {login.person}
        return _moved(world._replace(logged=logged, waiting=waiting), place, login._replace(at="refused"))
    version = world.version + 1
    seats = dict(world.held)
    seats.setdefault(login.person, version)  # INSERT … DO NOTHING
    granted = world._replace(used=world.used + 1, version=version, held=tuple(sorted(seats.items())))
    login = login._replace(generation=seats[login.person])
    if not rules.audit_in_the_transaction:
        return _moved(granted, place, login._replace(at="audit"))
    told = granted.told | {(login.person, login.generation)}
    return _moved(granted._replace(told=told, logged=logged), place, login._replace(at="E"))


def _activated(world: World, place: int, login: Login, rules: Rules) -> World:
    active = Session("active", login.person, login.generation)
    if not rules.session_before_commit:
        return _moved(_with_session(world, place, active), place, login._replace(at="in"))
    floor = dict(world.floors).get(login.person, 0)
    if world.sessions[place] is None or (rules.generation_at_activation and login.generation < floor):
        return _moved(world, place, login._replace(at="gone"))  # 503: the next login is a returning one
    return _moved(_with_session(world, place, active), place, login._replace(at="in"))


def _released(world: World, person: str) -> World:
    version = world.version + 1
    return world._replace(
        used=world.used - 1,
        version=version,
        held=tuple(seat for seat in world.held if seat[0] != person),
        purges=(*world.purges, (person, version)),
        ended=tuple(sorted({**dict(world.ended), person: version}.items())),
        releases_left=world.releases_left - 1,
    )


def _purged(world: World, promise: tuple[str, int]) -> World:
    person, below = promise
    sessions = tuple(
        None
        if session and session.state == "active" and session.person == person and session.generation < below
        else session
        for session in world.sessions
    )
    floors = {**dict(world.floors), person: max(below, dict(world.floors).get(person, 0))}
    left = tuple(other for other in world.purges if other != promise)
    return world._replace(sessions=sessions, floors=tuple(sorted(floors.items())), purges=left)


def mutant(**turned_off: bool) -> Rules:
    """Return the protocol without these rules."""
    return replace(Rules(), **turned_off)
