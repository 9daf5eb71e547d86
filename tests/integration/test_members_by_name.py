"""People whom the organization file lists: whom they are bound to, and what the identity provider's groups add."""

import pytest

from tests.integration.gate import Organization
from tests.integration.people import SESSION, lay_road, session_of
from tests.support.browser_jar import BrowserJar


@pytest.fixture(scope="module")
def listed(gate, _samlp_server, oidc_provider):
    organization = Organization(seats=100)
    for name in ("any", "verified", "foreign", "later", "primary"):
        organization.add_member(name, role="admin")
    organization.add_member("by-saml", role="admin", connection=organization.saml)
    organization.add_member("by-oidc", role="admin", connection=organization.oidc)
    tables = '[connections.roles]\n"gate-owners" = "owner"\n"gate-admins" = "admin"'
    return lay_road(gate, _samlp_server, oidc_provider, organization, tables=tables)


def role_of(road, jar):
    answer = road.gate.client.get("/check", headers={"Cookie": f"{SESSION}={session_of(jar)}"})
    return answer.headers.get("x-sso-gate-role", "")


@pytest.mark.parametrize("protocol", ["saml", "oidc"])
def test_a_listed_person_is_bound_by_their_first_login_and_has_the_listed_role(gate, lay, protocol, browser_jar):
    organization = Organization(seats=3)
    organization.add_member("bea", role="admin")
    road = lay(gate, organization)
    login = road.saml_login if protocol == "saml" else road.oidc_login
    assert login(browser_jar, road.person("bea")).status == 303
    assert role_of(road, browser_jar) == "admin"
    people = {row["email"]: row for row in road.api.get("members").json()["data"]}
    assert people[organization.email("bea")]["state"] == "held"
    assert len(people) == 2


def test_once_bound_a_person_is_known_by_connection_and_subject_whatever_their_address(listed, browser_jar):
    person = listed.person("later", subject="subject-later")
    assert listed.saml_login(browser_jar, person).status == 303
    moved = listed.person("later", subject="subject-later", attributes={"mail": "later@elsewhere.example"})
    assert listed.saml_login(browser_jar, moved).status == 303
    assert role_of(listed, browser_jar) == "admin"


def test_another_subject_with_a_bound_address_is_somebody_else(listed):
    with BrowserJar() as first, BrowserJar() as second:
        assert listed.saml_login(first, listed.person("any", subject="one")).status == 303
        page = listed.saml_login(second, listed.person("any", subject="two"))
        assert page.status == 403
        assert listed.last_refusal()["reason"] == "subject_conflict"
        assert session_of(second) == ""


def test_another_connection_with_a_bound_address_is_somebody_else(listed):
    with BrowserJar() as first, BrowserJar() as second:
        assert listed.saml_login(first, listed.person("primary")).status == 303
        page = listed.oidc_login(second, listed.person("primary"))
        assert page.status == 403
        assert listed.last_refusal()["reason"] == "subject_conflict"


def test_an_unverified_address_binds_nobody(listed):
    with BrowserJar() as first, BrowserJar() as second:
        page = listed.oidc_login(first, listed.person("verified", email_verified=False))
        assert page.status == 403
        assert listed.last_refusal()["reason"] == "email_unverified"
        assert listed.oidc_login(second, listed.person("verified")).status == 303
        assert role_of(listed, second) == "admin"


def test_an_address_outside_of_the_organizations_domains_binds_nobody(listed, browser_jar):
    person = listed.person("foreign", attributes={"mail": "foreign@acme.example"})
    page = listed.saml_login(browser_jar, person)
    assert page.status == 403
    assert listed.last_refusal()["reason"] == "domain_not_allowed"


def test_without_an_address_there_is_no_first_login(listed, browser_jar):
    page = listed.saml_login(browser_jar, listed.person("nobody", subject="x-1", attributes={"displayName": "No Mail"}))
    assert page.status == 403
    assert listed.last_refusal()["reason"] == "email_missing"


@pytest.mark.parametrize(("right", "wrong"), [("saml", "oidc"), ("oidc", "saml")])
def test_a_listed_person_can_be_restricted_to_one_connection(listed, right, wrong):
    name = f"by-{right}"
    logins = {"saml": listed.saml_login, "oidc": listed.oidc_login}
    with BrowserJar() as first, BrowserJar() as second:
        page = logins[wrong](first, listed.person(name))
        assert page.status == 403
        assert session_of(first) == ""
        assert logins[right](second, listed.person(name)).status == 303
        assert role_of(listed, second) == "admin"


@pytest.mark.parametrize(
    ("groups", "role"),
    [(("sales",), "user"), (("gate-admins",), "admin"), (("gate-admins", "gate-owners"), "owner")],
)
def test_groups_bring_the_roles_that_the_file_maps_already_at_the_first_login(listed, browser_jar, groups, role):
    person = listed.newcomer(groups=groups)
    assert listed.saml_login(browser_jar, person).status == 303
    assert role_of(listed, browser_jar) == role
    status = browser_jar.get(f"{listed.gate.origin}/settings/billing").status
    assert status == (200 if role == "owner" else 404)


def test_a_role_goes_with_the_group_that_brought_it(listed, browser_jar):
    name = listed.newcomer().email.partition("@")[0]
    assert listed.saml_login(browser_jar, listed.person(name, groups=("gate-owners",))).status == 303
    assert role_of(listed, browser_jar) == "owner"
    assert listed.saml_login(browser_jar, listed.person(name, groups=())).status == 303
    assert role_of(listed, browser_jar) == "user"
    assert browser_jar.get(f"{listed.gate.origin}/settings/billing").status == 404


def test_a_group_that_is_called_primary_owner_brings_nothing(listed, browser_jar):
    assert listed.saml_login(browser_jar, listed.newcomer(groups=("primary_owner", "owner"))).status == 303
    assert role_of(listed, browser_jar) == "user"


def test_an_owner_by_group_without_a_seat_who_has_left_the_group_opens_nothing(gate, lay):
    organization = Organization(seats=2)
    road = lay(gate, organization, tables='[connections.roles]\n"gate-owners" = "owner"')
    with BrowserJar() as bea, BrowserJar() as carl:
        assert road.saml_login(bea, road.person("bea", groups=("gate-owners",))).status == 303
        ran = gate.run("members", "release-seat", organization.email("bea"), "--org", organization.slug, "--yes")
        assert ran.code == 0, ran.err
        assert road.saml_login(carl, road.person("carl")).location == f"{gate.origin}/"
        page = road.saml_login(bea, road.person("bea", groups=()))
        assert "/denied/" in page.location
        assert bea.get(f"{gate.origin}/settings/billing").status == 302
