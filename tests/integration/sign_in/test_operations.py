"""What operators do with connections: test logins, metadata that changes, emergency codes, expiring certificates."""

from __future__ import annotations

import re
import subprocess
import sys

import httpx2
import pytest

from tests.integration.gate import ROOT, Api, Organization
from tests.integration.people import session_of


@pytest.fixture
def tested(gate):
    """Run `sso-gate connections test`, open its link as the browser says, and return exit code and output."""
    running = []

    def run(road, connection, visit):
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "sso_gate",
                "connections",
                "test",
                connection,
                "--org",
                road.organization.slug,
                "--json",
            ],
            cwd=ROOT,
            env=gate.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        line = process.stderr.readline()
        visit(re.search(r"http\S+", line)[0])
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    yield run
    for process in running:
        if process.poll() is None:
            process.kill()
            process.communicate()


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

    ended, out, err = tested(road, road.organization.saml, visit)
    assert ended == code, err
    assert f"would take a seat: {note}" in out
    assert not session_of(browser_jar)
    assert seats_of(gate, road.organization) == before


def test_a_test_login_with_a_wrong_key_names_the_check_that_failed(gate, lay, browser_jar, tested):
    road = lay(gate, Organization(seats=3), lines="enabled = false")

    def visit(url):
        departure = browser_jar.get(url)
        form = road.saml_idp.login(road.person("bea"), departure.location, jar=browser_jar, other_key=True)
        assert browser_jar.submit(form).status == 200

    ended, out, _ = tested(road, road.organization.saml, visit)
    assert ended == 5
    assert "Signed by a known key" in out
    assert "key_unknown" in out
    assert "not enabled yet" in out


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
    import time

    time.sleep(1.1)
    page = browser_jar.post(f"{gate.origin}/login/break-glass", form, headers={"X-Forwarded-For": "192.0.2.11"})
    assert page.status == 422


def test_metadata_with_a_new_key_waits_for_an_approval(gate, lay, samlp_idp):
    road = lay(gate, Organization())
    changed = samlp_idp.metadata_xml.replace(_body(samlp_idp.keys), _body(samlp_idp.other_keys))
    path = gate.folder / "changed.xml"
    path.write_text(changed)
    words = ["connections", "import-metadata", road.organization.saml, str(path), "--org", road.organization.slug]
    asked = gate.run(*words, said="n\n")
    assert asked.code != 0
    assert "new key" in asked.err
    assert gate.run(*words, "--yes").code == 0
    listed = gate.run("connections", "list", "--org", road.organization.slug, "--json")
    mine = next(one for one in listed.json() if one["id"] == road.organization.saml)
    assert mine["revision"] == 2
    assert 0 <= mine["certificate_days_left"] <= 30


def test_the_end_of_a_providers_certificate_is_a_metric(gate, lay):
    road = lay(gate, Organization())
    text = httpx2.get(f"http://127.0.0.1:{gate.admin_port}/metrics", verify=False).text
    name = "sso_gate_idp_certificate_expiry_timestamp_seconds"
    assert re.search(rf'{name}{{connection="{road.organization.saml}",org="{road.organization.slug}"}} \d', text)


def _body(keys):
    return "".join(keys.certificate.splitlines()[1:-1])
