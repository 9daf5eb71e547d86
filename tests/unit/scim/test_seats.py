"""Every door to a seat that a provisioning client has: what it answers, what it takes, what it leaves on record."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from sqlalchemy import update

from sso_gate.admission.admit import Admission
from sso_gate.admission.recheck import Alive, Recheck
from sso_gate.admission.settle import Denied
from sso_gate.audit.event import Actor
from sso_gate.connections.provisioning import change_provisioning
from sso_gate.errors import InvalidInput, Reason, Unavailable
from sso_gate.scim import caller as callers
from sso_gate.seats import ledger
from sso_gate.storage.tables import metadata, organization
from sso_gate.tokens.token import Scope
from sso_gate.worker import keep_promises
from tests.support.gates import make_organization, person
from tests.unit.scim.client import PATCH, SEAT, SEAT_ERROR, USER, client_of


async def fill(scim):
    """Use every free seat and return the users."""
    return [await scim.created() for _ in range(5 - await scim.used())]


async def hold_unseated(scim):
    change = update(organization).where(organization.c.id == scim.organization.id)
    await scim.gate.runtime.database.write(lambda tx: tx.execute(change.values(scim_when_full="hold_unseated")))


async def buy(scim, seats):
    clock = scim.gate.runtime.clock
    which = scim.organization.id
    await scim.gate.runtime.database.write(lambda tx: ledger.set_purchased(tx, which, seats, now=clock.now()))


async def last(scim):
    """Return (action, outcome, reason) of the newest event of SCIM, and how many there are."""
    events = await scim.events()
    return (events[-1]["action"], events[-1]["outcome"], events[-1]["reason"]), len(events)


async def test_creating_somebody_active_takes_one_seat_and_leaves_one_event(scim):
    user = await scim.created("ana")
    assert user["active"] is True
    assert user[SEAT]["seat"] == "held"
    assert await scim.used() == 2
    assert await last(scim) == (("scim.user.create", "success", None), 1)


async def test_creating_somebody_inactive_takes_no_seat(scim):
    user = await scim.created("ana", active="False")
    assert user["active"] is False
    assert await scim.used() == 1


async def test_the_sixth_of_five_is_refused_with_the_remedy_and_leaves_no_row(scim):
    await fill(scim)
    response = await scim.create("late")
    body = response.json()
    assert response.status_code == 403
    assert response.headers["content-type"].startswith("application/scim+json")
    assert body["detail"].startswith("seat_unavailable: all 5 seats are in use.")
    assert "ask an owner to add seats" in body["detail"]
    assert body[SEAT_ERROR] == {
        "code": "seat_unavailable",
        "limit": 5,
        "used": 5,
        "reference": body[SEAT_ERROR]["reference"],
    }
    assert SEAT_ERROR in body["schemas"]
    found = await scim.get("/Users", filter=f'userName eq "late@{scim.organization.slug}.example"')
    assert found.json()["totalResults"] == 0
    event = (await scim.events())[-1]
    assert (event["action"], event["outcome"], event["reason"]) == ("scim.user.create", "denied", "seat_unavailable")
    assert event["reference"] == body[SEAT_ERROR]["reference"]
    assert event["seat"] == {"limit": 5, "used": 5, "policy": "refuse"}
    assert event["target"]["name"] == f"late@{scim.organization.slug}.example"
    assert (event["request"]["method"], event["request"]["route"]) == ("POST", "/scim/v2/Users")
    assert event["via"]["protocol"] == "scim"
    assert event["actor"]["type"] == "scim_token"


async def test_a_name_that_is_taken_is_a_conflict_even_when_every_seat_is_taken(scim):
    await scim.created("ana")
    await fill(scim)
    for again in ("ana", "ANA", "Ana"):
        response = await scim.create(again)
        assert (response.status_code, response.json()["scimType"]) == (409, "uniqueness")
    assert (await last(scim))[0] == ("scim.user.create", "denied", "conflict")


async def test_a_name_is_the_same_however_its_letters_are_composed(scim):
    await scim.created("jos\u00e9")
    assert (await scim.create("jose\u0301")).status_code == 409


@pytest.mark.parametrize("word", [True, "True", "true", "TRUE"])
async def test_reactivating_takes_a_seat(scim, word):
    user = await scim.created("ana", active=False)
    response = await scim.activate(user["id"], word)
    assert (response.status_code, response.json()["active"]) == (200, True)
    assert await scim.used() == 2
    assert await last(scim) == (("scim.user.activate", "success", None), 2)


async def test_a_refusal_is_on_record_in_the_transaction_that_decided_it(scim, monkeypatch):
    await fill(scim)
    writing, writers = [], scim.gate.runtime.database._writers
    once = writers._once
    monkeypatch.setattr(writers, "_once", lambda work: writing.append(work) or once(work))
    assert (await scim.create("late")).status_code == 403
    assert len(writing) == 1, "one transaction decides and tells"
    assert (await scim.events())[-1]["reason"] == "seat_unavailable"


async def test_a_refused_reactivation_undoes_the_name_change_beside_it(scim):
    user = await scim.created("ana", active=False, displayName="Ana")
    await fill(scim)
    path = f"/Users/{user['id']}"
    change = {"op": "replace", "value": {"displayName": "Anna", "title": "CTO", "active": True}}
    refused = await scim.patch(path, change)
    assert (refused.status_code, (await scim.get(path)).json()) == (403, user)
    put = await scim.send("PUT", path, {"schemas": [USER], "userName": user["userName"], "active": True, "title": "x"})
    assert (put.status_code, (await scim.get(path)).json()) == (403, user)
    assert (await last(scim))[0] == ("scim.user.activate", "denied", "seat_unavailable")
    assert await scim.used() == 5


async def test_the_refused_request_succeeds_as_soon_as_a_seat_was_bought(scim):
    await fill(scim)
    assert (await scim.create("late")).status_code == 403
    await buy(scim, 6)
    assert (await scim.create("late")).status_code == 201


async def test_attributes_of_an_active_user_change_without_a_seat_even_when_full(scim):
    user = (await fill(scim))[0]
    response = await scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": "CTO"})
    assert (response.status_code, response.json()["title"]) == (200, "CTO")
    assert (await last(scim))[0] == ("scim.user.update", "success", None)
    assert await scim.used() == 5


async def test_a_change_that_changes_nothing_leaves_no_event(scim):
    user = await scim.created("ana", title="CTO")
    response = await scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": "title", "value": "CTO"})
    assert response.json() == user
    assert (await last(scim))[1] == 1


async def test_deactivating_frees_the_seat_once(scim):
    user = await scim.created("ana")
    for _ in range(2):
        assert (await scim.activate(user["id"], "False")).json()["active"] is False
        assert await scim.used() == 1
    assert await last(scim) == (("scim.user.deactivate", "success", None), 2)


async def test_replacing_without_active_leaves_it_as_it_is(scim):
    for active in (True, False):
        user = await scim.created(active=active)
        body = {"schemas": [USER], "userName": user["userName"], "title": "x"}
        assert (await scim.send("PUT", f"/Users/{user['id']}", body)).json()["active"] is active
    assert await scim.used() == 2


@pytest.mark.parametrize(
    "operation", [{"op": "remove", "path": "active"}, {"op": "replace", "path": "active", "value": "maybe"}]
)
async def test_active_is_never_left_half_said(scim, operation):
    user = await scim.created("ana")
    assert (await scim.patch(f"/Users/{user['id']}", operation)).status_code == 400
    assert await scim.used() == 2


async def test_null_says_nothing_about_active(scim):
    user = await scim.created("ana")
    response = await scim.patch(f"/Users/{user['id']}", {"op": "replace", "path": "active", "value": None})
    assert response.json()["active"] is True


async def test_deleting_frees_seat_and_name_and_a_new_one_has_a_new_id(scim):
    user = await scim.created("ana")
    path = f"/Users/{user['id']}"
    assert (await scim.send("DELETE", path)).status_code == 204
    assert [(await scim.get(path)).status_code, (await scim.send("DELETE", path)).status_code] == [404, 404]
    assert await scim.used() == 1
    assert (await scim.created("ana"))["id"] != user["id"]
    actions = [(one["action"], one["outcome"]) for one in await scim.events()]
    assert actions.count(("scim.user.delete", "success")) == 1
    assert actions.count(("scim.user.delete", "denied")) == 1


async def test_everything_that_hangs_on_a_member_goes_with_them(scim):
    pointing = {
        key.parent.table.name
        for table in metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "member"
    }
    assert pointing == {
        "identity",
        "hold",
        "waiting",
        "breakglass_code",
        "scim_user",
        "scim_value",
        "scim_group_member",
    }, "a new table points to members: provisioning has to delete from it too"
    user = await scim.created("ana", emails=[{"value": "ana@x.example"}], externalId="subject of ana")
    await scim.group("eng", user["id"])
    assert isinstance(await scim.gate.login(person(scim.organization, "ana")), Admission)
    assert (await scim.send("DELETE", f"/Users/{user['id']}")).status_code == 204


async def test_sessions_end_before_the_reply_and_no_login_revives_whom_scim_deactivated(scim):
    ana = person(scim.organization, "ana")
    admitted = await scim.gate.login(ana)
    found = (await scim.get("/Users", filter=f'userName eq "{ana.email}"')).json()["Resources"][0]
    assert (await scim.activate(found["id"], False)).status_code == 200
    sessions = Recheck.of(scim.gate.runtime).sessions
    assert await sessions.find(admitted.token, now=scim.gate.runtime.clock.now()) is None
    denied = await scim.gate.login(ana)
    assert isinstance(denied, Denied)
    assert denied.reason is Reason.MEMBER_DEACTIVATED
    revoked = await scim.events(action="session.revoke")
    assert [(one["target"]["id"], one["changes"]["cause"]) for one in revoked] == [
        (found["id"], "scim.user.deactivate")
    ]
    assert (await scim.activate(found["id"], True)).status_code == 200
    assert await sessions.find(admitted.token, now=scim.gate.runtime.clock.now()) is None
    assert isinstance(await scim.gate.login(ana), Admission)


@pytest.mark.parametrize("deed", ["deactivate", "delete"])
async def test_the_outbox_ends_sessions_that_the_process_asked_by_the_client_could_not(scim, deed, monkeypatch):
    user = await scim.created("ana", externalId="subject of ana")
    admitted = await scim.gate.login(person(scim.organization, "ana"))

    async def gone(self, *_, **__):
        raise Unavailable("redis")

    with monkeypatch.context() as broken:
        broken.setattr("sso_gate.sessions.store.SessionStore.purge", gone)
        if deed == "delete":
            assert (await scim.send("DELETE", f"/Users/{user['id']}")).status_code == 204
        else:
            assert (await scim.activate(user["id"], False)).status_code == 200
    recheck = Recheck.of(scim.gate.runtime)
    assert isinstance(await recheck.session(admitted.token), Alive)  # the lease of a minute
    assert await keep_promises(scim.gate.runtime) >= 1
    assert not isinstance(await recheck.session(admitted.token), Alive)


async def test_who_came_by_login_is_a_user_who_can_be_found_linked_and_deactivated(scim):
    await scim.gate.login(person(scim.organization, "ana"))
    name = f"ana@{scim.organization.slug}.example"
    found = (await scim.get("/Users", filter=f'userName eq "{name.upper()}"')).json()["Resources"]
    assert [(one["userName"], one["active"]) for one in found] == [(name, True)]
    path = f"/Users/{found[0]['id']}"
    assert (await scim.patch(path, {"op": "add", "path": "externalId", "value": "00u1"})).status_code == 200
    by_external = await scim.get("/Users", filter='externalId eq "00u1"')
    assert [one["id"] for one in by_external.json()["Resources"]] == [found[0]["id"]]
    assert (await scim.get("/Users", filter='externalId eq "00U1"')).json()["totalResults"] == 0
    assert await scim.used() == 2


async def test_a_member_whose_seat_was_taken_back_is_inactive_and_can_be_given_one(scim):
    from sso_gate.admission.revoke import Revoker
    from tests.support.gates import OPERATOR

    user = await scim.created("ana")
    await Revoker.of(scim.gate.runtime).release(scim.organization.id, user["userName"], by=OPERATOR)
    path = f"/Users/{user['id']}"
    assert (await scim.get(path)).json()["active"] is False
    await scim.patch(path, {"op": "replace", "path": "title", "value": "x"})
    assert isinstance(await scim.gate.login(person(scim.organization, "ana")), Admission), "a title blocks nobody"
    assert (await scim.get(path)).json()["active"] is True


async def test_a_provisioned_person_is_found_by_email_once_then_by_subject(scim):
    user = await scim.created("ana")
    ana = person(scim.organization, "ana")
    assert isinstance(await scim.gate.login(ana), Admission)
    assert await scim.used() == 2
    other = await scim.gate.login(replace(ana, subject="somebody else"))
    assert isinstance(other, Denied)
    assert other.reason is Reason.SUBJECT_CONFLICT
    moved = await scim.gate.login(replace(ana, email=f"new@{scim.organization.slug}.example"))
    assert isinstance(moved, Admission)
    assert moved.session.member == user["id"]


async def test_a_provisioned_person_is_found_by_subject_alone(scim):
    user = await scim.created("ana", externalId="S-1")
    stranger = replace(person(scim.organization, "x"), subject="S-1", email=None)
    admitted = await scim.gate.login(stranger)
    assert isinstance(admitted, Admission)
    assert admitted.session.member == user["id"]
    assert await scim.used() == 2


async def test_a_subject_of_one_and_the_email_of_another_is_nobody(scim):
    await scim.created("ana", externalId="S-1")
    await scim.created("bea")
    denied = await scim.gate.login(replace(person(scim.organization, "bea"), subject="S-1"))
    assert isinstance(denied, Denied)
    assert denied.reason is Reason.SUBJECT_CONFLICT


async def test_an_external_id_never_says_which_identity_an_owner_is(scim):
    owner = (await scim.get("/Users", filter='displayName eq "Owner"')).json()["Resources"][0]
    await scim.patch(f"/Users/{owner['id']}", {"op": "add", "path": "externalId", "value": "S-evil"})
    came = await scim.gate.login(replace(person(scim.organization, "evil"), subject="S-evil"))
    assert isinstance(came, Admission)
    assert came.session.member != owner["id"]


async def test_the_primary_owner_is_neither_deactivated_nor_deleted_nor_renamed(scim):
    owner = (await scim.get("/Users")).json()["Resources"][0]
    path = f"/Users/{owner['id']}"
    answers = [
        await scim.activate(owner["id"], False),
        await scim.send("DELETE", path),
        await scim.patch(path, {"op": "replace", "path": "userName", "value": "evil@x.example"}),
    ]
    assert [one.status_code for one in answers] == [403, 403, 403]
    assert all(one.json()["detail"].startswith("protected:") for one in answers)
    assert (await scim.get(path)).json() == owner
    denied = [(one["action"], one["check"]) for one in await scim.events(outcome="denied")]
    assert denied == [
        ("scim.user.deactivate", "protected"),
        ("scim.user.delete", "protected"),
        ("scim.user.update", "protected"),
    ]


async def test_a_client_that_may_keep_people_waiting_gets_201_and_the_next_seat_is_kept_for_them(scim):
    await hold_unseated(scim)
    users = await fill(scim)
    waiting = await scim.created("late")
    assert (waiting["active"], waiting[SEAT]["seat"]) == (True, "waiting")
    assert await scim.used() == 5
    denied = await scim.gate.login(person(scim.organization, "late"))
    assert isinstance(denied, Denied)
    assert denied.reason is Reason.SEAT_UNAVAILABLE
    await scim.send("DELETE", f"/Users/{users[0]['id']}")
    assert (await scim.gate.pool(scim.organization.id)).reserved == 1
    [kept] = await scim.events(action="seat.hold")
    assert (kept["actor"]["type"], kept["target"]["id"], kept["seat"]["used"]) == ("system", waiting["id"], 4)
    assert isinstance(await scim.gate.login(person(scim.organization, "late")), Admission)
    assert (await scim.get(f"/Users/{waiting['id']}")).json()[SEAT]["seat"] == "held"


async def test_saying_again_that_a_waiting_user_is_active_gives_them_the_seat_kept_for_them(scim):
    await hold_unseated(scim)
    users = await fill(scim)
    waiting = await scim.created("late")
    assert (await scim.activate(waiting["id"])).json()[SEAT]["seat"] == "waiting"
    await scim.activate(users[0]["id"], False)
    assert (await scim.activate(waiting["id"])).json()[SEAT]["seat"] == "held"
    assert await scim.used() == 5


async def test_deactivating_somebody_who_waits_takes_them_off_the_line(scim):
    await hold_unseated(scim)
    users = await fill(scim)
    waiting = await scim.created("late")
    assert (await scim.activate(waiting["id"], False)).json()[SEAT]["seat"] == "none"
    await scim.activate(users[0]["id"], False)
    assert (await scim.gate.pool(scim.organization.id)).available == 1


async def test_where_people_are_invited_a_client_creates_nobody_and_keeps_those_who_are_there(scim):
    runtime, which = scim.gate.runtime, scim.organization.id
    user = await scim.created("ana")
    owner = Actor("user", "mem_owner")
    await change_provisioning(runtime, which, provisioning="invite_only", when_full="refuse", by=owner)
    refused = await scim.create("bea")
    assert refused.status_code == 403
    assert refused.json()["detail"].startswith("not_assigned:")
    assert await last(scim) == (("scim.user.create", "denied", "not_assigned"), 2)
    assert (await scim.activate(user["id"], False)).json()["active"] is False
    await change_provisioning(runtime, which, provisioning="scim", when_full="hold_unseated", by=owner)
    await fill(scim)
    assert (await scim.created("late"))[SEAT]["seat"] == "waiting", "the owners' choice counts at once"
    stranger = await scim.gate.login(person(scim.organization, "stranger"))
    assert isinstance(stranger, Denied)
    assert (stranger.reason, stranger.member) == (Reason.NOT_ASSIGNED, None)
    with pytest.raises(InvalidInput):
        await change_provisioning(runtime, which, provisioning="anybody", when_full="refuse", by=owner)


async def test_groups_take_no_seat_and_create_nobody(scim):
    user = await scim.created("ana")
    group = await scim.group("eng", user["id"])
    path = f"/Groups/{group['id']}"
    ghost = await scim.patch(path, {"op": "add", "path": "members", "value": [{"value": "mem_nobody"}]})
    assert (ghost.status_code, ghost.json()["scimType"]) == (400, "invalidValue")
    await scim.patch(path, {"op": "remove", "path": "members"})
    await scim.send("DELETE", path)
    assert await scim.used() == 2
    assert (await scim.get("/Users")).json()["totalResults"] == 2


async def test_a_flood_of_creations_leaves_deactivations_their_own_budget(scim, monkeypatch):
    monkeypatch.setattr(callers, "BUDGETS", {"read": 100, "write": 2, "give_back": 100})
    user = await scim.created()
    await scim.created()
    throttled = await scim.create()
    assert (throttled.status_code, throttled.headers["retry-after"]) == (429, "10")
    assert (await scim.activate(user["id"], "False")).status_code == 200
    body = {"schemas": [PATCH], "Operations": [{"op": "Replace", "value": {"active": False, "title": "x"}}]}
    assert (await scim.send("PATCH", f"/Users/{user['id']}", body)).status_code == 429
    assert (await scim.send("DELETE", f"/Users/{user['id']}")).status_code == 204
    refused = await scim.events(action="scim.throttle")
    assert [one["reason"] for one in refused] == ["rate_limited"] * 2


async def test_fifty_at_once_for_ten_seats_fill_exactly_ten(scim_gate):
    organization = await make_organization(scim_gate.runtime, seats=10)
    async with client_of(scim_gate, organization, Scope.SCIM) as scim:
        answers = await asyncio.gather(*(scim.create() for _ in range(50)))
        assert sorted({one.status_code for one in answers}) == [201, 403]
        assert sum(one.status_code == 201 for one in answers) == 9  # the primary owner holds the tenth
        assert await scim.used() == 10
