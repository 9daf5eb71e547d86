"""Logins that share a transaction: nobody pays for somebody else's trouble, and a commit is found again."""

import asyncio
from functools import partial
from itertools import pairwise

import pytest

from sso_gate.admission import combiner as combiners
from sso_gate.admission.settle import Allowed, Denied, settle
from sso_gate.errors import Reason, Unavailable
from sso_gate.identity import Identity
from sso_gate.seats import waitlist
from sso_gate.storage.postgres_line import Line
from tests.support.commits import before_each_commit
from tests.support.gates import Gate, Migrated, fresh_login, make_organization, open_gate, person
from tests.support.postgres import ThrowAwayPostgres
from tests.support.valkey import ThrowAwayValkey


async def audit_rows(inside: Gate) -> int:
    read = inside.runtime.database.read
    sql = "SELECT count(*) FROM audit_event WHERE action = 'auth.login'"
    return await read(lambda tx: tx.exec_driver_sql(sql).scalar_one())


async def under_way(inside: Gate, *identities: Identity) -> list[asyncio.Task[Allowed | Denied]]:
    """Return these logins, whose transaction has begun when nothing was settled before."""
    tasks = [asyncio.create_task(inside.settle(one)) for one in identities]
    await asyncio.sleep(0)  # they come
    await asyncio.sleep(0)  # the first of them are taken from the queue
    return tasks


async def test_logins_that_arrive_together_share_transactions(inside: Gate):
    organization = await make_organization(inside.runtime, seats=40)
    commits: list[int] = []
    with before_each_commit(inside.runtime.database, partial(commits.append, 1)):
        answers = await asyncio.gather(*(inside.settle(person(organization, f"p{at}")) for at in range(32)))
    assert all(isinstance(answer, Allowed) for answer in answers)
    assert len(commits) <= 2
    assert (await inside.pool(organization.id)).used == 33


@pytest.mark.parametrize("seats", [1, 2])
async def test_who_is_refused_in_one_batch_waits_in_order_of_arrival(inside: Gate, seats: int):
    organization = await make_organization(inside.runtime, seats=seats)
    names = [f"p{at:02}" for at in range(20)]
    answers = await asyncio.gather(*(inside.settle(person(organization, name)) for name in names))
    free = seats - 1
    assert [isinstance(answer, Allowed) for answer in answers] == [True] * free + [False] * (20 - free)
    now = inside.runtime.clock.now()
    line = await inside.runtime.database.read(lambda tx: waitlist.in_order(tx, organization.id, now=now))
    assert [row.name for row in line] == names[free:]
    assert all(one.first_refused < next_one.first_refused for one, next_one in pairwise(line))


