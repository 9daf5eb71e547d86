"""Questions and changes that are made to cost: bounded before a row is read, and paid for out of the token's budget."""

from __future__ import annotations

import time

import pytest

from sso_gate.scim import caller as callers
from sso_gate.scim import listing, rations
from sso_gate.scim.definitions import USERS
from sso_gate.scim.filter import parse_filter
from sso_gate.scim.narrowing import MAX_SCANS, Narrowed, narrow, sparing
from sso_gate.scim.patch import apply_patch, read_operations
from sso_gate.scim.rejection import Rejected
from sso_gate.scim.values import Dialect
from sso_gate.storage.tables import member
from tests.unit.scim.client import ENTERPRISE, PATCH

EMAILS = [{"value": f"a{number}", "type": "work"} for number in range(200)]
WIDE = " or ".join(["display pr"] * 60)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": f"emails[{WIDE}].type"},
        {"op": "add", "path": 'emails[value co "a"].display', "value": "x"},
        {"op": "add", "path": "emails.display", "value": "x"},
    ],
)
def test_operations_times_elements_times_terms_is_bounded(operation):
    operations = read_operations({"schemas": [PATCH], "Operations": [operation] * 1000}, Dialect())
    begun = time.process_time()
    with pytest.raises(Rejected) as refused:
        apply_patch(USERS, {"emails": EMAILS}, operations, Dialect())
    assert (refused.value.status, refused.value.scim_type) == (400, "tooMany")
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("word", ["add", "remove"])
def test_lists_are_joined_and_parted_without_comparing_each_with_each(word):
    operation = {"op": word, "path": "emails", "value": EMAILS[:100] + [{"value": f"b{n}"} for n in range(100)]}
    operations = read_operations({"schemas": [PATCH], "Operations": [operation] * 200}, Dialect())
    begun = time.process_time()
    apply_patch(USERS, {"emails": EMAILS[:100]}, operations, Dialect())
    assert time.process_time() - begun < 3


def test_sql_looks_at_every_row_for_a_few_comparisons_of_one_filter_alone():
    def translate(_):
        return Narrowed(member.c.id == "x")

    for count, expected in ((MAX_SCANS, True), (MAX_SCANS + 1, False)):
        many = parse_filter(" or ".join(['userName co "x"'] * count), USERS)
        assert (narrow(many, sparing(translate)) is not None) is expected
    beside = parse_filter(" and ".join(['userName co "x"'] * 20 + ['id eq "y"']), USERS)
    assert narrow(beside, sparing(translate)) is not None, "an index still narrows it"


async def test_whoever_makes_the_gate_look_at_many_rows_has_fewer_reads_left(scim, monkeypatch):
    monkeypatch.setattr(callers, "ROWS_PER_READ", 2)
    monkeypatch.setattr(callers, "BUDGETS", {"read": 6, "write": 100, "give_back": 100})
    for _ in range(7):
        await scim.created(active=False)
    assert (await scim.get("/Users", filter='title eq "x"')).status_code == 200  # one read, and eight rows
    assert [(await scim.get("/Users", count=1)).status_code for _ in range(2)] == [200, 429]
    assert (await scim.create(active=False)).status_code == 201, "writes have a budget of their own"


async def test_what_a_process_had_taken_of_the_budget_pays_for_no_second_question_of_many_rows(scim, monkeypatch):
    monkeypatch.setattr(callers, "ROWS_PER_READ", 2)
    monkeypatch.setattr(callers, "BUDGETS", {"read": 600, "write": 100, "give_back": 100})
    monkeypatch.setattr(rations, "SHARE", 1)
    for _ in range(7):
        await scim.created(active=False)
    assert (await scim.get("/Users", count=1)).status_code == 200, "all of the budget is taken here"
    assert (await scim.get("/Users", filter='title eq "x"')).status_code == 200
    assert (await scim.get("/Users", count=1)).status_code == 429


