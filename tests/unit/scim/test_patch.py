"""PATCH in every dialect: one function from a document and operations to a document."""

from __future__ import annotations

import copy

import pytest

from sso_gate.scim.definitions import GROUPS, USERS
from sso_gate.scim.links import read_links
from sso_gate.scim.patch import apply_patch, read_operations
from sso_gate.scim.rejection import Rejected
from sso_gate.scim.values import Dialect
from tests.unit.scim.client import ENTERPRISE, PATCH

ANA = {
    "userName": "ana@acme.example",
    "active": True,
    "name": {"givenName": "Ana", "familyName": "Souza"},
    "emails": [{"type": "work", "value": "ana@acme.example", "primary": True}],
    ENTERPRISE: {"department": "Sales"},
}


def patched(*operations, document=ANA, strict=False):
    dialect = Dialect(strict=strict)
    before = copy.deepcopy(document)
    after = apply_patch(
        USERS, document, read_operations({"schemas": [PATCH], "Operations": list(operations)}, dialect), dialect
    )
    assert document == before, "what was given is not changed"
    return after, dialect


def changed(*operations, **options):
    after, _ = patched(*operations, **options)
    return {name: after.get(name) for name in {*ANA, *after} if after.get(name) != ANA.get(name)}


def refused(*operations, **options):
    with pytest.raises(Rejected) as rejected:
        patched(*operations, **options)
    return rejected.value.status, rejected.value.scim_type


@pytest.mark.parametrize("word", ["Replace", "Add", "replace", "add"])
@pytest.mark.parametrize("value", ["False", "false", False, [{"$ref": None, "value": "False"}], {"value": "False"}])
def test_every_way_in_which_entra_deactivates(word, value):
    assert changed({"op": word, "path": "active", "value": value}) == {"active": False}


def test_the_ways_in_which_okta_deactivates():
    assert changed({"op": "replace", "value": {"active": False}}) == {"active": False}


def test_paths_with_the_schema_in_front_and_any_letter_case():
    core = "urn:ietf:params:scim:schemas:core:2.0:User:"
    assert changed({"op": "replace", "path": core + "Active", "value": False}) == {"active": False}
    assert changed({"op": "Add", "path": ENTERPRISE + ":department", "value": "IT"})[ENTERPRISE] == {"department": "IT"}
    assert changed({"op": "Add", "path": ENTERPRISE + ":manager", "value": "m-1"})[ENTERPRISE]["manager"] == {
        "value": "m-1"
    }
    assert changed({"op": "Add", "path": "manager", "value": "m-1"})[ENTERPRISE]["manager"] == {"value": "m-1"}


def test_entra_expects_an_address_to_be_made_where_there_is_none():
    operation = {"op": "Add", "path": 'phoneNumbers[type eq "mobile"].value', "value": "+49 1"}
    assert changed(operation) == {"phoneNumbers": [{"type": "mobile", "value": "+49 1"}]}
    assert refused(operation, strict=True) == (400, "invalidSyntax") or refused(
        {**operation, "op": "add"}, strict=True
    ) == (400, "noTarget")
    assert refused({**operation, "op": "add", "path": 'phoneNumbers[type ne "mobile"].value'}) == (400, "noTarget")


def test_an_address_is_replaced_where_it_is():
    operation = {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "anna@acme.example"}
    assert changed(operation) == {"emails": [{"type": "work", "value": "anna@acme.example", "primary": True}]}
    whole = {"op": "replace", "path": 'emails[type eq "work"]', "value": {"value": "x@acme.example"}}
    assert changed(whole) == {"emails": [{"type": "work", "value": "x@acme.example"}]}


