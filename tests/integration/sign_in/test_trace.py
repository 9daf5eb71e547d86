"""S9: what a test login shows to whom, a provider that has changed its certificate, and the way from a reference to the
same view.
"""

from __future__ import annotations

import html
import re
from contextlib import closing

import pytest

from tests.integration.gate import Organization
from tests.integration.people import Road
from tests.integration.sign_in.test_metadata_by_url import Published

FORM = {"content-type": "application/x-www-form-urlencoded"}
STEPS = (
    "Request sent to the identity provider",
    "Answer received",
    "Signature",
    "Audience and recipient",
    "Time window",
    "Person found",
    "Domain belongs to the organization",
    "Assigned to the application",
    "Role",
    "Seat",
    "Session (never created in a test)",
)


def plain(text):
    return re.sub(r"\s+", " ", html.unescape(re.sub("<[^>]+>", " ", text)))


class Owner:
    """The primary owner in front of the pages of access."""

    def __init__(self, road):
        self.road, self.jar = road, road.signed_in(road.person("owner"))
        self.origin = road.gate.origin

    def post(self, path, **fields):
        return self.jar.post(f"{self.origin}/settings/access/{path}", fields, headers=FORM)

    def page(self, path):
        return self.jar.get(path if path.startswith("http") else f"{self.origin}{path}")

    def asks(self, connection):
        """Return the page of a new test login, and the link that runs it."""
        asked = self.post(f"{connection}/tests").location
        link = re.search(r'href="([^"]+\?trial=[^"]+)"', self.page(asked).text)
        return asked, html.unescape(link[1])

    def tests_saml(self, person, **options):
        """Return the address of the result of a test login that this person ran."""
        asked, link = self.asks(self.road.organization.saml)
        form = self.road.saml_idp.login(person, self.jar.get(link).location, jar=self.jar, **options)
        assert self.jar.submit(form).status == 200
        return asked


@pytest.fixture(scope="module")
def owner(road):
    found = Owner(road)
    yield found
    found.jar.close()


def test_a_test_login_by_saml_tells_when_how_long_who_and_what_was_said(owner):
    person = owner.road.newcomer(groups=("gate-admins",))
    page = owner.page(owner.tests_saml(person)).text
    shown = plain(page)
    places = [shown.index(f" {step} ") for step in STEPS]
    assert places == sorted(places)
    assert re.search(
        r"Answer received Passed \d+:\d\d:\d\d [AP]M UTC ?, [\d,]+ ms", shown.replace("\N{NARROW NO-BREAK SPACE}", " ")
    )
    assert re.search(r"Time window clock difference -?\d+(\.\d)? s", shown)
    assert "Role would be an Admin" in shown
    assert "Seat would take a seat: yes" in shown
    claims = plain(page.split("Claims received (values masked)</summary>")[1].split("</details>")[0])
    assert "••" in claims
    assert person.email not in claims
    assert f"@{owner.road.organization.domain}" in claims
    assert "<samlp:Response" in html.unescape(page.partition("Raw answer")[2])


def test_a_test_login_by_openid_connect_shows_its_claims_and_nothing_that_opens_anything(owner):
    road, person = owner.road, owner.road.newcomer()
    asked, link = owner.asks(road.organization.oidc)
    callback = f"{owner.origin}/sso/oidc/{road.organization.oidc}/callback"
    back = road.oidc_provider.login(person, owner.jar.get(link).location, callback=callback, jar=owner.jar)
    assert owner.jar.get(back).status == 200
    page = html.unescape(owner.page(asked).text)
    assert "Claims received (values masked)" in page
    raw = page.split("Raw answer (Owners only, 24 h)</summary>")[1]
    assert road.oidc_provider.issuer in raw
    code = re.search(r"[?&]code=([^&]+)", back)
    assert code
    assert code[1] not in raw


def test_the_raw_answer_is_for_owners_and_the_link_runs_once_the_result_stays(owner):
    asked = owner.tests_saml(owner.road.newcomer())
    with owner.road.signed_in(owner.road.person("auditor")) as auditor:
        page = auditor.get(asked)
        assert page.status == 200
        assert "The test login passed." in page.text
        assert "<samlp:" not in html.unescape(page.text)
        assert auditor.post(f"{asked.rpartition('/tests/')[0]}/answers", {"keep": "on"}).status == 404


