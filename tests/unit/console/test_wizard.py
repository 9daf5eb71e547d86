"""S8: an owner adds and changes a connection by forms, and what the organization's file says is left alone."""

from __future__ import annotations

import tomllib

import pytest

from sso_gate.apply.apply import apply
from sso_gate.apply.file import OrganizationFile
from sso_gate.storage.open import open_runtime
from tests.support.keys import make_key_pair
from tests.unit.console.gate import finished, plain

KEYS = {name: make_key_pair(name) for name in ("one", "two")}
NEW = "/settings/access/_new"
FORM = {"content-type": "application/x-www-form-urlencoded"}
NAMED = {"id": "acme-okta", "name": "Okta (Acme)"}


def metadata(key: str = "one", host: str = "idp.acme.example") -> str:
    body = "".join(KEYS[key].certificate.splitlines()[1:-1])
    return f"""<?xml version="1.0"?>
<md:EntityDescriptor xmlns:md="urn:oasis:names:tc:SAML:2.0:metadata" entityID="https://{host}/saml">
\t<md:IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">
\t\t<md:KeyDescriptor use="signing"><ds:KeyInfo xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:X509Data>
<ds:X509Certificate>{body}</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>
\t\t<md:SingleSignOnService Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect" Location="https://{host}/sso"/>
\t</md:IDPSSODescriptor>
</md:EntityDescriptor>"""


def sent(browser, path, upload="", **fields):
    """What a browser sends of a SAML form, a file among it."""
    file = {"metadata_file": ("metadata.xml", upload.encode(), "text/xml")}
    return browser.post(path, data={**NAMED, **fields}, files=file)


@pytest.fixture
def okta(gate, ana):
    """A connection that Ana has made by uploading metadata."""
    made = sent(ana, f"{NEW}/okta-saml", upload=metadata())
    assert made.status_code == 303, plain(made.text)
    assert made.headers["location"] == "/settings/access/acme-okta/mapping?kind=okta-saml"
    return "/settings/access/acme-okta"


def test_an_owner_connects_a_provider_from_its_name_to_switching_it_on(gate, ana, okta):
    assert "Okta" in ana.get(NEW).text
    exchange = ana.get(f"{NEW}/okta-saml/exchange?name=Okta&id=acme-second").text
    assert "Audience URI (SP Entity ID)" in exchange
    assert "https://gate.example/sso/saml/acme-second/acs" in exchange
    page = ana.get(f"{okta}/mapping?kind=okta-saml").text
    assert 'aria-current="step"' in page
    mapped = {"email": "mail", "group_0": "gate-admins", "role_0": "admin", "kind": "okta-saml"}
    assert ana.post(f"{okta}/mapping", data=mapped).headers["location"] == f"{okta}/tests"
    shown = plain(ana.get(okta).text)
    assert "https://idp.acme.example/sso" in shown
    assert "gate-admins" in shown
    assert "It can be switched on once a test login has passed" in shown
    assert ana.post(f"{okta}/enable", headers=FORM).status_code == 409
    gate.passed_trial("acme-okta")
    assert ana.post(f"{okta}/enable", headers=FORM).status_code == 303
    log = plain(ana.get("/settings/audit?action=connection.create").text)
    assert "connection.create" in log
    assert "BEGIN CERTIFICATE" not in log


def test_what_was_typed_is_kept_when_something_is_wrong_but_a_secret_is_not_shown_again(ana):
    fields = {"issuer": "https://login.nowhere.invalid", "client_id": "gate-17", "client_secret": "not-to-be-seen"}
    answer = ana.post(f"{NEW}/oidc", data={**NAMED, **fields})
    assert answer.status_code == 422
    assert 'href="#issuer"' in answer.text
    assert "Nothing answered at this address" in answer.text
    assert 'value="https://login.nowhere.invalid"' in answer.text
    assert 'value="gate-17"' in answer.text
    assert "not-to-be-seen" not in answer.text
    assert ana.get("/settings/access/acme-okta").status_code == 404, "nothing was stored"


@pytest.mark.parametrize(
    ("fields", "upload", "place"),
    [
        ({}, "", "metadata_url"),
        ({"metadata_text": "<EntityDescriptor/>"}, "", "metadata_text"),
        ({}, "no metadata", "metadata_file"),
        ({"metadata_text": "<x/>"}, "<x/>", "metadata_file"),
        ({"metadata_url": "https://127.0.0.1/metadata"}, "", "metadata_url"),
        ({"idp_entity_id": "https://idp.example"}, "", "sso_url"),
        ({"idp_entity_id": "x", "sso_url": "https://i.example", "certificates": "MII"}, "", "certificates"),
        ({"idp_entity_id": "x", "sso_url": "javascript:x", "certificates": KEYS["one"].certificate}, "", "sso_url"),
    ],
)
def test_what_cannot_be_used_is_said_at_its_field(ana, fields, upload, place):
    answer = sent(ana, f"{NEW}/saml", upload=upload, **fields)
    assert answer.status_code == 422
    assert f'href="#{place}"' in answer.text
    assert f'id="{place}-error"' in answer.text


@pytest.mark.parametrize("wrong", ["", "Acme Okta", "help", "acme-oidc", "a_b"])
def test_a_short_name_is_new_and_fits_into_an_address(ana, wrong):
    answer = ana.get(f"{NEW}/okta-saml/exchange", params={"name": "Okta", "id": wrong})
    assert answer.status_code == 422
    assert 'href="#id"' in answer.text
    assert sent(ana, f"{NEW}/okta-saml", upload=metadata(), id=wrong).status_code == 422