def test_full_paths_as_keys_of_a_value_without_a_path():
    value = {
        "name.givenName": "Anna",
        f"{ENTERPRISE}:department": "IT",
        'emails[type eq "home"].value': "a@home.example",
        "id": "x",
        "schemas": [],
    }
    after, _ = patched({"op": "replace", "value": value})
    assert (after["name"], after[ENTERPRISE]) == ({"givenName": "Anna", "familyName": "Souza"}, {"department": "IT"})
    assert after["emails"][1] == {"type": "home", "value": "a@home.example"}
    assert changed({"op": "replace", "value": {ENTERPRISE: {"department": "IT"}}}) == {ENTERPRISE: {"department": "IT"}}


def test_a_complex_value_is_merged_and_a_list_is_replaced():
    assert changed({"op": "replace", "path": "name", "value": {"givenName": "Anna"}}) == {
        "name": {"givenName": "Anna", "familyName": "Souza"}
    }
    assert changed({"op": "replace", "path": "emails", "value": [{"value": "x"}]}) == {"emails": [{"value": "x"}]}


def test_adding_what_is_there_changes_nothing_and_a_new_primary_value_is_the_only_one():
    assert changed({"op": "add", "path": "emails", "value": [{"type": "work", "value": "ana@acme.example"}]}) in (
        {},
        {"emails": [{"type": "work", "value": "ana@acme.example"}]},
    )
    after, _ = patched(
        {"op": "add", "path": "emails", "value": {"type": "home", "value": "a@home.example", "primary": "True"}}
    )
    assert [one["primary"] for one in after["emails"]] == [False, True]


def test_removing():
    assert changed({"op": "remove", "path": "name"}) == {"name": None}
    assert changed({"op": "remove", "path": "name.givenName"}) == {"name": {"familyName": "Souza"}}
    assert changed({"op": "Remove", "path": 'emails[type eq "work"]'}) == {"emails": None}
    assert changed({"op": "Remove", "path": "emails", "value": [{"value": "ANA@acme.example"}]}) == {"emails": None}
    assert changed({"op": "remove", "path": 'emails[type eq "home"]'}) == {}
    assert changed({"op": "remove", "path": ENTERPRISE}) == {ENTERPRISE: None}
    assert changed({"op": "remove", "path": f"{ENTERPRISE}:department"}) == {ENTERPRISE: None}
    assert changed({"op": "replace", "path": "name", "value": None}) == {"name": None}


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ({"op": "remove"}, (400, "noTarget")),
        ({"op": "remove", "path": "active"}, (400, "mutability")),
        ({"op": "replace", "path": "id", "value": "x"}, (400, "mutability")),
        ({"op": "replace", "path": "groups", "value": []}, (400, "mutability")),
        ({"op": "replace", "path": "meta.created", "value": "x"}, (400, "mutability")),
        ({"op": "replace", "path": "active", "value": "no"}, (400, "invalidValue")),
        ({"op": "replace", "path": "active", "value": 0}, (400, "invalidValue")),
        ({"op": "replace", "path": "title", "value": {"a": 1}}, (400, "invalidValue")),
        ({"op": "replace", "path": "title", "value": "x" * 1025}, (400, "invalidValue")),
        ({"op": "replace", "path": "title", "value": "a\0b"}, (400, "invalidValue")),
        ({"op": "replace", "path": "emails[", "value": "x"}, (400, "invalidPath")),
        ({"op": "replace", "path": 'title[value eq "x"]', "value": "x"}, (400, "invalidPath")),
        ({"op": "replace", "path": 'emails[nothing eq "x"].value', "value": "x"}, (400, "invalidPath")),
        ({"op": "replace", "path": "urn:example:2.0:User:active", "value": False}, (400, "invalidPath")),
        ({"op": "replace", "value": {"urn:example:active": False}}, (400, "invalidPath")),
        ({"op": "move", "path": "title", "value": "x"}, (400, "invalidSyntax")),
        ({"op": "replace", "value": "x"}, (400, "invalidValue")),
        ({"op": "replace", "path": 5, "value": "x"}, (400, "invalidPath")),
        ({"op": "add", "path": "emails", "value": [{"value": str(n)} for n in range(201)]}, (400, "invalidValue")),
    ],
)
def test_what_cannot_be_done_is_refused(operation, answer):
    assert refused(operation) == answer