async def test_the_last_seat_goes_to_who_came_first_of_those_who_wait_for_the_same_transaction(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    commits: list[int] = []
    with before_each_commit(inside.runtime.database, partial(commits.append, 1)):
        before = await under_way(inside, person(organization, "owner"))
        three = [inside.settle(person(organization, name)) for name in ("zoe", "ana", "moe")]
        answers = await asyncio.gather(*before, *three)
    assert [isinstance(answer, Allowed) for answer in answers] == [True, True, False, False]
    assert len(commits) == 2


async def test_many_tabs_of_one_person_take_one_seat_and_the_last_one_is_enough(inside: Gate):
    organization = await make_organization(inside.runtime, seats=2)
    answers = await asyncio.gather(*(inside.settle(person(organization, "ana")) for _ in range(50)))
    assert all(isinstance(answer, Allowed) for answer in answers)
    assert (await inside.pool(organization.id)).used == 2
    assert await audit_rows(inside) == 50


async def test_a_proof_is_used_once_even_inside_one_batch(inside: Gate):
    organization = await make_organization(inside.runtime, seats=9)
    first = fresh_login(person(organization, "ana"), inside.runtime.clock)
    again = fresh_login(person(organization, "ana"), inside.runtime.clock)
    stolen = type(again)(first.identity, again.attempt)
    others = [fresh_login(person(organization, f"p{at}"), inside.runtime.clock) for at in range(5)]
    settle = inside.door.combiner.settle
    answers = await asyncio.gather(*(settle(login, "unknown") for login in [first, *others, stolen]))
    assert [isinstance(answer, Allowed) for answer in answers] == [True] * 6 + [False]
    assert isinstance(answers[-1], Denied)
    assert answers[-1].reason is Reason.REPLAYED
    assert (await inside.pool(organization.id)).used == 7


async def test_a_commit_whose_answer_is_lost_is_found_again(inside: Gate, monkeypatch: pytest.MonkeyPatch):
    organization = await make_organization(inside.runtime, seats=9)
    combiner, lost = inside.door.combiner, []
    original = type(combiner)._settle

    async def loses_the_first_answer(self, organization_id, batch):
        settled = await original(self, organization_id, batch)
        if not lost:
            lost.append(settled)
            raise Unavailable("the connection ended after the commit")
        return settled

    monkeypatch.setattr(type(combiner), "_settle", loses_the_first_answer)
    answers = await asyncio.gather(*(inside.settle(person(organization, f"p{at}")) for at in range(5)))
    assert all(isinstance(answer, Allowed) for answer in answers)
    assert (await inside.pool(organization.id)).used == 6
    assert await audit_rows(inside) == 5


async def test_a_transaction_that_never_committed_is_run_again(inside: Gate, monkeypatch: pytest.MonkeyPatch):
    organization = await make_organization(inside.runtime, seats=9)
    combiner, failures = inside.door.combiner, iter([Unavailable("gone")])
    original = type(combiner)._settle

    async def fails_once(self, organization_id, batch):
        if failure := next(failures, None):
            raise failure
        return await original(self, organization_id, batch)

    monkeypatch.setattr(type(combiner), "_settle", fails_once)
    assert isinstance(await inside.settle(person(organization, "ana")), Allowed)
    assert await audit_rows(inside) == 1


async def test_an_answer_that_can_not_be_had_is_unavailable_and_never_a_refusal(inside: Gate, monkeypatch):
    organization = await make_organization(inside.runtime, seats=9)

    async def never(self, organization_id, batch):
        raise Unavailable("gone")

    monkeypatch.setattr(type(inside.door.combiner), "_settle", never)
    with pytest.raises(Unavailable):
        await inside.settle(person(organization, "ana"))
    assert await audit_rows(inside) == 0


async def test_more_logins_than_the_queue_holds_are_told_to_come_again_soon(
    inside: Gate, monkeypatch: pytest.MonkeyPatch
):
    organization = await make_organization(inside.runtime, seats=9)
    original, go_on = combiners.Combiner._settle, asyncio.Event()

    async def held_up(self, organization_id, batch):
        await go_on.wait()
        return await original(self, organization_id, batch)

    monkeypatch.setattr(combiners, "QUEUE", 2)
    monkeypatch.setattr(combiners.Combiner, "_settle", held_up)
    tasks = await under_way(inside, person(organization, "p0"))
    tasks += await under_way(inside, person(organization, "p1"), person(organization, "p2"))
    with pytest.raises(Unavailable) as told:
        await asyncio.wait_for(inside.settle(person(organization, "p3")), 5)
    assert told.value.retry_after_seconds == 5
    go_on.set()
    assert all(isinstance(answer, Allowed) for answer in await asyncio.gather(*tasks))
    assert isinstance(await inside.settle(person(organization, "p3")), Allowed)


async def test_a_login_that_can_not_be_settled_costs_the_others_of_its_batch_nothing(
    inside: Gate, monkeypatch: pytest.MonkeyPatch
):
    organization = await make_organization(inside.runtime, seats=9)
    batches: list[int] = []

    def stumbles(tx, organization_id, logins, **more):
        batches.append(len(logins))
        settled = settle(tx, organization_id, logins, **more)
        if any(login.identity.name == "p3" for login in logins):
            raise ValueError("nobody thought of this")
        return settled

    monkeypatch.setattr(combiners, "settle", stumbles)
    comes = (inside.settle(person(organization, f"p{at}")) for at in range(7))
    answers = await asyncio.gather(*comes, return_exceptions=True)
    stumbled = answers.pop(3)
    assert all(isinstance(answer, Allowed) for answer in answers)
    assert isinstance(stumbled, Unavailable)
    assert "ValueError" in stumbled.detail
    assert batches[0] == 7
    assert (await inside.pool(organization.id)).used == 7
    assert await audit_rows(inside) == 6


async def test_a_browser_that_goes_away_leaves_the_others_alone(inside: Gate):
    organization = await make_organization(inside.runtime, seats=9)
    tasks = [asyncio.create_task(inside.settle(person(organization, f"p{at}"))) for at in range(6)]
    await asyncio.sleep(0)
    tasks[3].cancel()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert sum(isinstance(answer, Allowed) for answer in answers) == 5


async def test_who_comes_in_by_another_process_between_two_reads_is_not_taken_for_somebody_else(
    migrated: Migrated,
    postgres_server: ThrowAwayPostgres,
    valkey: ThrowAwayValkey,
    monkeypatch: pytest.MonkeyPatch,
):
    url = migrated.postgres(postgres_server)
    async with open_gate(url, valkey.socket_url) as here:
        organization = await make_organization(here.runtime, seats=3)
        ana = person(organization, "ana")

        async def come_there() -> None:
            async with open_gate(url, valkey.socket_url) as there:
                assert isinstance(await there.settle(ana), Allowed)

        reads, send = list[int](), Line.send

        def and_meanwhile(line: Line) -> None:
            send(line)
            reads.append(1)
            if len(reads) == 1:
                asyncio.run(come_there())

        monkeypatch.setattr(Line, "send", and_meanwhile)
        assert isinstance(await here.settle(ana), Allowed)
        assert len(reads) > 1
        assert (await here.pool(organization.id)).used == 2
    postgres_server.drop_database(url)