def test_another_key_or_host_counts_once_somebody_has_looked_at_it(gate, ana, okta):
    assert sent(ana, f"{okta}/edit", metadata_text=metadata(), name="Okta").status_code == 303
    asked = sent(ana, f"{okta}/edit", metadata_text=metadata("two", "other.example"))
    assert asked.status_code == 422
    assert "new key" in asked.text
    assert "sso_url https://idp.acme.example/sso becomes https://other.example/sso" in asked.text
    assert "https://idp.acme.example/sso" in ana.get(okta).text, "not before it is approved"
    approved = sent(ana, f"{okta}/edit", metadata_text=metadata("two", "other.example"), approve="1")
    assert approved.status_code == 303
    assert "https://other.example/sso" in ana.get(okta).text
    gate.passed_trial("acme-okta")
    assert sent(ana, f"{okta}/edit", metadata_text=metadata("one", "other.example"), approve="1").status_code == 303
    assert ana.post(f"{okta}/enable", headers=FORM).status_code == 409, "other settings were tested"


def test_a_group_brings_a_role_once_and_never_that_of_the_primary_owner(ana, okta):
    twice = {"group_0": "g", "role_0": "admin", "group_1": "g", "role_1": "owner"}
    answer = ana.post(f"{okta}/mapping", data=twice)
    assert answer.status_code == 422
    assert 'href="#group_1"' in answer.text
    for role in ("primary_owner", "king", ""):
        answer = ana.post(f"{okta}/mapping", data={"group_0": "g", "role_0": role})
        assert answer.status_code == 422
        assert 'href="#role_0"' in answer.text


def test_what_the_file_says_is_changed_in_the_file_alone(ana):
    page = ana.get("/settings/access/acme-oidc").text
    assert "described in the organization's file" in page
    assert "/settings/access/acme-oidc/edit" not in page
    for path in ("edit", "mapping"):
        assert ana.get(f"/settings/access/acme-oidc/{path}").status_code == 409
    fields = {"issuer": "https://evil.example", "client_id": "x", "client_secret": "y"}
    assert ana.post("/settings/access/acme-oidc/edit", data={**NAMED, **fields}).status_code == 409
    assert ana.post("/settings/access/acme-oidc/mapping", data={"email": "x"}).status_code == 409
    assert "https://login.acme.example" in ana.get("/settings/access/acme-oidc").text


def test_applying_the_file_leaves_the_connections_of_the_settings_alone_until_it_names_them(gate, ana, okta):
    def applied(text: str) -> tuple[str, ...]:
        async def work() -> tuple[str, ...]:
            runtime = open_runtime(gate.settings, gate.clock)
            gate.file.write_text(text)
            wanted = OrganizationFile.model_validate(tomllib.loads(text))
            done = await apply(runtime, wanted, folder=gate.file.parent, text=text, name="acme.toml")
            await runtime.close()
            return done.changes

        return finished(work())

    text = gate.file.read_text()
    assert applied(text) == ()
    assert ana.get(f"{okta}/edit").status_code == 200
    (gate.file.parent / "okta.xml").write_text(metadata())
    named = '\n[[connections]]\nid = "acme-okta"\nprotocol = "saml"\nmetadata_file = "okta.xml"\nenabled = false\n'
    taken_over = ("connection acme-okta taken over from the settings", "connection acme-okta changed: name")
    assert applied(text + named) == taken_over
    assert ana.get(f"{okta}/edit").status_code == 409
    assert applied(text + named) == ()


def test_nobody_but_owners_finds_the_forms(gate, okta):
    with gate.browser("leo") as leo:
        unknown = leo.get("/no/such/path")
        paths = (NEW, f"{NEW}/saml", f"{NEW}/saml/exchange", f"{okta}/edit", f"{okta}/mapping", f"{okta}/metadata")
        for path in paths:
            for answer in (leo.get(path), sent(leo, path, upload=metadata())):
                assert (answer.status_code, answer.content) == (404, unknown.content), path


def test_a_form_of_another_site_makes_nothing(ana):
    answer = ana.post(f"{NEW}/oidc", data=NAMED, headers={"sec-fetch-site": "cross-site"})
    assert answer.status_code == 403


def test_a_connection_is_removed_once_it_is_off_and_its_name_is_not_used_again(gate, ana, okta):
    gate.passed_trial("acme-okta")
    assert ana.post(f"{okta}/enable", headers=FORM).status_code == 303
    assert ana.post(f"{okta}/remove", headers=FORM).status_code == 409, "people log in by it"
    assert ana.post(f"{okta}/disable", headers=FORM).status_code == 303
    assert f"{okta}/remove" in ana.get(okta).text
    assert ana.post(f"{okta}/remove", headers=FORM).headers["location"] == "/settings/access"
    assert "acme-okta" not in ana.get("/settings/access").text
    for answer in (ana.get(okta), ana.get(f"{okta}/edit"), ana.post(f"{okta}/enable", headers=FORM)):
        assert answer.status_code == 404
    assert sent(ana, f"{NEW}/okta-saml", upload=metadata()).status_code == 422, "the name stays taken"
    with gate.browser() as nobody:
        assert nobody.get("/login/acme-okta").status_code != 302
    assert "connection.delete" in ana.get("/settings/audit?action=connection.delete").text


def test_what_a_file_says_is_not_removed_here_and_nobody_else_finds_the_way(gate, ana):
    path = "/settings/access/acme-oidc/remove"
    assert ana.post(path, headers=FORM).status_code == 409
    assert path not in ana.get("/settings/access/acme-oidc").text
    with gate.browser("leo") as leo:
        unknown, answer = leo.get("/no/such/path"), leo.post(path, headers=FORM)
        assert (answer.status_code, answer.content) == (404, unknown.content)
