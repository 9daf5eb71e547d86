"""The organization file as values: unknown keys and wrong values are told with their line."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.apply.file import RESERVED, FileInvalid, line_of, read_file
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
def test_every_place_in_a_file_has_the_line_that_says_it(file):
    text, places = written(file)
    assert tomllib.loads(text) == file
    assert {place: line_of(text, place) for place in places} == places


@given(FILES, KEYS)
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


@pytest.mark.parametrize(
    "email",
    ["", "ana", "@acme.example", "ana@", "ana@acme", "a na@acme.example", "ana@b@acme.example", "ana\t@x.example"],
)
def test_what_is_no_address_is_refused(tmp_path, email):
    organization = Organization(members=[f"\n[[members]]\nemail = '{email}'\nrole = 'user'\n"])
    with pytest.raises(FileInvalid) as caught:
        read_file(organization.write(tmp_path))
    assert any("members.0.email" in problem for problem in caught.value.problems)


def test_a_person_is_listed_once_whatever_the_case(tmp_path):
    organization = Organization()
    organization.add_member("OWNER")
    with pytest.raises(FileInvalid, match="listed twice"):
        read_file(organization.write(tmp_path))


def test_a_member_cannot_be_restricted_to_a_connection_that_is_not_there(tmp_path):
    organization = Organization()
    organization.add_member("bea", connection="nowhere")
    with pytest.raises(FileInvalid, match="no such connection: nowhere"):
        read_file(organization.write(tmp_path))


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
