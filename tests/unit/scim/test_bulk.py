"""Bulk: every operation is decided as if it had come alone. Source: RFC 7644 3.7."""

from __future__ import annotations

from sso_gate.scim import caller as callers
from sso_gate.tokens.token import Scope
from tests.unit.scim.client import GROUP, PATCH, SEAT_ERROR, USER, client_of

REQUEST = "urn:ietf:params:scim:api:messages:2.0:BulkRequest"
OFF = {"schemas": [PATCH], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]}


async def send(scim, *operations, **more):
    return await scim.send("POST", "/Bulk", {"schemas": [REQUEST], "Operations": list(operations), **more})


def creation(scim, name, **more):
    user = {"schemas": [USER], "userName": f"{name}@{scim.organization.slug}.example", **more}
    return {"method": "POST", "path": "/Users", "bulkId": name, "data": user}


def statuses(answer):
    assert answer.status_code == 200, answer.text
    return [int(one["status"]) for one in answer.json()["Operations"]]


async def test_creations_fill_the_seats_and_the_next_one_is_refused_with_the_remedy(scim):
    answer = await send(scim, *(creation(scim, f"p{number}") for number in range(6)))
    assert statuses(answer) == [201] * 4 + [403] * 2
    assert await scim.used() == 5
    made, refused = answer.json()["Operations"][0], answer.json()["Operations"][5]
    assert (await scim.http.get(made["location"])).json()["meta"]["version"] == made["version"]
    assert (refused["bulkId"], refused["response"][SEAT_ERROR]["used"]) == ("p5", 5)
    assert "location" not in refused
    outcomes = [(one["action"], one["outcome"]) for one in await scim.events()]
    assert outcomes == [("scim.user.create", "success")] * 4 + [("scim.user.create", "denied")] * 2


async def test_a_seat_given_back_by_one_operation_is_there_for_the_next(scim):
    users = [await scim.created() for _ in range(4)]
    path = f"/Users/{users[0]['id']}"
    answer = await send(scim, creation(scim, "a"), {"method": "PATCH", "path": path, "data": OFF}, creation(scim, "b"))
    assert statuses(answer) == [403, 200, 201]


async def test_a_group_of_people_who_are_made_in_the_same_request(scim):
    group = {"schemas": [GROUP], "displayName": "Eng", "members": [{"value": "bulkId:ana"}]}
    answer = await send(
        scim,
        creation(scim, "ana"),
        {"method": "POST", "path": "/Groups", "bulkId": "eng", "data": group},
        {
            "method": "PATCH",
            "path": "/Groups/bulkId:eng",
            "data": {
                "schemas": [PATCH],
                "Operations": [{"op": "replace", "path": "displayName", "value": "Engineering"}],
            },
        },
        {"method": "POST", "path": "/Groups", "bulkId": "x", "data": {**group, "members": [{"value": "bulkId:no"}]}},
    )
    assert statuses(answer) == [201, 201, 204, 409]
    found = (await scim.get("/Groups")).json()["Resources"]
    assert [(one["displayName"], len(one["members"])) for one in found] == [("Engineering", 1)]


async def test_it_stops_after_as_many_errors_as_the_client_says(scim):
    await scim.created("ana")
    twice = [creation(scim, "ana"), creation(scim, "ana"), creation(scim, "bea")]
    assert statuses(await send(scim, *twice, failOnErrors=2)) == [409, 409]
    assert statuses(await send(scim, *twice)) == [409, 409, 201]


async def test_put_delete_and_versions(scim):
    user = await scim.created("ana")
    path, body = f"/Users/{user['id']}", {"schemas": [USER], "userName": user["userName"], "title": "CTO"}
    answer = await send(
        scim,
        {"method": "PUT", "path": path, "data": body, "version": user["meta"]["version"]},
        {"method": "PUT", "path": path, "data": body, "version": user["meta"]["version"]},
        {"method": "DELETE", "path": path},
        {"method": "DELETE", "path": path},
        {"method": "DELETE", "path": "/Users/\u00e9"},
    )
    assert statuses(answer) == [200, 412, 204, 404, 404]
    assert await scim.used() == 1


async def test_what_is_no_bulk_request_does_nothing(scim):
    for operations, status in (
        (None, 400),
        ([], 400),
        (["x"], 400),
        ([{"method": "GET", "path": "/Users/x"}], 400),
        ([{"method": "POST", "path": "/Bulk", "bulkId": "x"}], 400),
        ([{"method": "POST", "path": "/Users", "data": {}}], 400),
        ([{"method": "DELETE", "path": "/Users"}], 400),
        ([{"method": "DELETE", "path": 5}], 400),
        ([{"method": "DELETE", "path": "/Users/x"}] * 101, 413),
    ):
        body = {"schemas": [REQUEST], "Operations": operations}
        assert (await scim.send("POST", "/Bulk", body)).status_code == status, operations
    for wrong in ({"failOnErrors": "1"}, {"failOnErrors": True}, {"schemas": [USER]}):
        assert (await send(scim, {"method": "DELETE", "path": "/Users/x"}, **wrong)).status_code == 400
    assert {one["outcome"] for one in await scim.events()} == {"denied"}


async def test_whoever_may_read_alone_sends_nothing_in_bulk(scim):
    async with client_of(scim.gate, scim.organization, Scope.SCIM_READ) as reader:
        assert (await send(reader, creation(scim, "ana"))).status_code == 403
    assert await scim.used() == 1


async def test_operations_are_throttled_one_by_one_and_deactivations_by_themselves(scim, monkeypatch):
    monkeypatch.setattr(callers, "BUDGETS", {"read": 9, "write": 2, "give_back": 9})
    user = await scim.created()
    off = {"method": "PATCH", "path": f"/Users/{user['id']}", "data": OFF}
    answer = await send(scim, creation(scim, "a"), creation(scim, "b"), off)
    assert statuses(answer) == [201, 429, 200]  # with the user before, the two writes of the budget


async def test_references_in_something_very_deep_are_no_trouble(scim):
    deep = "x"
    for _ in range(300):
        deep = [deep]
    assert statuses(await send(scim, creation(scim, "ana", nothing=deep))) == [201]