async def test_a_filter_that_an_index_answers_costs_one_read(scim, monkeypatch):
    monkeypatch.setattr(callers, "ROWS_PER_READ", 1)
    monkeypatch.setattr(callers, "BUDGETS", {"read": 3, "write": 100, "give_back": 100})
    asked = [await scim.get("/Users", filter=f'userName eq "{n}"') for n in range(4)]
    assert [one.status_code for one in asked] == [200, 200, 200, 429]


async def test_rows_are_looked_at_in_parts_and_never_more_than_a_bound_of_text(scim, monkeypatch):
    for number in range(5):
        await scim.created(active=False, title=f"T{number % 2}")
    monkeypatch.setattr(listing, "SCANNED_AT_ONCE", 2)
    assert (await scim.get("/Users", filter='title eq "t0"')).json()["totalResults"] == 3
    assert (await scim.get("/Users", filter='title eq "t0"', cursor="", count=2)).json()["nextCursor"]
    monkeypatch.setattr(listing, "MAX_SCANNED_CHARACTERS", 100)
    refused = await scim.get("/Users", filter='title eq "t0"')
    assert (refused.status_code, refused.json()["scimType"]) == (400, "tooMany")


async def test_no_more_is_kept_of_one_person_than_a_bound(scim):
    user = await scim.created("ana")
    path, many = f"/Users/{user['id']}", [{"value": f"{number}{'x' * 900}"} for number in range(100)]
    refused = await scim.patch(path, {"op": "add", "path": "ims", "value": many})
    assert (refused.status_code, refused.json()["scimType"]) == (400, "invalidValue")
    assert (await scim.create("bea", ims=many)).status_code == 400
    assert ((await scim.get(path)).json(), await scim.used()) == (user, 2)


READ_ONLY = {
    "id": "mem_mine",
    "meta": {"created": "2000-01-01T00:00:00Z", "version": "x"},
    "groups": [{"value": "grp_admins"}],
    "role": "owner",
    "state": "held",
    "generation": 7,
    "organization": "org_other",
    "urn:sso-gate:scim:schemas:extension:seat:2.0:User": {"seat": "held", "signIn": "bound"},
    ENTERPRISE: {"manager": {"displayName": "Boss"}},
}


async def test_nothing_that_is_read_only_can_be_written_by_any_door(scim):
    made = await scim.created("ana", active=False, **READ_ONLY)
    path = f"/Users/{made['id']}"
    put = await scim.send("PUT", path, {"schemas": made["schemas"], "userName": made["userName"], **READ_ONLY})
    patched = await scim.patch(path, {"op": "add", "value": READ_ONLY})
    for answer in (put, patched):
        found = answer.json()
        assert {name: found.get(name) for name in ("id", "groups", "role", "active")} == {
            "id": made["id"],
            "groups": None,
            "role": None,
            "active": False,
        }
        assert (found["meta"]["created"], found["urn:sso-gate:scim:schemas:extension:seat:2.0:User"]) == (
            made["meta"]["created"],
            {"seat": "none"},
        )
    for name in ("id", "meta.version", "groups", 'groups[value eq "x"].display'):
        refused = await scim.patch(path, {"op": "replace", "path": name, "value": "x"})
        assert (refused.status_code, refused.json()["scimType"]) == (400, "mutability"), name
    assert await scim.used() == 1


async def test_a_password_is_taken_and_nowhere_kept(scim):
    user = await scim.created("ana", password="correct horse")
    path = f"/Users/{user['id']}"
    patched = await scim.patch(path, {"op": "replace", "path": "password", "value": "correct horse"})
    assert (patched.status_code, patched.json()) == (200, user), "it changes nothing"
    for answer in (await scim.get(path, attributes="password,userName"), await scim.get("/Users")):
        assert "correct horse" not in answer.text
    assert (await scim.get("/Users", filter='password eq "correct horse"')).json()["totalResults"] == 0
    wrong = await scim.patch(path, {"op": "replace", "path": "password", "value": {"x": 1}})
    assert wrong.status_code == 400


@pytest.mark.parametrize("other", ["\u212aate", "KATE", "ka\u0074e"])  # the Kelvin sign is a K in another dress
async def test_letters_that_are_the_same_in_another_case_make_one_name(scim, other):
    await scim.created("kate")
    assert (await scim.create(other)).status_code == 409
