"""The organization file: what applying it does, that a second time does nothing, and what it refuses, by line."""

import pytest

from tests.integration.gate import Api, Organization

OIDC = 'protocol = "oidc"\nissuer = "https://x.example"\nclient_id = "c"\nclient_secret = "s"'
FILES = {"broken.toml": b"[organization", "binary.toml": b"\xff\xfe", "large.toml": b"#" * 1_100_000}


@pytest.fixture(scope="module")
def applied(gate):
    return gate.applied(Organization(seats=3))


@pytest.fixture(scope="module")
def api(gate, applied):
    return Api(gate, gate.token(applied, "seats:read", "billing:read", "members:read", "audit:read"))


def bent(organization, old, new):
    """Return the organization's file with one place changed, and the number of the line of that place."""
    text = organization.text()
    assert text.count(old) == 1, old
    line = text[: text.index(old)].count("\n") + 1
    return text.replace(old, new), line


def apply_text(gate, organization, text, *options):
    path = organization.write(gate.folder)
    path.write_text(text)
    return gate.run("apply", str(path), *options)


def test_applying_opens_the_contract_with_one_invoice_and_seats_the_primary_owner_alone(gate, applied, api):
    assert api.seats() | {"as_of": ""} == {
        "purchased": 3,
        "in_use": 1,
        "reserved": 0,
        "available": 2,
        "waiting": 0,
        "as_of": "",
    }
    invoices = api.get("invoices").json()["data"]
    assert [(invoice["lines"][0]["seats"], invoice["lines"][0]["months"]) for invoice in invoices] == [(3, "12")]
    people = api.get("members").json()["data"]
    assert [(row["email"], row["role"], row["state"]) for row in people] == [(applied.owner, "primary_owner", "held")]


def test_applying_again_changes_nothing(gate, applied, api):
    events = len(api.events())
    ran = gate.apply(applied, "--json")
    assert ran.code == 0
    assert ran.json()["changes"] == []
    assert ran.json()["invoice"] is None
    assert len(api.get("invoices").json()["data"]) == 1
    assert len(api.events()) == events


