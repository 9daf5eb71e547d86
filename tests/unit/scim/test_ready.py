"""The questions that are asked all day have statements of their own: their answers are those of any other statement."""

from __future__ import annotations

import json

from tests.support.gates import make_organization
from tests.unit.scim.client import PATCH, SEAT, USER, Client, client_of


async def found(scim: Client, path: str, **asked: object) -> tuple[int, list[str]]:
    """Return the total and the ids of one page."""
    page = (await scim.get(path, **asked)).json()
    return page["totalResults"], [one["id"] for one in page["Resources"]]


async def test_a_name_finds_what_the_same_question_in_other_words_finds(scim: Client):
    ana = await scim.created("ana", active=False, externalId="E-1")
    await scim.created("bea", active=False, externalId="E-2")
    for alone in (f'userName eq "{ana["userName"].upper()}"', 'externalId eq "E-1"', f'id eq "{ana["id"]}"'):
        otherwise = f'({alone}) and (userName sw "ana")'
        assert await found(scim, "/Users", filter=alone) == (1, [ana["id"]])
        assert await found(scim, "/Users", filter=alone) == await found(scim, "/Users", filter=otherwise)
        assert await found(scim, "/Users", filter=alone, count=0) == (1, [])
        assert await found(scim, "/Users", filter=alone, startIndex=2) == (1, [])


async def test_a_name_that_several_have_comes_in_pages(scim: Client):
    same = [(await scim.created(active=False, externalId="twin"))["id"] for _ in range(3)]
    asked = {"filter": 'externalId eq "twin"', "count": 2}
    assert await found(scim, "/Users", **asked) == (3, same[:2])
    assert await found(scim, "/Users", **asked, startIndex=3) == (3, same[2:])
    assert await found(scim, "/Users", filter='externalId eq "twin"', sortOrder="descending") == (3, same[::-1])


async def test_groups_are_found_and_paged_alike(scim: Client):
    groups = [(await scim.group(name))["id"] for name in ("One", "Two", "Three")]
    assert await found(scim, "/Groups", filter='displayName eq "tWo"') == (1, groups[1:2])
    assert await found(scim, "/Groups", filter=f'id eq "{groups[2]}"') == (1, groups[2:])
    seen, cursor = [], ""
    for _ in groups:
        page = (await scim.get("/Groups", cursor=cursor, count=1)).json()
        seen += [one["id"] for one in page["Resources"]]
        cursor = page.get("nextCursor", "")
    assert (seen, cursor) == (groups, "")


async def test_a_name_of_another_organization_finds_nobody(scim: Client):
    async with client_of(scim.gate, await make_organization(scim.gate.runtime)) as other:
        theirs = await other.created("ana", active=False, externalId="E-1")
    for alone in (f'userName eq "{theirs["userName"]}"', 'externalId eq "E-1"', f'id eq "{theirs["id"]}"'):
        assert await found(scim, "/Users", filter=alone) == (0, [])


async def test_who_is_looked_up_by_an_address_is_found_by_the_newest_alone(scim: Client):
    user = await scim.created("ana", active=False, emails=[{"value": "one@x.example", "type": "work"}])
    path = f"/Users/{user['id']}"
    by = 'emails[type eq "work"].value eq "{}"'.format
    await scim.patch(path, {"op": "replace", "path": "title", "value": "CTO"})
    assert await found(scim, "/Users", filter=by("one@x.example")) == (1, [user["id"]])
    await scim.patch(path, {"op": "replace", "path": 'emails[type eq "work"].value', "value": "two@x.example"})
    assert await found(scim, "/Users", filter=by("one@x.example")) == (0, [])
    assert await found(scim, "/Users", filter=by("two@x.example")) == (1, [user["id"]])


async def test_half_characters_are_refused_wherever_they_would_be_told_back(scim: Client):
    group = await scim.group("One")
    half = '"\\ud800"'
    bodies = {
        f"/Groups/{group['id']}": {
            "schemas": [PATCH],
            "Operations": [{"op": "add", "path": "members.HALF", "value": 1}],
        },
        "/Bulk": {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],
            "Operations": [{"method": "POST", "path": "/Users", "bulkId": "HALF", "data": {"userName": "bulkId:HALF"}}],
        },
    }
    for path, body in bodies.items():
        method = "POST" if path == "/Bulk" else "PATCH"
        text = json.dumps(body).replace("HALF", half.strip('"'))
        headers = {"content-type": "application/scim+json"}
        answer = await scim.http.request(method, f"/scim/v2{path}", content=text, headers=headers)
        assert answer.status_code == 400, answer.text


async def test_a_user_reads_alike_wherever_they_are_shown(scim: Client):
    tricky = 'A "quoted" \\ name, é\u2028 and "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{}'
    made = await scim.created("ana", active=False, externalId='E-"1"', title=tricky, name={"familyName": tricky})
    assert made["schemas"] == [USER, SEAT]
    assert (made["title"], made["externalId"], made["name"]) == (tricky, 'E-"1"', {"familyName": tricky})
    group = await scim.group('The "quoted" \\ é', made["id"])
    alone = (await scim.get(f"/Users/{made['id']}")).json()
    assert alone == {**made, "groups": [{"value": group["id"], "display": group["displayName"], "type": "direct"}]}
    assert (await scim.get("/Users", filter=f'id eq "{made["id"]}"')).json()["Resources"] == [alone]
    assert alone in (await scim.get("/Users")).json()["Resources"]
    everything = ",".join(name for name in alone if name not in ("schemas", "id"))
    assert (await scim.get(f"/Users/{made['id']}", attributes=everything)).json() == alone
    without = (await scim.get(f"/Users/{made['id']}", excludedAttributes="title,groups")).json()
    assert without == {name: value for name, value in made.items() if name != "title"}


async def test_a_user_of_whom_no_client_has_said_anything_reads_as_they_came(scim: Client):
    [owner] = (await scim.get("/Users")).json()["Resources"]
    mail = [{"value": owner["userName"], "type": "work", "primary": True}]
    assert (owner["displayName"], owner["emails"], owner["active"]) == ("Owner", mail, True)
    assert owner[SEAT] == {"seat": "held"}
    patched = (await scim.patch(f"/Users/{owner['id']}", {"op": "add", "path": "title", "value": "CEO"})).json()
    assert patched["meta"]["version"] != owner["meta"]["version"]
    assert (await scim.get(f"/Users/{owner['id']}")).json() == patched, (
        "what a change answers is what is read behind it"
    )
