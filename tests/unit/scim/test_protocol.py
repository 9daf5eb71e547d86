"""The protocol around the resources: who may ask, in which order it is refused, what a page and a version are."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

import pytest
from sqlalchemy import update

from sso_gate.scim import listing
from sso_gate.scim.recorder import MAX_NAMES, Recorder
from sso_gate.storage.tables import organization
from sso_gate.tokens import store as tokens
from sso_gate.tokens.token import Scope, new_secret
from tests.support.gates import make_organization
from tests.unit.scim.client import ENTERPRISE, GROUP, PATCH, SEAT, USER, client_of, make_token

GATE = "urn:sso-gate:scim:schemas:extension:2.0:ServiceProviderConfig"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
BODIES = {
    "U": {"schemas": [USER], "userName": "x@x.example"},
    "G": {"schemas": [GROUP], "displayName": "x"},
}
PATCHED = {"schemas": [PATCH], "Operations": [{"op": "add", "path": "externalId", "value": "x"}]}
BIG = {"schemas": [USER], "userName": "x", "title": "y" * 1_000_000}


async def strict(scim):
    change = update(organization).where(organization.c.id == scim.organization.id).values(scim_mode="strict")
    await scim.gate.runtime.database.write(lambda tx: tx.execute(change))


async def many(scim, count):
    """Create users who take no seat."""
    return [await scim.created(f"p{n:02}", active=False, name={"familyName": f"F{count - n:02}"}) for n in range(count)]


async def test_without_a_living_token_nothing_is_told(scim):
    answers = [
        await scim.http.request("GET", "/scim/v2/Users", headers={"authorization": word})
        for word in ("", "Basic x", "Bearer ", "Bearer sgt_wrong", "Bearer " + "x" * 500)
    ]
    answers.append(await scim.http.post("/scim/v2/Users", json=BIG, headers={"authorization": "Bearer no"}))
    answers.append(await scim.http.get("/scim/v2/nothing", headers={"authorization": "Bearer no"}))
    assert {one.status_code for one in answers} == {401}
    assert {one.headers["www-authenticate"] for one in answers} == {'Bearer realm="scim"'}
    assert all(one.json()["schemas"] == [ERROR] and "seat" not in one.text for one in answers)


async def test_a_token_that_ended_opens_nothing_and_that_is_on_record(scim):
    clock, database = scim.gate.runtime.clock, scim.gate.runtime.database
    secret = new_secret()
    made = await database.write(
        lambda tx: tokens.add(
            tx,
            scim.organization.id,
            name="old",
            scopes=frozenset({Scope.SCIM}),
            secret=secret,
            expires=clock.now() + timedelta(days=1),
            clock=clock,
        )
    )
    async with client_of(scim.gate, scim.organization, secret=secret) as old:
        assert (await old.get("/Users")).status_code == 200
        await database.write(lambda tx: tokens.revoke(tx, scim.organization.id, made.id, now=clock.now()))
        assert (await old.get("/Users")).status_code == 401
    event = (await scim.events(action="scim.auth"))[0]
    assert (event["outcome"], event["reason"], event["actor"]["id"]) == ("denied", "token_invalid", made.id)


async def test_a_token_that_may_read_reads_and_changes_nothing(scim):
    async with client_of(scim.gate, scim.organization, Scope.SCIM_READ) as reader:
        assert (await reader.get("/Users")).status_code == 200
        refused = await reader.create()
        assert (refused.status_code, "seat" in refused.text) == (403, False)
    async with client_of(scim.gate, scim.organization, Scope.SEATS_WRITE) as other:
        assert (await other.get("/Users")).status_code == 403
    assert [one["reason"] for one in await scim.events(action="scim.auth")] == ["insufficient_scope"] * 2


async def test_a_token_shows_one_organization_and_no_other(scim):
    user, group = await scim.created(), await scim.group("eng")
    other = await make_organization(scim.gate.runtime, seats=3)
    async with client_of(scim.gate, other) as stranger:
        for path in (f"/Users/{user['id']}", f"/Groups/{group['id']}"):
            ghost = path[:-1] + ("0" if path[-1] != "0" else "1")
            for method, body in (("GET", None), ("PUT", BODIES[path[1]]), ("PATCH", PATCHED), ("DELETE", None)):
                for header in ({}, {"if_match": '"x"'}, {"if_match": "*"}):
                    theirs = await stranger.send(method, path, body, **header)
                    nobodys = await stranger.send(method, ghost, body, **header)
                    assert theirs.status_code == nobodys.status_code == 404
                    assert theirs.text.replace(path[-40:], "") == nobodys.text.replace(ghost[-40:], "")
                    assert (theirs.headers.get("etag"), nobodys.headers.get("etag")) == (None, None)
            known = {"if-none-match": (user if path[1] == "U" else group)["meta"]["version"]}
            assert (await stranger.http.get(f"/scim/v2{path}", headers=known)).status_code == 404
        ghost = {"schemas": [GROUP], "displayName": "x", "members": [{"value": user["id"]}]}
        assert (await stranger.send("POST", "/Groups", ghost)).status_code == 400
        assert (await stranger.get("/Users", filter=f'id eq "{user["id"]}"')).json()["totalResults"] == 0
        assert (await stranger.get("/Groups")).json()["totalResults"] == 0


async def test_the_order_of_refusals(scim):
    await scim.created("ana")
    for _ in range(3):
        await scim.created()
    taken, path = {"schemas": [USER], "userName": f"ana@{scim.organization.slug}.example"}, "/Users/mem_nobody"
    async with client_of(scim.gate, scim.organization, Scope.SCIM_READ) as reader:
        assert (await reader.send("POST", "/Users", BIG)).status_code == 403
    assert (await scim.send("POST", "/Users", BIG, content_type="text/plain")).status_code == 413
    assert (await scim.send("POST", "/Users", taken, content_type="text/plain")).status_code == 415
    assert (await scim.send("PUT", path, {"schemas": [USER]})).status_code == 400
    assert (await scim.send("PUT", path, taken, if_match='W/"x"')).status_code == 404
    someone = (await scim.get("/Users", startIndex=3, count=1)).json()["Resources"][0]
    body = {**taken, "active": True}
    assert (await scim.send("PUT", f"/Users/{someone['id']}", body, if_match='W/"x"')).status_code == 412
    assert (await scim.send("PUT", f"/Users/{someone['id']}", body)).status_code == 409
    assert (await scim.send("POST", "/Users", {**taken, "userName": "new@x.example"})).status_code == 403
    denied = [
        one["check"] or one["reason"] for one in await scim.events(outcome="denied") if one["action"] != "scim.auth"
    ]
    assert denied == [
        "message_too_large",
        "content_type",
        "invalidValue",
        "not_found",
        "precondition_failed",
        "uniqueness",
        "seat_unavailable",
    ]


async def test_what_is_no_json_object_is_refused(scim):
    for raw in [
        "",
        "{",
        "[]",
        '"x"',
        '{"a":NaN}',
        "[" * 100_000,
        '{"userName":"a","userName":"b"}',
        "\xff",
        "9" * 5000,
    ]:
        headers = {"content-type": "application/json"}
        response = await scim.http.post("/scim/v2/Users", content=raw.encode("latin-1"), headers=headers)
        assert (response.status_code, response.json()["scimType"]) == (400, "invalidSyntax")


async def test_what_is_no_user_is_refused_and_changes_nothing(scim):
    for more, scim_type in [
        ({"schemas": ["urn:wrong"]}, "invalidSyntax"),
        ({"userName": ""}, "invalidValue"),
        ({"userName": " "}, "invalidValue"),
        ({"userName": "a\nb"}, "invalidValue"),
        ({"userName": "x" * 321}, "invalidValue"),
        ({"userName": 5.5, "USERNAME": "x"}, "invalidSyntax"),
        ({"emails": [{"value": "a", "primary": True}, {"value": "b", "primary": True}]}, "invalidValue"),
        ({"name": "Ana"}, "invalidValue"),
        ({"active": "maybe"}, "invalidValue"),
        ({"title": "\ud800"}, "invalidValue"),
        ({"urn:x:active": False}, "invalidPath"),
    ]:
        body = json.dumps({"schemas": [USER], "userName": "x@x.example", **more})
        response = await scim.http.post("/scim/v2/Users", content=body, headers={"content-type": "application/json"})
        assert (response.status_code, response.json()["scimType"]) == (400, scim_type)
        assert await scim.used() == 1


async def test_versions(scim):
    user = await scim.created("ana")
    path, etag = f"/Users/{user['id']}", user["meta"]["version"]
    read = await scim.get(path)
    assert (read.headers["etag"], read.headers["location"]) == (etag, user["meta"]["location"])
    known = await scim.http.get(f"/scim/v2{path}", headers={"if-none-match": etag})
    assert (known.status_code, known.content) == (304, b"")
    title = {"op": "replace", "path": "title", "value": "x"}
    changed = await scim.patch(path, title, if_match=etag)
    assert changed.headers["etag"] != etag
    assert (await scim.patch(path, title, if_match=etag)).status_code == 412
    assert (await scim.patch(path, title, if_match="*")).status_code == 200
    assert (await scim.send("DELETE", path, if_match=etag)).status_code == 412


async def test_what_is_asked_for_is_what_comes(scim):
    user = await scim.created(
        "ana", title="CTO", emails=[{"value": "a@x.example", "type": "work"}], **{ENTERPRISE: {"department": "IT"}}
    )
    path = f"/Users/{user['id']}"
    assert user["schemas"] == [USER, ENTERPRISE, SEAT]
    only = (await scim.get(path, attributes="userName,emails.value")).json()
    assert only == {
        "schemas": user["schemas"],
        "id": user["id"],
        "userName": user["userName"],
        "emails": [{"value": "a@x.example"}],
    }
    without = (await scim.get(path, excludedAttributes=f"emails,id,name,{ENTERPRISE}:department,meta.created")).json()
    assert ("emails" in without, "id" in without, "created" in without["meta"], without[ENTERPRISE]) == (
        False,
        True,
        False,
        {},
    )
    assert (await scim.get(path, attributes="id", excludedAttributes="id")).status_code == 400
    assert (await scim.get(path, attributes=f"{SEAT}:signIn")).json()[SEAT] == {"signIn": "by_email"}


async def test_pages_by_index(scim):
    users = await many(scim, 7)
    whole = (await scim.get("/Users", count=200)).json()
    assert [one["id"] for one in whole["Resources"][1:]] == [one["id"] for one in users]
    page = (await scim.get("/Users", startIndex=3, count=2)).json()
    assert (page["totalResults"], page["startIndex"], page["itemsPerPage"]) == (8, 3, 2)
    assert page["Resources"] == whole["Resources"][2:4]
    assert (await scim.get("/Users", count=0)).json()["totalResults"] == 8
    assert (await scim.get("/Users", startIndex=-5, count=1)).json()["startIndex"] == 1
    assert (await scim.get("/Users", startIndex=100)).json()["Resources"] == []
    assert (await scim.get("/Users", startIndex="x")).status_code == 400


@pytest.mark.parametrize(
    "sort",
    [{}, {"sortBy": "userName"}, {"sortBy": "userName", "sortOrder": "descending"}, {"sortBy": "name.familyName"}],
)
async def test_pages_by_cursor_hold_everybody_once_although_somebody_goes(scim, sort):
    await many(scim, 7)
    whole = [one["id"] for one in (await scim.get("/Users", **sort)).json()["Resources"]]
    seen, cursor = [], ""
    while True:
        page = (await scim.get("/Users", count=3, cursor=cursor, **sort)).json()
        assert "startIndex" not in page
        seen += [one["id"] for one in page["Resources"]]
        cursor = page.get("nextCursor")
        if not cursor:
            break
    assert seen == whole


async def test_a_cursor_that_is_none_is_refused(scim):
    for cursor in ["x", "AAAA", "W10", "eyJhIjoxfQ", "WyJhIiwxLDJd" * 200]:
        response = await scim.get("/Users", cursor=cursor)
        assert (response.status_code, response.json()["scimType"]) == (400, "invalidCursor")


async def test_a_cursor_belongs_to_its_question(scim):
    await many(scim, 3)
    cursor = (await scim.get("/Users", count=2, cursor="")).json()["nextCursor"]
    assert (await scim.get("/Users", count=2, cursor=cursor, filter="active eq true")).status_code == 400
    assert (await scim.get("/Users", count=2, cursor=cursor)).status_code == 200


async def test_sorting(scim):
    users = await many(scim, 4)
    by_name = (await scim.get("/Users", sortBy="name.familyName")).json()["Resources"]
    assert [one["id"] for one in by_name[:4]] == [one["id"] for one in reversed(users)]
    assert (await scim.get("/Users", sortBy="nothing")).status_code == 400
    assert (await scim.get("/Users", sortBy="name")).status_code == 400


async def test_filters_reach_the_rows_by_every_road(scim):
    ana = await scim.created(
        "ana",
        externalId="E-1",
        title="CTO",
        emails=[{"value": "Ana@X.example", "type": "work"}],
        **{ENTERPRISE: {"employeeNumber": "701984"}},
    )
    await scim.created("bea", active=False, name={"familyName": "100%_Sure"})
    expected = {
        f'userName eq "{ana["userName"].upper()}"': 1,
        'userName sw "a"': 1,
        'userName co "@"': 3,
        'userName ew ".EXAMPLE"': 3,
        'externalId eq "E-1"': 1,
        'externalId eq "e-1"': 0,
        f'id eq "{ana["id"]}"': 1,
        "active eq true": 2,
        'active eq "False"': 1,
        "not (active eq true)": 1,
        "active ne true": 1,
        'emails eq "ana@x.example"': 1,
        'emails.value eq "ana@x.example"': 1,
        'emails[type eq "work" and value eq "ANA@x.example"]': 1,
        'emails[type eq "home"].value eq "ana@x.example"': 0,
        f'{ENTERPRISE}:employeeNumber eq "701984"': 1,
        'title eq "cto" and active eq true': 1,
        'title pr or name.familyName eq "100%_sure"': 2,
        'name.familyName eq "100x_Sure"': 0,
        'userName co "%"': 0,
        'not (externalId eq "E-1")': 2,
        "externalId pr": 1,
        'meta.created gt "2020-01-01T00:00:00Z"': 3,
        'meta.lastModified lt "2020-01-01T00:00:00Z"': 0,
        f'emails.value eq "owner@{scim.organization.slug}.example"': 1,
        "externalId eq null": 2,
        'userName gt "b"': 2,
    }
    found = {text: (await scim.get("/Users", filter=text)).json().get("totalResults") for text in expected}
    assert found == expected


async def test_a_filter_that_would_look_at_too_many_rows_is_refused(scim, monkeypatch):
    await many(scim, 4)
    monkeypatch.setattr(listing, "MAX_SCANNED", 3)
    response = await scim.get("/Users", filter='title eq "x"')
    assert (response.status_code, response.json()["scimType"]) == (400, "tooMany")
    assert (await scim.get("/Users", filter='title eq "x" and userName sw "p00"')).status_code == 200
    assert (await scim.get("/Users", filter="active eq false")).json()["totalResults"] == 4


async def test_groups(scim):
    ana, bea = await scim.created("ana"), await scim.created("bea")
    group = await scim.group("Engineering", ana["id"])
    path = f"/Groups/{group['id']}"
    assert [one["value"] for one in group["members"]] == [ana["id"]]
    assert (await scim.get(f"/Users/{ana['id']}")).json()["groups"][0]["display"] == "Engineering"
    again = await scim.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "ENGINEERING"})
    assert (again.status_code, again.json()["scimType"]) == (409, "uniqueness")
    added = await scim.patch(
        path, {"op": "add", "path": "members", "value": [{"value": bea["id"]}, {"value": ana["id"]}]}
    )
    assert (added.status_code, added.content) == (204, b"")
    assert added.headers["etag"] == (await scim.get(path)).json()["meta"]["version"] != group["meta"]["version"]
    for text in (
        f'members eq "{bea["id"]}"',
        f'members[value eq "{bea["id"]}"]',
        'displayName eq "engineering"',
        f'members.value eq "{bea["id"]}"',
    ):
        assert (await scim.get("/Groups", filter=text, excludedAttributes="members")).json()["totalResults"] == 1, text
    assert "members" not in (await scim.get(path, excludedAttributes="members")).json()
    shown = await scim.send(
        "PATCH",
        f"{path}?attributes=displayName",
        {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"displayName": "Eng"}}]},
    )
    assert shown.json() == {"schemas": [GROUP], "id": group["id"], "displayName": "Eng"}
    put = await scim.send("PUT", path, {"schemas": [GROUP], "displayName": "Eng", "members": [{"value": bea["id"]}]})
    assert [one["value"] for one in put.json()["members"]] == [bea["id"]]
    before = (await scim.get(path)).json()["meta"]["version"]
    await scim.send("DELETE", f"/Users/{bea['id']}")
    after = (await scim.get(path)).json()
    assert ("members" in after, after["meta"]["version"] != before) == (False, True)
    assert (await scim.send("DELETE", path)).status_code == 204
    actions = [
        one["action"]
        for one in await scim.events()
        if one["action"].startswith("scim.group") and one["outcome"] == "success"
    ]
    assert actions == [
        "scim.group.create",
        "scim.group.member.add",
        "scim.group.update",
        "scim.group.member.remove",
        "scim.group.delete",
    ]


async def test_what_describes_the_service(scim):
    config = (await scim.get("/ServiceProviderConfig")).json()
    assert config["patch"] == config["etag"] == {"supported": True}
    assert config["bulk"] == {"supported": True, "maxOperations": 100, "maxPayloadSize": 1_000_000}
    assert GATE not in config
    asked = (await scim.get("/ServiceProviderConfig", attributes=GATE)).json()
    assert asked[GATE]["seats"] == {
        "limit": 5,
        "used": 1,
        "reserved": 0,
    }
    schemas = (await scim.get("/Schemas")).json()["Resources"]
    for one in [*schemas, *(await scim.get("/ResourceTypes")).json()["Resources"]]:
        assert (await scim.get(one["meta"]["location"].partition("/scim/v2")[2])).json() == one
    assert (await scim.get("/Schemas/urn:nothing")).status_code == 404
    assert (await scim.get("/Schemas", filter='id eq "x"')).status_code == 403


async def test_what_is_not_there(scim):
    assert [(await scim.get(path)).status_code for path in ("/nothing", "/Me", "", "/Users/x/y")] == [
        404,
        501,
        501,
        404,
    ]
    assert (await scim.get("/Bulk")).status_code == 405
    wrong = await scim.send("DELETE", "/Users")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")
    assert wrong.json()["schemas"] == [ERROR]


async def test_a_search_by_post_finds_the_same(scim):
    body = {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": 'userName sw "owner"',
        "attributes": ["userName"],
        "count": 5,
    }
    found = (await scim.send("POST", "/Users/.search", body)).json()
    assert [set(one) for one in found["Resources"]] == [{"schemas", "id", "userName"}]
    async with client_of(scim.gate, scim.organization, Scope.SCIM_READ) as reader:
        assert (await reader.send("POST", "/Users/.search", body)).status_code == 200


async def test_the_dialect_recorder_remembers_names_and_is_bounded(scim):
    await scim.created(shoeSize="secret", **{"urn:example:ext": {"a": 1}})
    config = (await scim.get("/ServiceProviderConfig", attributes=GATE)).json()
    assert config[GATE]["ignored"] == [
        {"name": "shoeSize", "times": 1},
        {"name": "urn:example:ext", "times": 1},
    ]
    recorder = Recorder(scim.gate.runtime.redis, scim.organization.id, "tok_x")
    await recorder.record([f"word{n}" for n in range(300)])
    heard = await recorder.heard()
    assert (len(heard), sum(heard.values()), heard["…"]) == (MAX_NAMES + 1, 300, 200)


async def test_strict_mode(scim):
    assert "interopProfileConformant" not in (await scim.get("/ServiceProviderConfig")).json()
    await strict(scim)
    assert (await scim.get("/ServiceProviderConfig")).json()["interopProfileConformant"] is True
    user = await scim.created("ana")
    path = f"/Users/{user['id']}"
    assert (await scim.patch(path, {"op": "replace", "value": {"active": False}})).status_code == 400
    assert (await scim.create(nothing="x")).status_code == 400
    assert (await scim.patch(path, {"op": "replace", "path": "active", "value": False})).json()["active"] is False


async def test_the_use_of_a_token_is_noted(scim):
    await scim.get("/Users")
    listed = await scim.gate.runtime.database.read(lambda tx: tokens.of_organization(tx, scim.organization.id))
    assert listed[0].last_used is not None
    assert (await make_token(scim.gate.runtime, scim.organization.id, Scope.SCIM)).startswith("sgt_")


async def test_what_cannot_be_an_id_is_nowhere(scim):
    for path in ["/Users/%00", "/Users/" + "x" * 500, "/Groups/%00", "/Users/%F0%9F%98%80", "/Schemas/%00"]:
        assert (await scim.get(path)).status_code == 404


async def test_what_no_database_takes_is_no_filter(scim):
    for text in ['userName eq "\\u0000"', 'externalId eq "\\ud800"', 'id eq "a\\u0000"']:
        assert (await scim.get("/Users", filter=text)).status_code == 400


async def test_names_that_grow_when_they_are_compared_fit_or_are_refused(scim):
    for more in [{"userName": "\u00df" * 200}, {"externalId": "x" * 513}, {"emails": [{"value": "\u00df" * 1024}]}]:
        assert (await scim.create(**more)).status_code in (201, 400)


async def test_a_cursor_that_somebody_made_up_is_refused(scim):
    for words in [["2026"], [1, "a\u0000"], [2**70, "x"], [1, 2], [None, "x"]]:
        await scim.created(active=False)
        page = (await scim.get("/Users", cursor="", count=1)).json()
        opened = json.loads(base64.urlsafe_b64decode(page["nextCursor"] + "=="))
        forged = base64.urlsafe_b64encode(json.dumps([opened[0], *words]).encode()).decode().rstrip("=")
        assert (await scim.get("/Users", cursor=forged)).status_code == 400
