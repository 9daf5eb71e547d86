"""What Entra ID and Okta send, word for word from their documentation, in the order in which they send it."""

from __future__ import annotations

from tests.unit.scim.client import ENTERPRISE, GROUP, PATCH, USER


def entra_user(name):
    return {
        "schemas": [USER, ENTERPRISE],
        "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": name,
        "active": True,
        "emails": [{"primary": True, "type": "work", "value": "Test_User_fd0ea19b@testuser.com"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"},
        "roles": [],
    }


async def test_the_life_of_a_user_as_entra_documents_it(scim):
    name = "Test_User_ab6490ee-1e48-479e-a20b-2d77186b5dd1"
    missing = await scim.get("/Users", filter=f'userName eq "{name}"')
    assert (missing.status_code, missing.json()["totalResults"], missing.json()["Resources"]) == (200, 0, [])
    made = await scim.send("POST", "/Users", entra_user(name), content_type="application/scim+json; charset=utf-8")
    assert made.status_code == 201
    user = made.json()
    path = f"/Users/{user['id']}"
    assert user["meta"]["location"].endswith(path)
    assert (await scim.get("/Users", filter=f'userName eq "{name}"')).json()["Resources"] == [user]
    updated = await scim.send(
        "PATCH",
        path,
        {
            "schemas": [PATCH],
            "Operations": [
                {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "updatedEmail@microsoft.com"},
                {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
            ],
        },
    )
    assert updated.status_code == 200
    assert updated.json()["emails"][0]["value"] == "updatedEmail@microsoft.com"
    assert updated.json()["name"]["familyName"] == "updatedFamilyName"
    renamed = {"op": "Replace", "path": "userName", "value": "5b50642d-79fc-4410-9e90-4c077cdd1a59@testuser.com"}
    assert (await scim.patch(path, renamed)).json()["userName"] == renamed["value"]
    disabled = await scim.send(
        "PATCH", path, {"Operations": [{"op": "Replace", "path": "active", "value": False}], "schemas": [PATCH]}
    )
    assert (disabled.status_code, disabled.json()["active"]) == (200, False)
    old = await scim.patch(path, {"op": "Replace", "path": "active", "value": "True"})
    assert old.json()["active"] is True
    assert (await scim.send("DELETE", path)).status_code == 204
    assert (await scim.get(path)).status_code == 404


async def test_the_attributes_that_entra_adds_with_the_schema_in_the_path(scim):
    user = (await scim.send("POST", "/Users", entra_user("bjensen@testuser.com"))).json()
    body = {
        "schemas": [PATCH],
        "Operations": [
            {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "IT"},
            {"op": "Add", "path": f"{ENTERPRISE}:manager", "value": "mem_manager"},
            {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+1 555"},
            {"op": "Add", "path": 'addresses[type eq "work"].formatted', "value": "Street 1"},
            {"op": "Add", "path": 'roles[primary eq "True"].value', "value": "admin"},
            {"op": "Replace", "path": "urn:ietf:params:scim:schemas:extension:custom:2.0:User:shoeSize", "value": "42"},
        ],
    }
    found = (await scim.send("PATCH", f"/Users/{user['id']}", body)).json()
    assert found[ENTERPRISE] == {"department": "IT", "manager": {"value": "mem_manager"}}
    assert found["phoneNumbers"] == [{"type": "mobile", "value": "+1 555"}]
    assert found["addresses"] == [{"type": "work", "formatted": "Street 1"}]
    assert found["roles"] == [{"primary": True, "value": "admin"}]


async def test_the_life_of_a_group_as_entra_documents_it(scim):
    user = await scim.created()
    body = {
        "schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159",
        "displayName": "displayName",
        "meta": {"resourceType": "Group"},
    }
    made = await scim.send("POST", "/Groups", body)
    assert made.status_code == 201
    path = f"/Groups/{made.json()['id']}"
    read = await scim.get(path, excludedAttributes="members")
    assert read.json() == made.json()
    found = await scim.get("/Groups", excludedAttributes="members", filter='displayName eq "displayName"')
    assert found.json()["Resources"] == [made.json()]
    rename = {
        "schemas": [PATCH],
        "Operations": [{"op": "Replace", "path": "displayName", "value": "1879db59displayName"}],
    }
    assert (await scim.send("PATCH", path, rename)).status_code == 204
    member = [{"$ref": None, "value": user["id"]}]
    for word, count in (("Add", 1), ("Remove", 0)):
        change = {"schemas": [PATCH], "Operations": [{"op": word, "path": "members", "value": member}]}
        assert (await scim.send("PATCH", path, change)).status_code == 204
        assert len((await scim.get(path)).json().get("members", [])) == count
    assert (await scim.send("DELETE", path)).status_code == 204


async def test_the_life_of_a_user_as_okta_documents_it(scim):
    name = "test.user@okta.local"
    missing = (await scim.get("/Users", filter=f'userName eq "{name}"', startIndex=1, count=100)).json()
    assert (missing["totalResults"], missing["startIndex"], missing["Resources"]) == (0, 1, [])
    made = await scim.send(
        "POST",
        "/Users",
        {
            "schemas": [USER],
            "userName": name,
            "name": {"givenName": "Test", "familyName": "User"},
            "emails": [{"primary": True, "value": name, "type": "work"}],
            "displayName": "Test User",
            "locale": "en-US",
            "externalId": "00ujl29u0le5T6Aj10h7",
            "groups": [],
            "password": "1mz050nq",
            "active": True,
        },
    )
    assert made.status_code == 201
    assert "1mz050nq" not in made.text
    user = made.json()
    path = f"/Users/{user['id']}"
    again = await scim.send("POST", "/Users", {"schemas": [USER], "userName": name})
    assert (again.status_code, again.json()["schemas"]) == (409, ["urn:ietf:params:scim:api:messages:2.0:Error"])
    listed = (await scim.get("/Users", startIndex=1, count=2)).json()
    assert user in listed["Resources"]
    whole = {**user, "name": {"givenName": "Another", "middleName": "Excited", "familyName": "User"}, "groups": []}
    put = await scim.send("PUT", path, whole)
    assert (put.status_code, put.json()["name"]["givenName"]) == (200, "Another")
    off = {"schemas": [PATCH], "Operations": [{"op": "replace", "value": {"active": False}}]}
    assert (await scim.send("PATCH", path, off)).json()["active"] is False
    on = await scim.send("PUT", path, {**whole, "active": True})
    assert on.json()["active"] is True
    assert (await scim.send("PUT", path, {**whole, "active": False})).json()["active"] is False
    assert await scim.used() == 1


async def test_the_life_of_a_group_as_okta_documents_it(scim):
    ana, bea = await scim.created("ana"), await scim.created("bea")
    found = await scim.get("/Groups", filter='displayName eq "Test SCIMv2"', startIndex=1, count=100)
    assert found.json()["totalResults"] == 0
    made = (
        await scim.send("POST", "/Groups", {"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []})
    ).json()
    path = f"/Groups/{made['id']}"
    rename = {"op": "replace", "value": {"id": made["id"], "displayName": "Test SCIMv20"}}
    assert (await scim.patch(path, rename)).status_code in (200, 204)
    several = [
        {"op": "remove", "path": f'members[value eq "{bea["id"]}"]'},
        {"op": "add", "path": "members", "value": [{"value": ana["id"], "display": "ana@example.com"}]},
    ]
    assert (await scim.patch(path, *several)).status_code in (200, 204)
    replaced = {"op": "replace", "path": "members", "value": [{"value": bea["id"], "display": "bea@example.com"}]}
    assert (await scim.patch(path, replaced)).status_code in (200, 204)
    read = (await scim.get(path)).json()
    assert (read["displayName"], [one["value"] for one in read["members"]]) == ("Test SCIMv20", [bea["id"]])
    assert (await scim.send("DELETE", path)).status_code == 204


async def test_what_okta_tries_before_it_trusts_a_server(scim):
    """The requests of Okta's SPEC test, in its order."""
    first = (await scim.get("/Users", count="1", startIndex="1")).json()
    assert first["schemas"] == ["urn:ietf:params:scim:api:messages:2.0:ListResponse"]
    assert all(isinstance(first[name], int) for name in ("itemsPerPage", "startIndex", "totalResults"))
    known = first["Resources"][0]
    assert all(known[name] for name in ("id", "userName", "emails", "active"))
    assert (await scim.get(f"/Users/{known['id']}")).json() == known
    nobody = (await scim.get("/Users", filter='userName eq "abcdefgh@atko.com"')).json()
    assert (nobody["totalResults"], nobody["Resources"]) == (0, [])
    missing = await scim.get("/Users/010101001010101011001010101011")
    assert (missing.status_code, missing.json()["schemas"]) == (404, ["urn:ietf:params:scim:api:messages:2.0:Error"])
    assert missing.json()["status"] == "404"
    new = {
        "schemas": [USER],
        "userName": "runscope300zyxw@atko.com",
        "name": {"givenName": "Runscope300", "familyName": "Zyxw"},
        "emails": [{"primary": True, "value": "runscope300zyxw@atko.com", "type": "work"}],
        "displayName": "Runscope300 Zyxw",
        "active": True,
    }
    made = await scim.send("POST", "/Users", new, content_type="application/scim+json; charset=utf-8")
    assert made.status_code == 201
    assert {name: made.json()[name] for name in new if name != "schemas"} == {
        name: value for name, value in new.items() if name != "schemas"
    }
    assert (await scim.get(f"/Users/{made.json()['id']}")).json() == made.json()
    assert (await scim.send("POST", "/Users", new)).status_code == 409
    insensitive = (await scim.get("/Users", filter='userName eq "RUNSCOPE300ZYXW@atko.com"')).json()
    assert insensitive["totalResults"] == 1
    assert (await scim.get("/Groups")).status_code == 200


async def test_what_entra_does_around_its_first_cycle(scim):
    """Its connection test, a second match, `Provision on demand` again, and the deletion of who is gone for 30 days."""
    probe = "c5ed02ea-4c18-4d2c-8f70-9cb8ef2d2b7f"
    group = f'/Groups?excludedAttributes=members&filter=displayName eq "{probe}"'
    for path in (f'/Users?filter=userName+eq+"{probe}"', group):
        tested = await scim.send("GET", path)
        assert (tested.status_code, tested.json()["totalResults"]) == (200, 0)
    user = (await scim.send("POST", "/Users", entra_user("ana@testuser.com"))).json()
    by_both = 'externalId eq "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef" and userName eq "ANA@testuser.com"'
    assert (await scim.get("/Users", filter=by_both)).json()["Resources"] == [user]
    assert (await scim.send("POST", "/Users", entra_user("Ana@testuser.com"))).status_code == 409
    everything = [
        {"op": "Replace", "path": "displayName", "value": "Ana"},
        {"op": "Replace", "path": "active", "value": "True"},
        {"op": "Add", "path": 'emails[type eq "work"].primary', "value": "True"},
        {"op": "Remove", "path": "title"},
    ]
    again = await scim.patch(f"/Users/{user['id']}", *everything)
    assert (again.status_code, again.json()["emails"][0]["primary"], again.json()["displayName"]) == (200, True, "Ana")
    flagged = {"op": "replace", "value": {"displayName": "Anna", f"{ENTERPRISE}:department": "IT", "active": False}}
    soft = (await scim.patch(f"/Users/{user['id']}", flagged)).json()
    assert (soft["displayName"], soft[ENTERPRISE]["department"], soft["active"]) == ("Anna", "IT", False)
    assert (await scim.send("DELETE", f"/Users/{user['id']}")).status_code == 204
