"""Fills an organization with as many people as a large customer has, without letting each of them in one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from httpx2 import Client as Browser
from sqlalchemy import Connection, insert

from sso_gate.clock import Clock, to_micros
from sso_gate.identity import new_id
from sso_gate.members import store as members
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Role
from sso_gate.organizations import store as organizations
from sso_gate.seats import waitlist
from sso_gate.settings import Settings
from sso_gate.storage.open import open_runtime
from sso_gate.storage.tables import seat_entry
from tests.support.gates import Migrated
from tests.support.valkey import ThrowAwayValkey
from tests.unit.console.gate import Gate, finished

PAGES = (
    "/",
    "/settings/billing",
    "/settings/billing?add=20&on=2026-06-15",
    "/settings/billing/seats/edit",
    "/settings/billing/seats/review?add=20",
    "/settings/billing/invoices",
    "/settings/members",
    "/settings/members?state=waiting&sort=-login",
    "/settings/members/invites",
    "/settings/members/requests",
    "/settings/access",
    "/settings/audit",
    "/settings/developer",
)


@contextmanager
def owner_of_a_crowd(migrated: Migrated, folder: Path, *, people: int, waiting: int) -> Iterator[Browser]:
    """Give the browser of the owner of an organization with so many people."""
    valkey = ThrowAwayValkey()
    settings = Settings(
        public_url="https://gate.example",
        database_url=migrated.sqlite(folder),
        redis_url=valkey.url,
        secret_keys=("k" * 43,),
    )
    gate = Gate(settings, folder)
    finished(_filled(gate, people, waiting))
    with gate.serving(), gate.browser("ana") as browser:
        yield browser
    valkey.close()


async def _filled(gate: Gate, people: int, waiting: int) -> None:
    runtime = open_runtime(gate.settings, gate.clock)
    acme = await runtime.database.read(lambda tx: organizations.by_slug(tx, "acme"))
    assert acme is not None
    await runtime.database.write(lambda tx: crowd(tx, acme.id, people=people, waiting=waiting, clock=gate.clock))
    await runtime.close()


def crowd(tx: Connection, organization: str, *, people: int, waiting: int, clock: Clock) -> None:
    """Add so many members without a seat, so many more who wait for one, and half a year of seats taken and given."""
    now = clock.now()
    added = [_person(organization, number, clock) for number in range(people + waiting)]
    members.add(tx, added, source="login", at=now)
    line = [one.id for one in added[people:]]
    waitlist.note_first(tx, organization, line, now=now)
    for one in line[::2]:
        waitlist.ask(tx, one, "New in finance, and I need it for the end of the month, please.", now=now)
    days = [
        {"organization": organization, "member": added[0].id, "event": "", "version": 0, "delta": delta, "at": at}
        for day in range(181)
        for delta, at in (
            (1, to_micros(now - timedelta(days=day))),
            (-1, to_micros(now - timedelta(days=day, hours=1))),
        )
    ]
    tx.execute(insert(seat_entry), days)


def _person(organization: str, number: int, clock: Clock) -> Member:
    return Member(
        id=new_id("mem", clock),
        organization=organization,
        email=f"maria.fernanda.de.oliveira.{number:05}@acme.example",
        name=f"Maria Fernanda de Oliveira {number}",
        listed_role=Role.USER,
        role=Role.USER,
        grants=frozenset(),
        state=MemberState.RELEASED,
        generation=0,
        locale="",
    )
