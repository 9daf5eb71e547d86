"""The crash table: SIGKILL at each named step of admit, release, reassign, purchase and renewal, then a restart."""

from datetime import UTC, datetime

import pytest

from sso_gate.admission.admit import Admission
from sso_gate.admission.recheck import Alive, Recheck
from sso_gate.billing import purchase
from sso_gate.worker import keep_promises, pass_on_holds
from tests.integration.seats.processes import assert_books_agree, processes
from tests.integration.seats.worker_process import AFTER_COMMIT, BEFORE_COMMIT
from tests.support.gates import Gate, make_organization, open_gate, person
from tests.support.valkey import ThrowAwayValkey

ASKED = "A pending session, B counter asked"
TOLD = "D counter told"
ADMIT = [ASKED, BEFORE_COMMIT, AFTER_COMMIT, "D counter not told", TOLD, "E session active"]
GIVE_BACK = [BEFORE_COMMIT, AFTER_COMMIT, "purge", TOLD]
BUY = [BEFORE_COMMIT, AFTER_COMMIT, TOLD]
RENEWAL = datetime(2027, 1, 1, 1, tzinfo=UTC)


async def invoices(gate: Gate) -> int:
    sql = "SELECT count(*) FROM billing_invoices"
    return await gate.runtime.database.read(lambda tx: tx.exec_driver_sql(sql).scalar_one())


async def die_doing(gate_database: str, valkey: ThrowAwayValkey, step: str, **order: str) -> None:
    with processes(gate_database, valkey.socket_url, die_at=step) as [doomed]:
        answered = doomed.ask(**order)
        assert answered is None or (step == TOLD and order["do"] == "login")  # the counter is told beside the answer
        assert doomed.ended_with() == -9


@pytest.mark.parametrize("step", ADMIT)
async def test_admit(gate_database: str, valkey: ThrowAwayValkey, step: str):
    async with open_gate(gate_database, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=2)
        await die_doing(gate_database, valkey, step, do="login", slug=organization.slug, name="ana")
        committed = step not in (ASKED, BEFORE_COMMIT)
        assert (await gate.pool(organization.id)).used == (2 if committed else 1)
        await assert_books_agree(gate, organization)
        assert isinstance(await gate.login(person(organization, "ana")), Admission)  # the next try finds what is hers
        assert not isinstance(await gate.login(person(organization, "bob")), Admission)
        await assert_books_agree(gate, organization)


@pytest.mark.parametrize("what", ["release", "reassign"])
@pytest.mark.parametrize("step", GIVE_BACK)
async def test_giving_back(gate_database: str, valkey: ThrowAwayValkey, step: str, what: str):
    async with open_gate(gate_database, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=2)
        ana = await gate.login(person(organization, "ana"))
        assert isinstance(ana, Admission)
        await die_doing(gate_database, valkey, step, do=what, slug=organization.slug, name="ana", to="bob")
        await keep_promises(gate.runtime)
        await assert_books_agree(gate, organization)
        session = await Recheck.of(gate.runtime).session(ana.token)
        if step == BEFORE_COMMIT:
            assert isinstance(session, Alive)
            assert isinstance(await gate.login(person(organization, "ana")), Admission)
        else:
            assert not isinstance(session, Alive)
            assert isinstance(await gate.login(person(organization, "bob")), Admission)
            assert not isinstance(await gate.login(person(organization, "ana")), Admission)
        await assert_books_agree(gate, organization)


@pytest.mark.parametrize("step", BUY)
async def test_purchase(gate_database: str, valkey: ThrowAwayValkey, step: str):
    async with open_gate(gate_database, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=1)
        assert not isinstance(await gate.login(person(organization, "ana")), Admission)
        quote = await purchase.review(gate.runtime, organization=organization, add=2)
        order = {"do": "purchase", "slug": organization.slug, "quote": quote.id, "key": "a-key-of-an-order"}
        before = await invoices(gate)
        await die_doing(gate_database, valkey, step, **order)
        with processes(gate_database, valkey.socket_url) as [other]:
            assert other.ask(**order) is True  # the same key again: one order, one invoice
        assert await invoices(gate) == before + 1
        pool = await gate.pool(organization.id)
        assert (pool.purchased, pool.reserved) == (3, 1)
        assert isinstance(await gate.login(person(organization, "ana")), Admission)
        await assert_books_agree(gate, organization)


@pytest.mark.parametrize("step", BUY)
async def test_renewal(gate_database: str, valkey: ThrowAwayValkey, step: str):
    async with open_gate(gate_database, valkey.socket_url) as gate:
        organization = await make_organization(gate.runtime, seats=5)
        assert isinstance(await gate.login(person(organization, "ana")), Admission)
        order = {"do": "renewal", "slug": organization.slug, "now": RENEWAL.isoformat()}
        before = await invoices(gate)
        await die_doing(gate_database, valkey, step, **order)
        with processes(gate_database, valkey.socket_url) as [other]:
            assert other.ask(**order) is True
        assert await invoices(gate) == before + 1
        pool = await gate.pool(organization.id)
        assert pool.used == 2 <= pool.purchased
        await pass_on_holds(gate.runtime)
        await assert_books_agree(gate, organization)
