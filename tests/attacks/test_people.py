"""Real signatures of a real provider, with words that somebody chose to get what is not theirs."""

from __future__ import annotations

import json
from functools import partial

import pytest

from sso_gate.apply.file import read_file
from sso_gate.apply.places import FileInvalid
from tests.attacks.scene import SESSION, new_address
from tests.integration.gate import Organization
from tests.support.saml_forge import EMAIL_FORMAT, PERSISTENT


def log_in(scene, jar, name, *, connection="", email="", groups=(), **changes):
    pending = scene.begin(jar, connection)
    words = {"mail": [email or f"{name}@acme.example"], "displayName": [name], "groups": list(groups) or ["staff"]}
    message = scene.world(pending).message(name_id=name, name_id_format=PERSISTENT, attributes=words, **changes)
    return lambda: scene.post(jar, message.encoded(), relay_state=pending.relay_state, connection=pending.connection)


ESCALATIONS = [
    "primary_owner",
    "owner",
    "admin",
    "Primary_Owner",
    "gate-owners ",
    " gate-owners",
    "GATE-OWNERS",
    "gate-owners\u200b",
]


@pytest.mark.parametrize("group", ESCALATIONS)
def test_role_escalation_by_a_group_that_is_not_mapped(scene, jar, group):
    assert log_in(scene, jar, "zoe", groups=[group])().status == 303
    assert scene.member("zoe@acme.example")["role"] == "user"


@pytest.mark.parametrize("claim", ["role", "roles", "org_role", "admin"])
def test_role_escalation_by_a_claim(scene, jar, claim):
    scene.forge.person |= {claim: "primary_owner", "groups": ["primary_owner", "owner"]}
    scene.finish(jar, scene.begin(jar, scene.oidc))
    assert scene.member("eva@acme.example")["role"] == "user"


def test_role_escalation_a_mapped_group_gives_its_role_and_loses_it_again(scene, jar, other_jar):
    """The mapping comes from the file that an operator applied; without the group the role is the listed one."""
    assert log_in(scene, jar, "olga", groups=["gate-owners"])().status == 303
    assert scene.member("olga@acme.example")["role"] == "owner"
    assert log_in(scene, other_jar, "olga")().status == 303
    assert scene.member("olga@acme.example")["role"] == "user"


def test_role_escalation_to_primary_owner_cannot_be_mapped(scene, tmp_path):
    organization = Organization()
    organization.files["idp.pem"] = scene.keys["idp"].certificate
    scene.add_saml(organization, "saml", tables='[connections.roles]\n"everybody" = "primary_owner"')
    with pytest.raises(FileInvalid, match="primary_owner can never be mapped"):
        read_file(organization.write(tmp_path))


def test_takeover_by_email_across_connections(scene, jar, other_jar):
    """A second provider of the same organization says the same address: it is another identity, and gets nothing."""
    assert log_in(scene, jar, "rosa")().status == 303
    send = log_in(scene, other_jar, "rosa", connection=scene.second)
    scene.refused(send, "subject_conflict", connection=scene.second)
    assert not other_jar.cookie(SESSION, "gate.localhost")


def test_takeover_by_email_across_protocols(scene, jar, other_jar):
    assert log_in(scene, jar, "nina")().status == 303
    scene.forge.person |= {"sub": "somebody", "email": "nina@acme.example"}
    pending = scene.begin(other_jar, scene.oidc)
    params = scene.forge.log_in(pending.url)
    scene.refused(lambda: scene.callback(other_jar, params), "subject_conflict", connection=scene.oidc)


def test_takeover_by_email_of_another_organization(scene, jar):
    send = log_in(scene, jar, "eve", connection=scene.rivals, email="ana@acme.example")
    scene.refused(send, "domain_not_allowed", connection=scene.rivals)


@pytest.mark.parametrize("verified", [False, None, "yes", 1])
def test_takeover_by_an_unverified_email(scene, jar, verified):
    email = f"unverified-{verified}@acme.example".lower()
    scene.forge.person |= {"sub": f"unverified-{verified}", "email": email, "email_verified": verified}
    params = scene.forge.log_in(scene.begin(jar, scene.oidc).url)
    scene.refused(lambda: scene.callback(jar, params), "email_unverified", connection=scene.oidc)


@pytest.mark.parametrize(
    ("email", "reason"),
    [
        ("ana@acme.example.evil.example", "domain_not_allowed"),
        ("ana@evil.example@acme.example.evil", "email_missing"),
        ("ana@sub.acme.example", "domain_not_allowed"),
        ("ana@acme.example\u2024evil", "domain_not_allowed"),
        ("ana@аcme.example", "domain_not_allowed"),
        ("@acme.example", "email_missing"),
        ("acme.example", "email_missing"),
    ],
)
def test_takeover_by_a_look_alike_domain(scene, jar, email, reason):
    scene.refused(log_in(scene, jar, f"look-alike {len(email)} {email[-5:]}", email=email), reason)


