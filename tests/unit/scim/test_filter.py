"""The filter: the same answers as another implementation of the RFC, Entra's dialect, and nothing that costs much."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sso_gate.scim.definitions import USERS
from sso_gate.scim.filter import Compare, Element, parse_filter, parse_path
from sso_gate.scim.matching import matches
from sso_gate.scim.rejection import Rejected
from tests.unit.scim.client import ENTERPRISE

DOCUMENTS = [
    {
        "userName": "Ana@acme.example",
        "externalId": "A-1",
        "active": True,
        "phoneNumbers": [{"type": "work", "value": "Ana", "primary": True}, {"type": "home", "value": "bob"}],
        "title": "Vice President",
        "name": {"givenName": "Ana", "familyName": "Souza"},
        "emails": [
            {"type": "work", "value": "ana@acme.example", "primary": True},
            {"type": "home", "value": "ana@home.example"},
        ],
        ENTERPRISE: {"department": "Sales", "manager": {"value": "m-1"}},
    },
    {"userName": "bob", "active": False, "emails": [{"type": "home", "value": "bob@home.example", "primary": False}]},
    {"userName": "zoë", "externalId": "a-1", "active": True, "phoneNumbers": [{"type": "work", "value": "1"}]},
]
# Telephone numbers stand for every list: the other implementation refuses addresses that are none.
ATTRIBUTES = [
    "userName",
    "USERNAME",
    "externalId",
    "title",
    "name.givenName",
    "phoneNumbers.value",
    "phoneNumbers.type",
    "phoneNumbers",
    f"{ENTERPRISE}:department",
    "urn:ietf:params:scim:schemas:core:2.0:User:userName",
    f"{ENTERPRISE}:manager.value",
]
VALUES = st.sampled_from(
    ["Ana@acme.example", "ana", "A-1", "bob", "zoë", "ZOË", "work", "home", "Sales", "", "1", 'q"uote', "\\"]
)
PARTS = st.sampled_from(["type", "value", "display"])


def _quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _term(attributes):
    operators = st.sampled_from(["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le", "EQ", "Co"])
    compared = st.builds(lambda name, op, value: f"{name} {op} {_quoted(value)}", attributes, operators, VALUES)
    return st.one_of(compared, st.builds("{} pr".format, attributes))


TRUTHS = st.builds(
    "{} {} {}".format,
    st.sampled_from(["active", "phoneNumbers.primary"]),
    st.sampled_from(["eq", "ne"]),
    st.sampled_from(["true", "false"]),
)
CHOSEN = st.builds(
    "phoneNumbers[{}]".format,
    st.recursive(
        _term(PARTS),
        lambda inner: st.one_of(
            st.builds("{} and {}".format, inner, inner),
            st.builds("({} or {})".format, inner, inner),
            st.builds("not ({})".format, inner),
        ),
        max_leaves=3,
    ),
)
FILTERS = st.recursive(
    st.one_of(_term(st.sampled_from(ATTRIBUTES)), TRUTHS, CHOSEN),
    lambda inner: st.one_of(
        st.builds("{} and {}".format, inner, inner),
        st.builds("{} or {}".format, inner, inner),
        st.builds("({})".format, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=6,
)


class Oracle:
    """Another implementation of the RFC, and the people as it reads them; loaded late, which takes it a second."""

    def __init__(self):
        from scim2_models import EnterpriseUser, SCIMException, User
        from scim2_models.path import ScimFilter

        schemas = [User.__schema__, EnterpriseUser.__schema__]
        self.read, self.refusal = ScimFilter[User[EnterpriseUser]], SCIMException
        self.people = [
            (document, User[EnterpriseUser].model_validate({"schemas": schemas, **document})) for document in DOCUMENTS
        ]


@pytest.fixture(scope="module")
def oracle():
    return Oracle()


@given(text=FILTERS)
@settings(max_examples=100, deadline=None)
def test_a_filter_finds_whom_another_implementation_finds(oracle, text):
    ours, theirs = parse_filter(text, USERS), oracle.read(text)
    for document, user in oracle.people:
        assert matches(ours, document) is theirs.match(user), (text, document["userName"])


WORDS = st.sampled_from(
    [
        "userName",
        "phoneNumbers",
        "[",
        "]",
        "(",
        ")",
        "eq",
        "co",
        "pr",
        "and",
        "or",
        "not",
        '"x"',
        "true",
        "1",
        ".value",
        "phoneNumbers.type",
        "null",
        "type",
        ".",
    ]
)


@given(text=st.lists(WORDS, min_size=1, max_size=9).map(" ".join))
@settings(max_examples=150, deadline=None)
@example(text='phoneNumbers[type eq "x"].value eq "x"')
@example(text='userName eq "x" and')
@example(text='not userName eq "x"')
@example(text='phoneNumbers[phoneNumbers[type eq "x"]]')
def test_what_another_implementation_cannot_read_is_never_a_filter_here(oracle, text):
    try:
        oracle.read(text)
    except oracle.refusal:
        with pytest.raises(Rejected) as refused:
            parse_filter(text, USERS)
        assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "userName",
        "userName eq",
        'userName is "x"',
        'nothing eq "x"',
        'userName eq "x',
        "userName eq x",
        'userName eq "\\x"',
        "active gt true",
        'active eq "maybe"',
        "userName eq 5",
        'name eq "x"',
        'name[givenName eq "x"]',
        'meta.created co "2"',
        'urn:example:other:userName eq "x"',
        f'{ENTERPRISE} eq "x"',
        'userName eq "x" userName',
        "\x00",
        'department eq "x"',
        "title gt null",
    ],
)
def test_what_is_no_filter_is_refused(text):
    with pytest.raises(Rejected) as refused:
        parse_filter(text, USERS)
    assert (refused.value.status, refused.value.scim_type) == (400, "invalidFilter")


def test_entra_writes_booleans_as_texts_and_managers_without_their_schema():
    assert [matches(parse_filter('active eq "True"', USERS), one) for one in DOCUMENTS] == [True, False, True]
    for text in ('emails[primary eq "true"].value eq "ana@acme.example"', 'manager eq "m-1"'):
        assert [matches(parse_filter(text, USERS), one) for one in DOCUMENTS] == [True, False, False], text
    with pytest.raises(Rejected):
        parse_filter('manager eq "m-1"', USERS, aliases=False)


def test_entra_matches_people_by_one_kind_of_address():
    found = parse_filter('emails[type eq "work"].value eq "ANA@acme.example"', USERS)
    assert isinstance(found, Element)
    assert [matches(found, one) for one in DOCUMENTS] == [True, False, False]


def test_instants_are_compared_as_instants():
    document = {"meta": {"created": "2026-03-01T09:00:00.000000Z"}}
    assert matches(parse_filter('meta.created eq "2026-03-01T10:00:00+01:00"', USERS), document)
    assert not matches(parse_filter('meta.created gt "2026-03-01T09:00:00Z"', USERS), document)


def test_a_path_names_a_place_elements_of_it_and_a_part_of_each():
    target = parse_path('emails[type eq "work"].value', USERS)
    assert target is not None
    assert (target.place.name, target.part.name, isinstance(target.only, Compare)) == ("emails", "value", True)
    assert parse_path("nothing.here", USERS) is None


@pytest.mark.parametrize(
    "hostile",
    [
        "(" * 5000,
        "(" * 33 + 'userName eq "x"' + ")" * 33,
        " or ".join(['userName eq "x"'] * 65),
        "not (" * 400,
        'userName eq "' + "x" * 3000 + '"',
        "a." * 1000,
        '"' + "\\" * 2000,
    ],
)
def test_hostile_filters_cost_nothing(hostile):
    begun = time.process_time()
    for _ in range(20):
        with pytest.raises(Rejected):
            parse_filter(hostile, USERS)
    assert time.process_time() - begun < 0.5