def test_unknown_attributes_are_ignored_and_remembered_by_name_alone():
    after, dialect = patched({"op": "replace", "value": {"urn:example:ext:shoeSize": "secret", "title": "CTO"}})
    assert (after["title"], dialect.ignored) == ("CTO", {"urn:example:ext:shoeSize"})
    many, dialect = patched(*({"op": "replace", "path": f"word{n}", "value": 1} for n in range(50)))
    assert (many, len(dialect.ignored)) == (ANA, 20)


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "replace", "value": {"title": "x"}},
        {"op": "Replace", "path": "title", "value": "x"},
        {"op": "replace", "path": "nothing", "value": "x"},
        {"op": "replace", "path": "title", "value": [{"value": "x"}]},
        {"op": "remove", "path": 'emails[type eq "home"]'},
        {"op": "add", "path": "emails", "value": {"type": "nonsense", "value": "x"}},
    ],
)
def test_strict_mode_refuses_what_compatible_mode_understands(operation):
    patched(operation)
    assert refused(operation, strict=True)[0] == 400


def test_more_operations_than_a_thousand_are_refused():
    assert refused(*({"op": "add", "path": "title", "value": "x"} for _ in range(1001))) == (400, "tooMany")


def links(*operations):
    dialect = Dialect()
    found, others = read_links(read_operations({"schemas": [PATCH], "Operations": list(operations)}, dialect), dialect)
    return found.cleared, found.added, found.removed, others


def test_the_ways_in_which_members_come_and_go():
    assert links({"op": "Add", "path": "members", "value": [{"$ref": None, "value": "a"}]}) == (False, {"a"}, set(), [])
    assert links({"op": "add", "value": {"members": [{"value": "a", "display": "A"}]}}) == (False, {"a"}, set(), [])
    for path, value in (
        ('members[value eq "a"]', None),
        ("members", [{"$ref": None, "value": "a"}]),
        ("members", {"value": "a"}),
    ):
        assert links({"op": "Remove", "path": path, "value": value}) == (False, set(), {"a"}, [])
    several = 'members[value eq "a" or value eq "b"]'
    assert links({"op": "remove", "path": several}) == (False, set(), {"a", "b"}, [])
    assert links({"op": "replace", "path": "members", "value": [{"value": "a"}]}) == (True, {"a"}, set(), [])
    assert links({"op": "remove", "path": "members"}) == (True, set(), set(), [])
    assert links({"op": "remove", "path": "members", "value": None}) == (True, set(), set(), [])
    assert links({"op": "remove", "path": "members", "value": []}) == (False, set(), set(), []), "nobody is named"
    urn = "urn:ietf:params:scim:schemas:core:2.0:Group:members"
    assert links(
        {"op": "add", "path": urn, "value": [{"value": "a"}]}, {"op": "remove", "path": f'{urn}[value eq "a"]'}
    ) == (False, set(), {"a"}, [])


def test_a_name_beside_the_members_is_left_for_the_patch():
    _, added, _, others = links(
        {"op": "replace", "value": {"id": "x", "displayName": "Eng", "members": [{"value": "a"}]}}
    )
    assert (added, apply_patch(GROUPS, {"displayName": "x"}, others, Dialect())) == ({"a"}, {"displayName": "Eng"})


@pytest.mark.parametrize(
    "path", ['members[display eq "x"]', 'members[value co "x"]', 'members[value eq "x" and type eq "User"]']
)
def test_members_are_chosen_by_value_alone(path):
    with pytest.raises(Rejected):
        links({"op": "remove", "path": path})


def test_groups_in_groups_are_refused():
    with pytest.raises(Rejected):
        links({"op": "add", "path": "members", "value": [{"value": "g", "type": "Group"}]})
