"""How seats are given, as a model that is searched exhaustively: every order of steps, a crash at every step, seats
bought, given up, released, kept, declined and run out at any time, any number of times, and a Redis that answers
anything.

A rule of the protocol is a flag of `Rules`; turning one off is a mutant, and the search must find out. Steps are those
of `sso_gate.admission.settle`: S1 looks without a lock, S2 decides under it, each as one step; what can come between
two statements of one of them is a mutant. A process that has crashed is one that takes no further step, so every crash
is among the orders in which a login goes no further. Sessions have no say here: `session_protocol` is their model.

Which of those who wait is next is left open: the search takes every choice, so no promise rests on the order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from tests.model.search import explore

FREE, FULL = "free", "full"  # "unknown" is tried like "full"
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Rules:
    """What the protocol promises to do. `Rules()` is the protocol."""

    held_is_read_from_sql: bool = True
    full_is_only_a_hint: bool = True
    audit_in_the_transaction: bool = True
    lock_before_reading: bool = True
    count_the_rows: bool = True
    refuse_by_one_look: bool = True
    holds_of_others_count: bool = True
    own_hold_admits: bool = True
    a_grant_takes_the_hold: bool = True
    holds_run_out: bool = True
    freed_seats_are_kept: bool = True
    lapsed_holds_go_first: bool = True
    a_renewal_spares_holds: bool = True


class Login(NamedTuple):
    """A tab that has no answer yet: where it is, and what was true while it ran."""

    person: str
    at: str = "S1"
    lapsed: str = ""  # whose holds had run out when it read the time, which is before it has the lock
    saw_free: bool = False  # what an unlocked read said: only a mutant acts on it
    once_none: bool = False


class World(NamedTuple):
    """Everything that SQL holds, and the logins under way. `wrong` says what is wrong with an answer that was given."""

    people: frozenset[str]
    keeps_for_waiting: bool
    purchased: int
    used: int
    held: frozenset[str]
    told: frozenset[str]  # whose grant is on the audit record
    waiting: frozenset[str]
    willing: frozenset[str]  # of those who wait: neither declined, nor has a seat that was kept for them run out
    living: frozenset[str]  # for whom a seat is kept
    lapsed: frozenset[str]  # whose hold has run out and was not passed on yet
    logins: tuple[Login, ...]
    wrong: str = ""

    @property
    def rows(self) -> frozenset[str]:
        """For whom there is a hold, run out or not."""
        return self.living | self.lapsed

    @property
    def lapsed_names(self) -> str:
        """The same as `lapsed`, for a login to remember."""
        return "".join(sorted(self.lapsed))


def start(tabs: str, *, seats: int, holders: str = "", kept: str = "", keeps_for_waiting: bool = True) -> World:
    """Return the beginning: one tab for each letter, which names its person; `holders` have a seat already, and for
    `kept`, who were refused before, one is kept.
    """
    held, living = frozenset(holders), frozenset(kept)
    return World(
        people=held | living | frozenset(tabs),
        keeps_for_waiting=keeps_for_waiting,
        purchased=seats,
        used=len(held),
        held=held,
        told=held,
        waiting=living,
        willing=living,
        living=living,
        lapsed=NOBODY,
        logins=tuple(sorted(map(Login, tabs))),
    )


def search(beginning: World, rules: Rules = Rules()) -> tuple[int, str]:
    """Return how many worlds can come of this one, and the first broken promise, or an empty text."""
    return explore(beginning, partial(_following, rules=rules), _broken)


def _broken(world: World) -> str:
    if world.wrong:
        return world.wrong
    if world.used != len(world.held):
        return "a seat leaked"
    if world.used + len(world.rows) > world.purchased:
        return "more seats are held and kept than were bought"
    if not world.held <= world.told:
        return "a seat without its audit record"
    if _next_in_line(world):
        return "a seat is free, and somebody waits"
    return ""


def _following(world: World, rules: Rules) -> Iterator[World]:
    return map(_noted, _next(world, rules))


def _noted(world: World) -> World:
    """Write down, for each login under way, whether there was once no seat for its person.

    Two tabs of one person are worth the same: which is which makes no other world.
    """
    logins = [login if login.once_none else _noted_for(world, login) for login in world.logins]
    return world._replace(logins=tuple(sorted(logins)))


def _noted_for(world: World, login: Login) -> Login:
    return login._replace(once_none=True) if _has_none(world, login) else login


def _has_none(world: World, login: Login) -> bool:
    """Whether the person may be refused now. A hold that runs out after a login has read the time stands for it."""
    ended = world.lapsed if login.at == "S1" else world.lapsed.intersection(login.lapsed)
    standing = world.rows - ended
    is_theirs = login.person in world.held | standing
    return not is_theirs and world.used + len(standing) >= world.purchased


def _next(world: World, rules: Rules) -> Iterator[World]:
    for login in set(world.logins):
        yield from _step(world, login, rules)
    # Nobody counts twice, as holder or by a hold. So where there is a seat for each of these people, one is free for
    # whoever has none, and every comparison comes out as it would with any number of seats more.
    if world.purchased < len(world.people):
        yield from _passed_on(world._replace(purchased=world.purchased + 1))
    yield from _renewed(world, rules)
    for person in world.held:
        yield from _released(world, person, rules)
    for person in world.living:
        yield world._replace(living=world.living - {person}, lapsed=world.lapsed | {person})
        yield from _declined(world, person)
    if world.lapsed:
        yield from _passed_on(world)
    for person in world.people - world.held:
        yield from _kept_by_owners(world, person, rules)


def _step(world: World, login: Login, rules: Rules) -> Iterator[World]:
    match login.at:
        case "S1":
            yield from (_first_look(world, login, hint, rules) for hint in (FREE, FULL))
            if not rules.held_is_read_from_sql:  # Redis says that this person holds a seat: it may say anything
                yield _let_in(world, login, is_recorded=False)
        case "S1, seats":
            yield _refused(world, login) if _is_none_free(world, login) else _moved(world, login, at="S2")
        case "S2":
            yield from (_decided(under_lock, login, rules) for under_lock in _looked_at(world, login, rules))
        case "S2, write":
            yield _granted(world, login, rules) if login.saw_free else _refused(world, login)
        case "audit":
            yield _let_in(world._replace(told=world.told | {login.person}), login)


def _first_look(world: World, login: Login, hint: str, rules: Rules) -> World:
    if login.person in world.held:
        return _let_in(world, login)
    if hint == FULL and not rules.full_is_only_a_hint:
        return _refused(world, login)
    if hint == FULL and login.person in world.waiting and not rules.refuse_by_one_look:
        return _moved(world, login, at="S1, seats", lapsed=world.lapsed_names)
    if hint == FULL and login.person in world.waiting and _is_none_free(world, login):
        return _refused(world, login)
    if not rules.lock_before_reading:
        return _moved(world, login, at="S2, write", saw_free=not _is_none_free(world, login))
    return _moved(world, login, at="S2", lapsed=world.lapsed_names)


def _is_none_free(world: World, login: Login) -> bool:
    """Whether the seats alone say that there is none: who holds one already is not looked at."""
    return login.person not in world.living and world.used + len(world.living) >= world.purchased


def _looked_at(world: World, login: Login, rules: Rules) -> Iterator[World]:
    """Pass on the holds that have run out, when the login sees one that has."""
    if rules.holds_run_out and world.lapsed.intersection(login.lapsed):
        return _passed_on(world)
    return iter([world])


def _decided(world: World, login: Login, rules: Rules) -> World:
    """S2: everything in one transaction, what is read and what is written."""
    if login.person in world.held and rules.count_the_rows:
        return _let_in(world, login)
    is_kept = login.person in world.rows and rules.own_hold_admits
    reserved = len(world.rows) if rules.holds_of_others_count else 0
    if is_kept or world.used + reserved < world.purchased:
        return _granted(world, login, rules)
    return _refused(world, login)


def _granted(world: World, login: Login, rules: Rules) -> World:
    mine = {login.person}
    taken = mine if rules.a_grant_takes_the_hold else NOBODY
    world = world._replace(
        used=world.used + 1,
        held=world.held | mine,
        waiting=world.waiting - mine,
        willing=world.willing - mine,
        living=world.living - taken,
        lapsed=world.lapsed - taken,
    )
    if not rules.audit_in_the_transaction:
        return _moved(world, login, at="audit")
    return _let_in(world._replace(told=world.told | mine), login)


def _let_in(world: World, login: Login, *, is_recorded: bool = True) -> World:
    return _answered(world, login, "" if is_recorded else "let in without an audit record")


def _refused(world: World, login: Login) -> World:
    mine = {login.person} - world.held
    refused = world._replace(waiting=world.waiting | mine, willing=world.willing | mine)
    return _answered(refused, login, _wrong_to_refuse(world, login))


def _wrong_to_refuse(world: World, login: Login) -> str:
    """Return what is wrong with refusing: that there was a seat for them all along."""
    if login.once_none or _has_none(world, login):
        return ""
    return "a holder was refused" if login.person in world.held else "refused while a seat was free or kept for them"


def _answered(world: World, login: Login, wrong: str) -> World:
    return world._replace(logins=_without(world.logins, login), wrong=wrong)


def _moved(world: World, login: Login, **changes: object) -> World:
    return world._replace(logins=(*_without(world.logins, login), login._replace(**changes)))


def _without(logins: tuple[Login, ...], login: Login) -> tuple[Login, ...]:
    at = logins.index(login)
    return logins[:at] + logins[at + 1 :]


def _renewed(world: World, rules: Rules) -> Iterator[World]:
    """A term begins for which fewer seats were ordered: as few as are held and kept, at the least."""
    least = world.used + (len(world.living) if rules.a_renewal_spares_holds else 0)
    for seats in range(least, world.purchased):
        yield from _passed_on(world._replace(purchased=seats))


def _released(world: World, person: str, rules: Rules) -> Iterator[World]:
    freed = world._replace(used=world.used - 1, held=world.held - {person}, told=world.told - {person})
    return _passed_on(freed) if rules.freed_seats_are_kept else iter([freed])


def _declined(world: World, person: str) -> Iterator[World]:
    """The owners say no to somebody for whom a seat is kept, or take an invite back."""
    return _passed_on(world._replace(living=world.living - {person}, willing=world.willing - {person}))


def _kept_by_owners(world: World, person: str, rules: Rules) -> Iterator[World]:
    """The owners keep a seat for somebody who waits, or invite somebody, again perhaps, if one is free then."""
    if rules.lapsed_holds_go_first:
        world = _without_lapsed(world)
    world = world._replace(living=world.living - {person}, lapsed=world.lapsed - {person})
    if world.used + len(world.living) < world.purchased:
        yield from _kept_for_waiting(world._replace(living=world.living | {person}))


def _passed_on(world: World) -> Iterator[World]:
    return _kept_for_waiting(_without_lapsed(world))


def _without_lapsed(world: World) -> World:
    return world._replace(willing=world.willing - world.lapsed, lapsed=NOBODY)


def _kept_for_waiting(world: World) -> Iterator[World]:
    """Keep every free seat for somebody who waits, if the organization wants that: whoever it may be."""
    following = _next_in_line(world)
    if not following:
        yield world
    for person in following:
        yield from _kept_for_waiting(world._replace(living=world.living | {person}))


def _next_in_line(world: World) -> frozenset[str]:
    """Return for whom a free seat would be kept now."""
    is_free = world.used + len(world.rows) < world.purchased
    return world.willing - world.rows if is_free and world.keeps_for_waiting else NOBODY