@pytest.mark.parametrize("email", ["bo\u017f\u017f@acme.example", "bo\u00df@acme.example"])
def test_takeover_by_letters_that_fold(scene, jar, other_jar, email):
    """Without regard to case it is the address of a colleague, who would have to share seat and role."""
    assert log_in(scene, jar, "boss")().status == 303
    send = log_in(scene, other_jar, f"folded {email!a}", email=email)
    scene.refused(send, "email_unverified")


def test_a_name_in_another_format_than_we_asked_for(scene, jar):
    """Whoever writes a request of their own can ask their provider for a name that they may choose."""
    pending = scene.begin(jar, scene.second)
    message = scene.world(pending).message(name_id="owner", name_id_format=EMAIL_FORMAT)
    send = partial(scene.post, jar, message.encoded(), relay_state=pending.relay_state, connection=scene.second)
    scene.refused(send, "subject_invalid", connection=scene.second)


INJECTIONS = {
    "newline": 'Ana\n{"v":1,"outcome":"success"}',
    "carriage_return": "Ana\rX",
    "control_sequence": "Ana\x9b31m",
    "formula": '=HYPERLINK("https://evil.example","x")',
    "formula_by_at": "@SUM(1+1)*cmd|' /C calc'!A0",
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "template": "{{ 7*7 }}{% raw %}${7*7}",
    "direction": "Ana\u202egnp.exe",
    "json_end": '"}],"next":"',
}


@pytest.mark.parametrize("name", INJECTIONS)
def test_audit_injection(scene, jar, name):
    """What people call themselves, and what their programs do, stays one JSON text on one line, and no markup."""
    word = INJECTIONS[name]
    pending = scene.begin(jar)
    message = scene.world(pending).message(
        name_id=f"inject-{name}",
        name_id_format=PERSISTENT,
        attributes={"mail": [f"inject-{name}@acme.example"], "displayName": [word], "groups": [word]},
    )
    agent = word.encode("ascii", "ignore").decode().replace("\n", " ").replace("\r", " ").replace("\x1b", " ")
    address = f"{scene.gate.origin}/sso/saml/{scene.saml}/acs"
    form = {"SAMLResponse": message.encoded(), "RelayState": pending.relay_state}
    page = jar.post(
        address, form, initiator="https://idp.acme.example/", headers={**new_address(), "User-Agent": agent}
    )
    body = scene.last_event()["body"]
    assert "\n" not in body
    assert body.isascii()
    assert body.isprintable()
    json.loads(body)
    if page.status == 303:
        home = jar.get(f"{scene.gate.origin}/")
        assert "<script>alert(1)" not in home.text
        assert "<img src=x" not in home.text
        assert "49" not in home.text.partition("{{ 7*7 }}")[2][:5]


def test_audit_injection_by_what_a_message_says_of_itself(scene, jar):
    pending = scene.begin(jar)
    message = scene.world(pending).message(issuer='=1+1,"\u2028<script>', response_issuer=None)
    page = scene.refused(lambda: scene.post(jar, message.encoded(), relay_state=pending.relay_state), "issuer_mismatch")
    body = scene.last_event()["body"]
    assert body.isascii()
    assert "<script>" not in page.text
    ran = scene.gate.run(
        "audit", "list", "--org", scene.acme.slug, "--reason", "issuer_mismatch", "--outcome", "denied"
    )
    assert ran.code == 0
    assert "\u2028" not in ran.out


def test_no_assertion_token_or_secret_is_in_any_log(scene, jar):
    pending = scene.begin(jar)
    encoded = (
        scene.world(pending)
        .message(name_id="loga", name_id_format=PERSISTENT, attributes={"mail": ["loga@acme.example"]})
        .encoded()
    )
    assert scene.post(jar, encoded, relay_state=pending.relay_state).status == 303
    refused = scene.begin(jar)
    forged = scene.world(refused).message(key=scene.keys["stranger"]).encoded()
    scene.post(jar, forged, relay_state=refused.relay_state)
    waiting = scene.begin(jar, scene.oidc)
    params = scene.forge.log_in(waiting.url)
    scene.callback(jar, params)
    told = scene.gate.log_text()
    session = jar.cookie(SESSION, "gate.localhost").value.partition(".")[2]
    secrets = (encoded[:60], forged[:60], pending.relay_state, dict(params)["code"], session, scene.forge.client_secret)
    assert [secret for secret in secrets if secret in told] == []


def test_a_disabled_connection_lets_nobody_in(scene, jar):
    connection, pending = scene.doomed, scene.begin(jar, scene.doomed)
    ran = scene.gate.run("connections", "disable", connection, "--org", scene.acme.slug, "--yes")
    assert ran.code == 0, ran.err
    encoded = scene.world(pending).message().encoded()
    send = partial(scene.post, jar, encoded, relay_state=pending.relay_state, connection=connection)
    scene.refused(send, "connection_disabled", connection=connection)
    assert jar.get(f"{scene.gate.origin}/login/{connection}", headers=new_address()).status == 403
