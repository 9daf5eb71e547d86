"""What operators do with connections: test logins, metadata that changes, emergency codes, expiring certificates."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from tests.integration.gate import Api, Organization
from tests.integration.people import session_of


@pytest.fixture
def tested(gate):
    """Run `sso-gate connections test`, open its link as the browser says, and return how it ended."""

    def run(road, connection, visit):
        words = ("connections", "test", connection, "--org", road.organization.slug, "--json", "--wait", "60")
        with ThreadPoolExecutor(1) as beside:
            ending = beside.submit(gate.run, *words)
            while not (link := re.search(rf"http\S+/login/{connection}\?trial=\S+", gate.heard())):
                assert not ending.done(), ending.result()
                time.sleep(0.01)
            visit(link[0])
            return ending.result(timeout=30)

    return run


def seats_of(gate, organization):
    numbers = Api(gate, gate.token(organization, "seats:read")).seats()
    return {name: number for name, number in numbers.items() if name != "as_of"}


@pytest.mark.parametrize(("seats", "code", "note"), [(3, 0, "yes, 2 left"), (1, 5, "no, 1 of 1 in use")])
def test_a_test_login_says_what_would_happen_and_changes_nothing(gate, lay, browser_jar, tested, seats, code, note):
    road = lay(gate, Organization(seats=seats))
    before = seats_of(gate, road.organization)

    def visit(url):
        departure = browser_jar.get(url)
        assert departure.status == 302, departure.text
        page = browser_jar.submit(road.saml_idp.login(road.person("bea"), departure.location, jar=browser_jar))
        assert page.status == 200

    ran = tested(road, road.organization.saml, visit)
    assert ran.code == code, ran.err
    assert f"would take a seat: {note}" in ran.out
    assert not session_of(browser_jar)
    assert seats_of(gate, road.organization) == before


def test_a_test_login_with_a_wrong_key_names_the_check_that_failed(gate, lay, browser_jar, tested):
    road = lay(gate, Organization(seats=3), lines="enabled = false")

    def visit(url):
        departure = browser_jar.get(url)
        form = road.saml_idp.login(road.person("bea"), departure.location, jar=browser_jar, other_key=True)
        assert browser_jar.submit(form).status == 200

    ran = tested(road, road.organization.saml, visit)
    assert ran.code == 5
    for words in ("Signature", "key_unknown", "not enabled yet"):
        assert words in ran.out


def test_an_emergency_code_opens_the_settings_once_and_nothing_else(gate, browser_jar):
    organization = gate.applied(Organization())
    issued = gate.run("breakglass", "issue", organization.owner, "--org", organization.slug, "--yes")
    assert issued.code == 0, issued.err
    form = {"email": organization.owner, "code": issued.out.strip().lower().replace("-", " ")}
    fresh = {"X-Forwarded-For": "192.0.2.10"}
    page = browser_jar.post(f"{gate.origin}/login/break-glass", form, headers=fresh)
    assert (page.status, page.location) == (303, f"{gate.origin}/settings/access")
    assert browser_jar.get(page.location).status == 200
    cookie = f"__Host-sso_gate={session_of(browser_jar)}"
    check = gate.client.get("/check", headers={"Host": gate.host, "Cookie": cookie, "Accept": "application/json"})
    assert check.status_code == 403, "applications stay closed"
    again = browser_jar.post(f"{gate.origin}/login/break-glass", form, headers=fresh)
    assert again.status == 422
    refused = gate.run("breakglass", "issue", organization.email("nobody"), "--org", organization.slug, "--yes")
    assert refused.code == 3


def test_an_emergency_code_is_for_owners_and_ends(gate, browser_jar):
    organization = Organization()
    organization.add_member("bea")
    gate.applied(organization)
    refused = gate.run("breakglass", "issue", organization.email("bea"), "--org", organization.slug, "--yes")
    assert (refused.code, refused.out) == (4, "")
    issued = gate.run("breakglass", "issue", organization.owner, "--org", organization.slug, "--expires", "1s", "--yes")
    form = {"email": organization.owner, "code": issued.out.strip()}
    time.sleep(1.1)
    page = browser_jar.post(f"{gate.origin}/login/break-glass", form, headers={"X-Forwarded-For": "192.0.2.11"})
    assert page.status == 422


def test_a_provider_changes_its_key_old_and_new_side_by_side_once_approved(gate, lay, samlp_idp, browser_jar):
    road = lay(gate, Organization())
    old, new = _body(samlp_idp.keys), _body(samlp_idp.other_keys)
    descriptor = re.search(r"<KeyDescriptor.*?</KeyDescriptor>", samlp_idp.metadata_xml, re.DOTALL)[0]
    both = samlp_idp.metadata_xml.replace(descriptor, descriptor + descriptor.replace(old, new))
    path = gate.folder / "changed.xml"
    words = ["connections", "import-metadata", road.organization.saml, str(path), "--org", road.organization.slug]

    def comes_in(**options):
        return road.saml_login(browser_jar, road.person("bea"), **options).status == 303

    path.write_text(both)
    asked = gate.run(*words, said="n\n")
    assert asked.code != 0
    assert "new key" in asked.err
    assert [comes_in(), comes_in(other_key=True)] == [True, False]
    assert gate.run(*words, "--yes").code == 0
    assert [comes_in(), comes_in(other_key=True)] == [True, True]
    path.write_text(samlp_idp.metadata_xml.replace(old, new))
    assert gate.run(*words).code == 0, "a key that is no longer published needs no yes"
    assert [comes_in(), comes_in(other_key=True)] == [False, True]
    listed = gate.run("connections", "list", "--org", road.organization.slug, "--json")
    mine = next(one for one in listed.json() if one["id"] == road.organization.saml)
    assert mine["revision"] == 3
    assert 0 <= mine["certificate_days_left"] <= 30


def test_the_end_of_a_providers_certificate_is_a_metric(gate, lay):
    road = lay(gate, Organization())
    text = httpx2.get(f"http://127.0.0.1:{gate.admin_port}/metrics", verify=False).text
    name = "sso_gate_idp_certificate_expiry_timestamp_seconds"
    assert re.search(rf'{name}{{connection="{road.organization.saml}",org="{road.organization.slug}"}} \d', text)


def _body(keys):
    return "".join(keys.certificate.splitlines()[1:-1])