def test_applying_again_changes_what_differs(gate):
    organization = gate.applied(Organization(seats=1))
    api = Api(gate, gate.token(organization, "members:read", "audit:read"))
    organization.add_member("bea", role="admin", grants=["auditor"])
    only_said = gate.apply(organization, "--dry-run")
    assert only_said.code == 0
    assert organization.email("bea") in only_said.err
    assert len(api.get("members").json()["data"]) == 1
    assert gate.apply(organization).code == 0
    people = {row["email"]: row for row in api.get("members").json()["data"]}
    assert people[organization.email("bea")]["role"] == "admin"
    assert people[organization.email("bea")]["state"] != "held", "seats are taken at the first login"
    organization.members[-1] = organization.members[-1].replace('"admin"', '"owner"')
    assert gate.apply(organization).code == 0
    people = {row["email"]: row for row in api.get("members").json()["data"]}
    assert people[organization.email("bea")]["role"] == "owner"
    assert [event["action"] for event in api.events()].count("organization.apply") == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seats = 3", "seats = 2", "seats"),
        ("seats = 3", "seats = 4", "seats"),
        ("seats = 3", 'seats = "3"', "seats"),
        ('currency = "USD"', 'currency = "dollars"', "currency"),
        ('unit_price = "20.00"', 'unit_price = "-1"', "unit_price"),
        ("anchor_date = 2026-01-01", 'anchor_date = "soon"', "anchor_date"),
        ('timezone = "America/Sao_Paulo"', 'timezone = "Moon/Base"', "timezone"),
        ('locale = "pt-BR"', 'locale = "tlh"', "locale"),
        ('locale = "pt-BR"', 'locale = "pt-BR"\ncolour = "red"', "colour"),
        ('role = "primary_owner"', 'role = "king"', "role"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_line_and_changes_nothing(gate, applied, api, old, new, said):
    text, line = bent(applied, old, new)
    before = api.seats()["purchased"], len(api.events())
    ran = apply_text(gate, applied, text)
    assert ran.code == 1, ran.err
    at = line + (1 if "colour" in new else 0)
    assert f"{applied.slug}.toml:{at}: " in ran.err
    assert said in ran.err
    assert (api.seats()["purchased"], len(api.events())) == before


def test_seats_that_were_bought_stay_when_the_file_is_applied_again(gate, applied):
    organization = gate.applied(Organization(seats=2))
    api = Api(gate, gate.token(organization, "seats:read"))
    assert gate.run("seats", "add", "--add", "3", "--org", organization.slug, "--yes").code == 0
    assert gate.apply(organization).code == 0
    assert api.seats()["purchased"] == 5


def test_two_primary_owners_or_none_are_refused(gate):
    organization = Organization()
    organization.add_member("second", role="primary_owner")
    ran = gate.apply(organization)
    assert ran.code == 1
    assert "exactly one primary_owner" in ran.err
    organization.members.clear()
    assert gate.apply(organization).code == 1


def test_a_domain_belongs_to_one_organization(gate, applied):
    organization = Organization(domains=[applied.domain])
    ran = gate.apply(organization)
    assert ran.code == 1
    assert applied.domain in ran.err
    assert gate.run("seats", "show", "--org", organization.slug).code == 3, "nothing of it is there"


def test_a_connection_of_another_organization_cannot_be_taken(gate, samlp_idp):
    first, second = Organization(), Organization()
    first.add_saml(samlp_idp.metadata_xml, identifier=f"shared-{first.slug}")
    gate.applied(first)
    second.add_saml(samlp_idp.metadata_xml, identifier=f"shared-{first.slug}")
    ran = gate.apply(second)
    assert ran.code == 1
    assert "another organization" in ran.err


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('id = "x"\nprotocol = "saml"', "metadata_file"),
        ('id = "x"\nprotocol = "saml"\nmetadata_file = "nowhere.xml"', "nowhere.xml"),
        ('id = "x"\nprotocol = "oidc"\nissuer = "https://login.example"', "client_id"),
        ('id = "x"\nprotocol = "oidc"\nissuer = "https://login.example"\nclient_id = "c"', "client_secret"),
        (f'id = "help"\n{OIDC}', "/login"),
        (f'id = "Not A Slug"\n{OIDC}', "id"),
        (f'id = "x"\n{OIDC}\n[connections.roles]\n"boss" = "primary_owner"', "primary_owner can never be mapped"),
    ],
    ids=["no source", "missing file", "no client", "no secret", "reserved id", "odd id", "maps a primary owner"],
)
def test_a_connection_that_cannot_work_is_refused(gate, table, said):
    organization = Organization(more=f"\n[[connections]]\n{table}\n")
    ran = gate.apply(organization)
    assert ran.code == 1, ran.err
    assert f"{organization.slug}.toml:" in ran.err
    assert said in ran.err


def test_a_client_secret_is_on_no_output_and_not_in_the_database_in_the_clear(gate):
    secret = "a-very-secret-client-secret-1234567890"
    organization = Organization()
    organization.add_oidc("https://login.example", client_id="c", secret=secret)
    ran = gate.apply(organization, "--json")
    assert ran.code == 0, ran.err
    assert secret not in ran.out + ran.err
    for file in (gate.folder / "var").glob("sso-gate.db*"):
        assert secret.encode() not in file.read_bytes()


def test_a_file_that_is_none_is_refused(gate, tmp_path):
    for name, body in FILES.items():
        (tmp_path / name).write_bytes(body)
        ran = gate.run("apply", str(tmp_path / name))
        assert (ran.code, name in ran.err) == (1, True), ran.err
    assert gate.run("apply", str(tmp_path / "missing.toml")).code == 2
