"""The organization file as values: unknown keys and wrong values are told with their line."""

import re
import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sso_gate.apply.file import RESERVED, read_file
from sso_gate.apply.places import FileInvalid, line_of
from tests.integration.gate import Organization


def locations(value, place=()):
    """Give every place in parsed TOML."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*place, name)
            yield from locations(inner, (*place, name))
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for at, inner in enumerate(value):
            yield (*place, at)
            yield from locations(inner, (*place, at))


LIBRARY = re.compile("Input should|String should|Field required|Extra inputs|Value error|[\\^]")
KEYS = st.from_regex(r"[a-z][a-z_]{0,6}", fullmatch=True)
TABLES = st.dictionaries(KEYS, st.integers(0, 9), min_size=1, max_size=3)
FILES = st.dictionaries(KEYS, st.one_of(TABLES, st.lists(TABLES, min_size=1, max_size=3)), min_size=1, max_size=4)


def written(file):
    """Return the TOML of the tables, and the line of each place."""
    lines, places = [], {}
    for name, content in file.items():
        for at, table in enumerate(content if isinstance(content, list) else [content]):
            lines.append(f"[[{name}]]" if isinstance(content, list) else f"[{name}]")
            place = (name, at) if isinstance(content, list) else (name,)
            places[place] = len(lines)
            for key, value in table.items():
                lines.append(f"{key} = {value}")
                places[(*place, key)] = len(lines)
            lines.append("# a comment")
    return "\n".join(lines), places


@given(FILES)
@settings(max_examples=30, deadline=None)
def test_every_place_in_a_file_has_the_line_that_says_it(file):
    text, places = written(file)
    assert tomllib.loads(text) == file
    assert {place: line_of(text, place) for place in places} == places


@given(FILES, KEYS)
@settings(max_examples=30, deadline=None)
def test_a_key_that_is_missing_has_the_line_of_its_table(file, key):
    text, places = written(file)
    for place, line in places.items():
        is_table = (*place[:-1], place[-1]) in places and isinstance(place[-1], int)
        if is_table and (*place, key) not in places:
            assert line_of(text, (*place, key)) == line


def test_tables_below_a_list_are_found():
    text = Organization().text() + '\n[[connections]]\nid = "x"\n[connections.roles]\n"gate owners" = "owner"\n'
    lines = text.splitlines()
    assert lines[line_of(text, ("connections", 0, "roles", "gate owners")) - 1] == '"gate owners" = "owner"'
    assert lines[line_of(text, ("connections", 0, "protocol")) - 1] == "[[connections]]"


def test_the_interfaces_own_example_is_a_good_file(tmp_path):
    organization = Organization()
    organization.add_member("admin", role="admin", grants=["billing_viewer", "auditor"])
    wanted, text = read_file(organization.write(tmp_path))
    assert wanted.organization.slug == organization.slug
    assert [member.email for member in wanted.members] == [organization.owner, organization.email("admin")]
    assert text == organization.text()


@pytest.mark.parametrize("number", range(len(list(locations(tomllib.loads(Organization().text()))))))
def test_a_wrong_type_anywhere_is_told_with_that_line(tmp_path, number):
    organization = Organization()
    text = organization.text()
    place = list(locations(tomllib.loads(text)))[number]
    if not isinstance(place[-1], str) or len(place) == 1 or place[-1] == "tax" or "tax" in place:
        return
    line = line_of(text, place)
    lines = text.splitlines()
    lines[line - 1] = f"{place[-1]} = {{ no = 'such' }}"
    path = organization.write(tmp_path)
    path.write_text("\n".join(lines))
    with pytest.raises(FileInvalid) as caught:
        read_file(path)
    assert any(problem.startswith(f"{path.name}:{line}: ") for problem in caught.value.problems), caught.value.problems
    assert not any(LIBRARY.search(problem) for problem in caught.value.problems), caught.value.problems


@pytest.mark.parametrize(
    "email",
    ["", "ana", "@acme.example", "ana@", "ana@acme", "a na@acme.example", "ana@b@acme.example", "ana\t@x.example"],
)
def test_what_is_no_address_is_refused(tmp_path, email):
    organization = Organization(members=[f"\n[[members]]\nemail = '{email}'\nrole = 'user'\n"])
    with pytest.raises(FileInvalid) as caught:
        read_file(organization.write(tmp_path))
    assert any("members.0.email" in problem for problem in caught.value.problems)


OIDC = 'id = "x"\nprotocol = "oidc"\nissuer = "https://x.example"\nclient_id = "c"\nclient_secret = "s"\n'
TWICE = f"[[connections]]\n{OIDC}\n[[connections]]\n{OIDC}"
MAPPED = f'[[connections]]\n{OIDC}[connections.roles]\n"staff" = "user"\n"the.boss: all" = "primary_owner"\n'


@pytest.mark.parametrize(
    ("more", "at", "said"),
    [
        (
            '[[members]]\nemail = "b@{domain}"\nrole = "primary_owner" #',
            "role = ",
            "exactly one primary_owner is needed",
        ),
        ('[[members]]\nemail = "OWNER@{domain}" #', "email = ", "owner@{domain} is listed twice"),
        ('[[members]]\nemail = "b@{domain}"\nconnection = "y" #', "connection = ", "there is no connection y"),
        ('[[members]]\nemail = "b@other.example" #', "email = ", "other.example is none of organization.domains"),
        (TWICE, 'id = "x"', "x is used twice"),
        (MAPPED, '"the.boss: all"', "primary_owner can never be mapped"),
        (f"[[connections]] #\n{OIDC.replace('client_id', 'name')}", "[[connections]] #", "issuer and client_id"),
        (OIDC.replace('id = "x"', '[[connections]]\nid = "help"'), 'id = "help"', "/login/help is a page"),
        ("[scim]\nwhen_ful = 1", "when_ful", "scim.when_ful: is not known here"),
        ('[[members]]\nemail = "b@{domain}"\ngrants = ["king"]', "grants", "expected 'billing_viewer' or 'auditor'"),
    ],
    ids=[
        "a second primary owner",
        "a member twice",
        "no such connection",
        "a foreign domain",
        "a connection twice",
        "maps a primary owner",
        "no client",
        "a reserved id",
        "an unknown key",
        "an unknown grant",
    ],
)
def test_what_contradicts_itself_is_told_with_the_line_of_the_wrong_thing(tmp_path, more, at, said):
    organization = Organization()
    more = "\n" + more.replace("{domain}", organization.domain)
    before = organization.text()
    line = (before + more[: more.rindex(at)]).count("\n") + 1
    organization.more = more
    path = organization.write(tmp_path)
    with pytest.raises(FileInvalid) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path.name}:{line}: "), problem
    assert said.replace("{domain}", organization.domain) in problem


def test_a_file_without_a_primary_owner_is_told_with_the_line_of_its_first_member(tmp_path):
    organization = Organization()
    organization.members[0] = organization.members[0].replace("primary_owner", "owner")
    line = organization.text().splitlines().index("[[members]]") + 1
    with pytest.raises(FileInvalid, match=rf"^acme-\d+\.toml:{line}: members: exactly one primary_owner"):
        read_file(organization.write(tmp_path))


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[organization]\n\nslug = "acme\nname = "x"', 3, "a text in quotes is not closed"),
        ("[organization]\nslug", 2, "expected '='"),
        ("[organization]\ndomains = [\n'a.example',\n", 3, "invalid value"),
        ("[organization]\n[organization]\n", 2, "cannot declare"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path, text, line, said):
    path = tmp_path / "file.toml"
    path.write_text(text)
    with pytest.raises(FileInvalid) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert problem.startswith(f"file.toml:{line}: not TOML: {said}"), problem
    assert "column" not in problem


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('slug = "{slug}"', 'slug = "Not A Slug"', "organization.slug: expected 1 to 64 lower-case letters"),
        ('currency = "USD"', 'currency = "usd"', "contract.currency: expected the three capital letters"),
        ('unit_price = "20.00"', 'unit_price = "-1"', "contract.unit_price: expected at least 0"),
        ('unit_price = "20.00"', 'unit_price = "x"', "contract.unit_price: expected a number"),
        ("payment_days = 30", "payment_days = 400", "contract.payment_days: expected at most 365"),
        ("auto_renew = true", 'auto_renew = "si"', "contract.auto_renew: expected true or false"),
        ("anchor_date = 2026-01-01", 'anchor_date = "soon"', "contract.anchor_date: expected a date without quotes"),
        ('locale = "pt-BR"', 'locale = "tlh"', "organization.locale: expected 'en', 'pt-BR' or 'es'"),
        ('name = "Example GmbH"', 'name = ""', "seller.name: must not be empty"),
        ('name = "Example GmbH"', "", "seller.name: is missing"),
        ("seats = 5", "seats = 5.5", "contract.seats: expected a whole number"),
        ('email = "owner@{slug}.example"', f'email = "{"o" * 320}@a.example"', "email: is longer than 320"),
        ('role = "primary_owner"', 'role = "king"', "role: expected 'user', 'admin', 'owner' or 'primary_owner'"),
    ],
)
def test_a_wrong_value_is_told_in_plain_words(tmp_path, old, new, said):
    organization = Organization()
    old = old.replace("{slug}", organization.slug)
    assert organization.text().count(old) == 1
    path = organization.write(tmp_path)
    path.write_text(organization.text().replace(old, new))
    with pytest.raises(FileInvalid) as caught:
        read_file(path)
    (problem,) = caught.value.problems
    assert said in problem
    assert not LIBRARY.search(problem)


def test_pages_of_the_login_cannot_be_connections():
    from sso_gate.login.routes import login_routes

    pages = {route.path.removeprefix("/login/") for route in login_routes() if route.path.startswith("/login/")}
    assert {page for page in pages if "/" not in page and "{" not in page} == RESERVED


def test_problems_are_told_all_at_once(tmp_path):
    organization = Organization()
    path = organization.write(tmp_path)
    path.write_text(
        organization.text().replace('"USD"', '"usd"').replace('"pt-BR"', '"pt"').replace("seats = 5", "seats = -1")
    )
    with pytest.raises(FileInvalid) as caught:
        read_file(path)
    assert len(caught.value.problems) == 3
