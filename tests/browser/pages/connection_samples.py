"""Sample pages of the IT admin: connections, their wizard, test logins, emergency codes, tokens."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace as Values
from typing import Any

from sso_gate.connections.domains import Looked, Record
from sso_gate.console.provider_guides import GUIDES, guides_by_provider, our_values
from sso_gate.console.webhooks import FAMILIES
from sso_gate.errors import Reason
from sso_gate.login.trace import (
    ANSWERED,
    ROLE,
    SENT,
    TIMES,
    not_enabled_yet,
    noted,
    steps_passed,
    steps_until,
    timed,
)
from sso_gate.notify.preferences import ALWAYS_OWNERS, KINDS
from sso_gate.notify.streams_log import Attempt
from sso_gate.protocols.protocol import Endpoints
from tests.browser.pages.samples import NOW, ZONE, Sample, frame


def connection_samples() -> Iterator[Sample]:
    """Every page of the IT admin in every state worth looking at."""
    yield from _access()
    yield from _notifications()
    yield from _webhooks()
    yield from _developer()


def _access() -> Iterator[Sample]:
    saml = Values(
        idp_entity_id="https://idp.example/metadata",
        sso_url="https://idp.example/sso",
        metadata_url="https://idp.example/metadata",
    )
    attributes = Values(email="mail", name="", groups="groups")
    okta = Values(
        id="acme-okta",
        name="Okta (Acme BR)",
        protocol="saml",
        enabled=True,
        revision=3,
        settings=saml,
        attributes=attributes,
        roles={"gate-owners": "owner"},
        keep_answers=False,
    )
    issuer = Values(issuer="https://login.example", client_id="sso-gate")
    oidc = Values(**{**vars(okta), "id": "acme-oidc", "name": "Entra ID", "protocol": "oidc", "settings": issuer})
    oidc.enabled, oidc.roles = False, {}
    code = Values(id="brk_1", email="ana@acme.example", created=NOW, expires=NOW + timedelta(days=7))
    listed = {
        "frame": frame("access"),
        "rows": [(okta, 12), (oidc, None)],
        "domains": ("acme.example",),
        "it_contact": "it@acme.example, +55 11 5555 0100",
        "provisioning": "scim",
        "when_full": "hold_unseated",
        "codes": [code],
        "zone": ZONE,
        "may_manage": True,
    }
    yield Sample("access", "console/access.html", listed)
    yield Sample("access-empty", "console/access.html", {**listed, "rows": [], "codes": [], "domains": ()})
    ours = Values(
        saml_acs="https://gate.example/sso/saml/acme-okta/acs",
        saml_entity_id="https://gate.example/sso/saml/acme-okta/metadata",
        saml_slo="https://gate.example/sso/saml/acme-okta/slo",
        oidc_callback="https://gate.example/sso/oidc/acme-oidc/callback",
        oidc_backchannel_logout="https://gate.example/sso/oidc/acme-oidc/backchannel-logout",
    )
    ends = NOW + timedelta(days=12)
    certificate = Values(fingerprint=":".join(["AB"] * 32), subject="CN=idp.example", not_after=ends, days_left=12)
    shown = {
        "frame": frame("access"),
        "connection": okta,
        "ours": ours,
        "certificates": [certificate],
        "look": Values(held=("certificate AB:CD is new",), problem=""),
        "may_manage": True,
        "tested": False,
        "own": True,
        "affected": 104,
        "codes": 0,
        "editable": True,
        "problem": "",
    }
    yield Sample("connection-saml", "console/connection.html", shown)
    off = {
        **shown,
        "connection": oidc,
        "certificates": [],
        "look": Values(held=(), problem="HTTP 503"),
        "own": False,
        "editable": False,
        "problem": "own",
    }
    yield Sample("connection-oidc", "console/connection.html", off, 409)
    steps = not_enabled_yet(steps_until(Reason.KEY_UNKNOWN, "no pinned certificate has signed it"))
    steps = timed(timed(steps, SENT, NOW), ANSWERED, NOW + timedelta(milliseconds=812), took_ms=812)
    link = "https://gate.example/login/acme-okta?trial=" + "t" * 32
    trace = {
        "frame": frame("access"),
        "connection": okta,
        "trial": None,
        "link": link,
        "may_manage": True,
        "answer": "",
        "rotated": None,
    }
    yield Sample("trial-asked", "console/trace.html", trace)
    failed = Values(steps=steps, person={}, reason="key_unknown", claims=())
    rotated = Values(certificate=certificate, seen="0" * 64)
    answer = "<samlp:Response>" + "…" * 900 + "</samlp:Response>"
    shown_failed = {**trace, "trial": failed, "rotated": rotated, "answer": answer}
    yield Sample("trial-failed", "console/trace.html", shown_failed)
    person = {"subject": "00u1", "email": "ana@acme.example", "name": "Ana", "groups": "gate-owners, finance"}
    steps = steps_passed("would take a seat: yes, %(left)s left", left=3)
    steps = noted(noted(steps, TIMES, "clock difference %(seconds)s s", seconds=1.2), ROLE, "would be an Owner")
    steps = timed(timed(steps, SENT, NOW), ANSWERED, NOW + timedelta(milliseconds=1812), took_ms=1812)
    claims = (("NameID", "0•••"), ("email", "a••@acme.example"), ("groups", "g••••••, f••••••"))
    passed = Values(steps=steps, person=person, reason="", claims=claims)
    yield Sample("trial-passed", "console/trace.html", {**trace, "trial": passed})
    yield from _wizard(saml, attributes)
    yield from _domains()
    yield from _last_steps(okta, oidc)
    owners = [Values(email="ana@acme.example", name="Ana Souza"), Values(email="li@acme.example", name="")]
    issue = {"frame": frame("access"), "owners": owners, "email": "", "code": "", "address": "https://gate.example/x"}
    issue |= {"having": ["ana@acme.example"], "draft": oidc}
    yield Sample("code-ask", "console/emergency_code.html", issue)
    made = {**issue, "email": "ana@acme.example", "code": "7K3M9-Q2W8R-XXXXX-XXXXX"}
    yield Sample("code-issued", "console/emergency_code.html", made, 201)


def _last_steps(okta: Values, draft: Values) -> Iterator[Sample]:
    last = Values(reason="key_unknown")
    trial = _framed(connection=draft, tested=False, last=last)
    yield Sample("wizard-test", "console/wizard_test.html", trial)
    yield Sample("wizard-tested", "console/wizard_test.html", {**trial, "tested": True})
    choice = _framed(provisioning="jit", when_full="refuse", has_token=False, draft=draft)
    choice["base"] = "https://gate.example/scim/v2"
    yield Sample("provisioning", "console/provisioning.html", choice)
    yield Sample("provisioning-alone", "console/provisioning.html", {**choice, "draft": None, "has_token": True})
    alone = _framed(connection=draft, tested=True, affected=104, provisioning="jit", codes=0, others=[], came_by="")
    alone["problem"] = ""
    yield Sample("wizard-switch", "console/wizard_switch.html", alone)
    several = {**alone, "others": [okta], "came_by": okta.id, "problem": "own", "codes": 2, "tested": False}
    yield Sample("wizard-switch-require", "console/wizard_switch.html", several, 409)


FIELDS = (
    "metadata_url metadata_text idp_entity_id sso_url slo_url certificates accept_unsolicited sign_requests "
    "encrypted_assertions allow_cbc_until issuer client_id client_secret client_authentication scopes"
)


def _wizard(saml: Values, attributes: Values) -> Iterator[Sample]:
    yield Sample("wizard-choose", "console/wizard_choose.html", _framed(providers=guides_by_provider()))
    named = {"name": "Okta", "id": "acme-okta"}
    naming = _framed(guide=GUIDES["okta-saml"], form=named, origin="https://gate.example", errors=[])
    naming["domains"] = ("acme.example", "acme.com.br")
    yield Sample("wizard-name", "console/wizard_name.html", naming)
    taken = [{"field": "id", "text": "This short name is taken. Choose another one.", "detail": ""}]
    yield Sample("wizard-name-taken", "console/wizard_name.html", {**naming, "errors": taken}, 422)
    draft = Values(id="acme-okta", name="Okta", protocol="saml", enabled=False, revision=0, settings=saml)
    blank = dict.fromkeys(FIELDS.split(), "")
    ours = our_values(Endpoints("https://gate.example", "acme-okta"))
    page = _framed(connection=draft, ours=ours, form=blank, held=(), errors=[])
    for kind, guide in GUIDES.items():
        yield Sample(f"wizard-{kind}", "console/wizard_exchange.html", {**page, "guide": guide})
    wrong = [{"field": "metadata_text", "text": "This metadata cannot be used", "detail": "expected one provider"}]
    typed = {**blank, "metadata_text": "<md:EntityDescriptor/>"}
    again = {**page, "guide": GUIDES["saml"], "form": typed, "errors": wrong}
    yield Sample("wizard-wrong", "console/wizard_exchange.html", again, 422)
    live = Values(**{**vars(draft), "enabled": True, "revision": 3})
    by_hand = {**blank, "idp_entity_id": "https://idp.example", "certificates": "-----BEGIN CERTIFICATE-----"}
    held = ("new key " + ":".join(["AB"] * 32), "sso_url https://idp.example/sso becomes https://other.example/sso")
    editing = {**page, "guide": GUIDES["saml"], "connection": live, "form": by_hand, "held": held}
    yield Sample("connection-edit-held", "console/wizard_exchange.html", editing, 422)
    seen = Values(person={"email": "ana@acme.example", "name": "Ana", "groups": "gate-owners, finance"})
    mapping = _framed(
        connection=draft,
        attributes={**vars(attributes), "subject": ""},
        rows=[("gate-owners", "owner"), ("", "")],
        roles=["admin", "owner"],
        seen=seen,
        kind="okta-saml",
        errors=[],
    )
    yield Sample("wizard-mapping", "console/wizard_mapping.html", mapping)
    twice = [{"field": "group_0", "text": "This group is there twice", "detail": ""}]
    yield Sample("wizard-mapping-wrong", "console/wizard_mapping.html", {**mapping, "kind": "", "errors": twice}, 422)
    looked = _framed(
        connection=live,
        change=Values(changes=held, held=held),
        seen="a" * 64,
        problem="",
        changed=True,
    )
    yield Sample("metadata-published", "console/connection_metadata.html", looked, 409)
    gone = {**looked, "change": None, "problem": "provider_unreachable", "changed": False}
    yield Sample("metadata-gone", "console/connection_metadata.html", gone)


def _framed(**context: Any) -> dict[str, Any]:
    return {"frame": frame("access"), **context}


def _domains() -> Iterator[Sample]:
    asking = _framed(asked="", domain="", record=None, looked=None, proven=("filial.example",), errors=[])
    yield Sample("domains", "console/domains.html", asking)
    wrong = [{"field": "domain", "text": "Enter a domain name, such as acme.example"}]
    yield Sample("domains-wrong", "console/domains.html", {**asking, "asked": "x y", "errors": wrong}, 422)
    record = Record("_sso-gate.acme.com.br", "sso-gate=" + "0123456789" * 4)
    shown = {**asking, "asked": "acme.com.br", "domain": "acme.com.br", "record": record}
    yield Sample("domains-record", "console/domains.html", shown)
    there = Looked(proven=False, found=("v=spf1 include:_spf.acme.example -all", "sso-gate=0000"))
    yield Sample("domains-other", "console/domains.html", {**shown, "looked": there}, 409)
    for name, looked in (("elsewhere", Looked(False, (), True)), ("silent", Looked(False, (), False, True))):
        yield Sample(f"domains-{name}", "console/domains.html", {**shown, "looked": looked}, 409)


def _notifications() -> Iterator[Sample]:
    form = {f"{field}_{number}": "" for field in ("to", "also", "chat", "webhook") for number in range(len(KINDS))}
    page = {
        "frame": frame("notifications"),
        "kinds": KINDS,
        "always_owners": ALWAYS_OWNERS,
        "form": {
            **form,
            "to_1": "primary_owner",
            "chat_0": "1",
            "webhook_1": "1",
            "also_3": "it@acme.example",
            "seats_left": "",
        },
        "few": 8,
        "by_size": 8,
        "purchased": 100,
        "mail": True,
        "chat": "https://hooks.slack.com",
        "webhooks": 2,
        "domains": ("acme.example",),
        "done": "saved",
        "errors": [],
    }
    yield Sample("notifications", "console/notifications.html", page)
    text = "Use at most five addresses in the domains of your organization"
    wrong = [{"field": "also_3", "text": text, "detail": "it@elsewhere.example"}]
    bad = {**page, "mail": False, "chat": "", "webhooks": 0, "done": "", "errors": wrong}
    yield Sample("notifications-wrong", "console/notifications.html", bad, 422)


def _webhooks() -> Iterator[Sample]:
    well = Values(
        id="str_1",
        kind="webhook",
        enabled=True,
        problem="",
        attempts=0,
        due=NOW,
        delivered=NOW,
        actions=("auth.login", "seat.grant"),
        outcome="denied",
    )
    failing = Values(**{**vars(well), "problem": "answered with 503", "attempts": 2, "actions": (), "outcome": ""})
    off = Values(**{**vars(failing), "kind": "splunk", "enabled": False, "delivered": None})
    address = "https://hooks.acme.example"
    form = dict.fromkeys(("url", "denied", *FAMILIES), "")
    page = {"frame": frame("developer"), "families": list(FAMILIES), "form": {**form, "seats": "1"}, "errors": []}
    rows = [(one, address) for one in (well, failing, off)]
    yield Sample("webhooks", "console/webhooks.html", {**page, "destinations": rows})
    wrong = [{"field": "url", "text": "Enter an https address", "detail": ""}]
    bad = {**page, "destinations": [], "form": {**form, "url": "http://x"}, "errors": wrong}
    yield Sample("webhooks-wrong", "console/webhooks.html", bad, 422)
    attempts = [
        Attempt(NOW, 41, 58, 12, 230, ""),
        Attempt(NOW - timedelta(minutes=5), 41, 58, 12, 15_020, "no answer within 20 s"),
        Attempt(NOW - timedelta(days=1), 40, 40, 1, 88, ""),
    ]
    one = {"frame": frame("developer"), "address": address, "behind": 3, "attempts": attempts}
    one |= {"families": list(FAMILIES), "form": {**form, "seats": "1"}}
    arrived, lost = Values(problem=""), Values(problem="answered with 500")
    yield Sample("webhook", "console/webhook.html", {**one, "stream": well, "tried": arrived})
    yield Sample("webhook-fails", "console/webhook.html", {**one, "stream": failing, "tried": lost})
    yield Sample("webhook-off", "console/webhook.html", {**one, "stream": off, "tried": None, "attempts": []})
    made = {"frame": frame("developer"), "stream": well, "address": address, "secret": "whsec_" + "s" * 44}
    yield Sample("webhook-secret", "console/webhook_secret.html", made, 201)


def _developer() -> Iterator[Sample]:
    token = Values(
        id="tok_1",
        name="Terraform",
        scopes=frozenset({"seats:read", "members:read"}),
        created=NOW,
        expires=None,
        last_used=NOW,
    )
    scopes = "seats:read seats:write billing:read members:read members:write connections:write audit:read scim"
    page = {
        "frame": frame("developer"),
        "tokens": [token],
        "origin": "https://gate.example",
        "scopes": [*scopes.split(), "scim:read"],
        "form": {},
        "errors": [],
    }
    yield Sample("developer", "console/developer.html", page)
    wrong = [{"field": "scopes", "text": "Choose at least one thing that the token may do"}]
    form = {"name": "Terraform", "lifetime": "30"}
    yield Sample(
        "developer-wrong", "console/developer.html", {**page, "tokens": [], "form": form, "errors": wrong}, 422
    )
    made = {"frame": frame("developer"), "token": token, "secret": "sgt_" + "s" * 43}
    yield Sample("token-made", "console/token_made.html", made, 201)