def test_a_known_person_is_not_asked_for_a_domain_again_and_a_role_of_an_owner_is_told(owner):
    shown = plain(owner.page(owner.tests_saml(owner.road.person("owner"))).text)
    assert "Domain belongs to the organization not asked: known from an earlier login Not done" in shown
    assert "Role is the Primary Owner" in shown
    assert "Seat holds a seat already" in shown


def test_who_was_invited_would_take_the_seat_that_is_kept_for_them(owner):
    road, person = owner.road, owner.road.newcomer()
    ran = road.gate.run("members", "invite", "--org", road.organization.slug, person.email)
    assert ran.code == 0, ran.err
    assert "Seat would take the seat that is kept for them" in plain(owner.page(owner.tests_saml(person)).text)


@pytest.mark.parametrize(
    ("options", "failed", "fix"),
    [
        ({"audience": "https://other.example"}, "Audience and recipient", "Compare our addresses"),
        ({"lifetime_seconds": -3600}, "Time window", "Set the clocks of both sides right"),
        ({"other_key": True}, "Signature", "signed with a key that we do not have"),
    ],
)
def test_every_failed_check_names_what_to_do_and_says_nothing_good_of_what_comes_after(owner, options, failed, fix):
    shown = plain(owner.page(owner.tests_saml(owner.road.newcomer(), **options)).text)
    assert f"{failed} Failed" in shown
    assert fix in shown
    rest = STEPS[STEPS.index(failed) + 1 : -1]
    assert all(f"{step} Not reached" in shown for step in rest)
    assert "The test login did not pass." in shown


def test_a_refused_login_is_found_by_its_reference_with_its_raw_answer_only_where_that_is_kept(owner, browser_jar):
    road, connection = owner.road, owner.road.organization.saml

    def refused():
        page = road.saml_login(browser_jar, road.newcomer(), audience="https://other.example")
        assert page.status == 400
        reference = road.last_refusal()["reference"]
        assert reference in page.text
        spoken = f"{reference[:4]}-{reference[4:]}".lower()
        return owner.page(f"/settings/audit/{spoken}").text

    before = refused()
    assert "Audience and recipient" in before
    assert "Raw answer" not in before
    assert owner.post(f"{connection}/answers", keep="on").status == 303
    with_answer = refused()
    assert "samlp:Response" in html.unescape(with_answer.partition("Raw answer")[2])
    with road.signed_in(road.person("auditor")) as auditor:
        reference = road.last_refusal()["reference"]
        seen = auditor.get(f"{owner.origin}/settings/audit/{reference}")
        assert seen.status == 200
        assert "Raw answer" not in seen.text
    assert owner.post(f"{connection}/answers", keep="off").status == 303
    assert "Raw answer" not in refused()
    log = plain(owner.page("/settings/audit?action=connection.update").text)
    assert connection in log


def test_a_provider_with_a_new_certificate_is_taken_over_by_one_button(gate, samlp_idp, oidc_provider):
    provider = samlp_idp
    old, new = ("".join(keys.certificate.splitlines()[1:-1]) for keys in (provider.keys, provider.other_keys))
    with closing(Published()) as published:
        published.body = provider.metadata_xml.encode()
        organization = Organization(seats=3)
        key = f'id = "{organization.saml}"\nprotocol = "saml"\nmetadata_url = "{published.url}"\n'
        organization.connections.append(f"\n[[connections]]\n{key}")
        gate.applied(organization)
        owner = Owner(Road(gate, organization, provider, oidc_provider))
        with closing(owner.jar):
            asked = owner.tests_saml(owner.road.newcomer(), other_key=True)
            assert "Use the new certificate" not in owner.page(asked).text, "it is not published"
            descriptor = re.search(r"<KeyDescriptor.*?</KeyDescriptor>", provider.metadata_xml, re.DOTALL)[0]
            moved = provider.metadata_xml.replace(descriptor, descriptor + descriptor.replace(old, new))
            elsewhere = moved.replace(provider.url, "https://evil.example")
            published.body = elsewhere.encode()
            assert "Use the new certificate" not in owner.page(asked).text, "more than a key has changed"
            published.body = moved.encode()
            page = owner.page(asked)
            assert "The provider has a new certificate." in page.text
            form = next(form for form in page.forms if "seen" in form.fields)
            assert owner.jar.submit(form).status == 303
            assert "The test login passed." in owner.page(owner.tests_saml(owner.road.newcomer(), other_key=True)).text
