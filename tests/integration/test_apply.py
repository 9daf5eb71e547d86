"""The organization file: what applying it does, that a second time does nothing, and what it refuses, by line."""

import re

import pytest

from tests.integration.gate import Api, Organization

CLIENT = 'protocol = "oidc"\nissuer = "https://x.example"\nclient_id = "c"'
OIDC = f'{CLIENT}\nclient_secret = "s"'
CHANGED = [
    ('unit_price = "20.00"', 'unit_price = "30.00"'),
    ("minimum_seats = 1", "minimum_seats = 2"),
    ("payment_days = 30", "payment_days = 14"),
    ('rate_percent = "19"', 'rate_percent = "7"'),
    ('purchase_roles = ["owner", "primary_owner"]', 'purchase_roles = ["primary_owner"]'),
    ('name = "Example GmbH"', 'name = "Example AG"'),
    ('timezone = "Europe/Berlin"', 'timezone = "Europe/Zurich"'),
]
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
    events = len(api.deeds())
    ran = gate.apply(applied, "--json")
    assert ran.code == 0
    assert ran.json()["changes"] == []
    assert ran.json()["invoice"] is None
    assert len(api.get("invoices").json()["data"]) == 1
    assert len(api.deeds()) == events


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
    ran = gate.apply(organization)
    assert f'member {organization.email("bea")}: role: "admin" → "owner"\n' == ran.err
    people = {row["email"]: row for row in api.get("members").json()["data"]}
    assert people[organization.email("bea")]["role"] == "owner"
    assert [event["action"] for event in api.events()].count("organization.apply") == 3


def quoted_renewal(gate, organization):
    return gate.run("seats", "quote", "--org", organization.slug, "--add", "1", "--json").json()["renewal"]


def differences(first_day):
    """Return what applying CHANGED says, where the next term begins on this day."""
    tax = '{{"category": "S", "rate_percent": "{}"}}'
    return [
        'contract.purchase_roles: ["owner", "primary_owner"] → ["primary_owner"]',
        f'contract.unit_price: "20.00" → "30.00" from the next term, {first_day}',
        f"contract.minimum_seats: 1 → 2 from the next term, {first_day}",
        "contract.payment_days: 30 → 14 from the next invoice",
        f"contract.tax: [{tax.format('19')}] → [{tax.format('7')}] from the next invoice",
        'seller.name: "Example GmbH" → "Example AG" from the next invoice',
        'seller.timezone: "Europe/Berlin" → "Europe/Zurich" from the next invoice',
    ]


def test_every_difference_of_the_contract_is_told_and_on_record_as_one_event(gate):
    organization = gate.applied(Organization(seats=2))
    api = Api(gate, gate.token(organization, "audit:read"))
    text = organization.text()
    for old, new in CHANGED:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    before = len(api.deeds())
    renewal = quoted_renewal(gate, organization)
    assert renewal["unit_price"] == "20.00"
    said = differences(renewal["period_start"])
    only_said = apply_text(gate, organization, text, "--dry-run", "--json")
    assert only_said.json()["changes"] == said
    assert len(api.deeds()) == before
    ran = apply_text(gate, organization, text)
    assert (ran.code, ran.err.splitlines()) == (0, said)
    *_, event = api.deeds()
    assert (event["action"], event["changes"]["done"]) == ("organization.apply", said)
    assert len(api.deeds()) == before + 1
    assert apply_text(gate, organization, text).err == "nothing to change\n"
    assert quoted_renewal(gate, organization)["unit_price"] == "30.00"


def test_who_buys_is_told_when_the_organization_has_another_name(gate):
    organization = gate.applied(Organization(seats=1))
    name = f"Organization {organization.slug}"
    ran = apply_text(gate, organization, organization.text().replace(name, "Other Ltda."))
    assert ran.err.splitlines() == [
        f'organization.name: "{name}" → "Other Ltda."',
        f'buyer.name: "{name}" → "Other Ltda." from the next invoice',
    ]


def test_the_first_invoice_is_told_with_its_amount_before_it_is_issued_and_when_it_is(gate):
    organization = Organization(seats=100)
    tried = gate.apply(organization, "--dry-run", "--json")
    assert tried.json()["organization"] is None, "nothing was stored"
    ran = gate.apply(organization, "--json")
    issued = ran.json()["invoice"]
    assert tried.json()["invoice"] == issued, "nothing was issued between the two"
    assert issued["gross"] == {"amount": 2_856_000, "currency": "USD"}
    amount = f"issued: USD 28,560.00, due on {issued['due_on']}\n"
    assert tried.err.endswith(f"invoice {issued['number']} would be {amount}")
    assert ran.err.endswith(f"invoice {issued['number']} {amount}")
    again = gate.apply(organization, "--dry-run", "--json").json()
    assert (again["organization"], again["invoice"]) == (ran.json()["organization"], None)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("seats = 3", "seats = 2", "seats"),
        ("seats = 3", "seats = 4", "seats"),
        ("seats = 3", 'seats = "3"', "seats"),
        ('currency = "USD"', 'currency = "dollars"', "currency"),
        ('unit_price = "20.00"', 'unit_price = "-1"', "unit_price"),
        ("anchor_date = 2026-01-01", 'anchor_date = "soon"', "anchor_date"),
        ('timezone = "America/Sao_Paulo"', 'timezone = "Moon/Base"', "contract.timezone: 'Moon/Base'"),
        ('timezone = "Europe/Berlin"', 'timezone = "Moon/Base"', "seller.timezone: 'Moon/Base'"),
        ('price_per = "seat_month"', 'price_per = "seat_year"', "price_per: seat_month holds for the life"),
        ('proration = "started_month"', 'proration = "month_plus_days"', "proration: started_month holds for the life"),
        ('kind = "annual_invoiced"', 'kind = "monthly"', "contract.kind: annual_invoiced holds for the life"),
        ('category = "S"', 'category = "XX"', "contract.tax: 'XX' is not one of"),
        ('locale = "pt-BR"', 'locale = "tlh"', "locale"),
        ('locale = "pt-BR"', 'locale = "pt-BR"\ncolour = "red"', "colour"),
        ('role = "primary_owner"', 'role = "king"', "role"),
    ],
)
def test_what_cannot_be_is_an_error_that_names_the_line_and_changes_nothing(gate, applied, api, old, new, said):
    text, line = bent(applied, old, new)
    before = api.seats()["purchased"], len(api.deeds())
    ran = apply_text(gate, applied, text)
    assert ran.code == 1, ran.err
    at = line + (1 if "colour" in new else 0)
    assert f"{applied.slug}.toml:{at}: " in ran.err
    assert said in ran.err
    assert not re.search(r"(\w+): \1: ", ran.err), "no word twice"
    assert (api.seats()["purchased"], len(api.deeds())) == before


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
    organization = Organization()
    organization.domains.append(applied.domain)
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
        (f'id = "x"\n{CLIENT}\nclient_secret_env = "NO_SUCH"', "client_secret_env: NO_SUCH is not in the environment"),
        (f'id = "x"\n{OIDC}\nprivate_key_jwt = true', "not several"),
        (f'id = "help"\n{OIDC}', "/login"),
        (f'id = "Not A Slug"\n{OIDC}', "id"),
        (f'id = "x"\n{OIDC}\n[connections.roles]\n"boss" = "primary_owner"', "primary_owner can never be mapped"),
    ],
    ids=[
        "no source",
        "missing file",
        "no client",
        "no secret",
        "no such variable",
        "two secrets",
        "reserved id",
        "odd id",
        "maps a primary owner",
    ],
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
