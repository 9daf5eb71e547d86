"""Every page with sample values, for looking at and for the checks that need a page but no gate.

A sample is a name, a template and its context. Values are shaped as the use cases give them; the numbers are a
story: a full organization, seven people waiting, one owner who adds seven seats.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace as Values
from typing import Any

from billing_core.contracts import Contract, Party, Seller
from billing_core.invoices import Grid, Invoice
from billing_core.lines import quote_line, renewal_line
from billing_core.money import Money
from billing_core.taxes import invoice_totals

NOW = datetime(2027, 3, 1, 17, 5, tzinfo=UTC)
ZONE = "America/Sao_Paulo"


@dataclass(frozen=True, slots=True)
class Sample:
    """One page as it is shown once."""

    name: str
    template: str
    context: dict[str, Any]
    status: int = 200


CONTRACT = Contract(
    anchor_date=date(2027, 1, 1),
    timezone=ZONE,
    currency="USD",
    unit_price="30.00",
    auto_renew=True,
    tax=[{"category": "S", "rate_percent": "19"}],
)
FRAME = Values(
    organization_name="Acme Ltda.",
    person_name="Ana Souza",
    person_email="ana@acme.example",
    areas=("members", "billing", "access", "audit", "developer"),
    current="billing",
    waiting=0,
)
SEATS = Values(purchased=100, in_use=96, reserved=4, available=0, waiting=7, as_of=NOW)
ROOMY = Values(purchased=100, in_use=61, reserved=4, available=35, waiting=0, as_of=NOW)


def frame(current: str = "billing", waiting: int = 0) -> Values:
    """The frame of a console page in this area."""
    return Values(**{**vars(FRAME), "current": current, "waiting": waiting})


def person(email: str, state: str, **values: Any) -> Values:
    """One waiting person."""
    given = {
        "member_id": f"mem_{email}",
        "name": "",
        "first_refused_at": NOW - timedelta(hours=3),
        "tries": 1,
        "message": "",
        "held_until": None,
    }
    return Values(email=email, state=state, **{**given, **values})


PEOPLE = [
    person("li@acme.example", "held", name="Li Wei", tries=3, held_until=NOW + timedelta(hours=72)),
    person(
        "bruno.albuquerque.de.vasconcellos@filial.acme.example",
        "asked",
        name="Bruno Albuquerque",
        tries=3,
        message="New in finance, need it for month-end",
    ),
    person("eva@acme.example", "blocked"),
    person("joão@acme.example", "declined", name="João"),
]


def quote(add: int = 7, expires_at: datetime = NOW + timedelta(minutes=30)) -> Values:
    """A quote as billing gives it."""
    line, renewal = quote_line(CONTRACT, add, NOW), renewal_line(CONTRACT, 100 + add, NOW)
    totals = invoice_totals([line])
    return Values(
        id="quo_01",
        digest="a" * 64,
        add=add,
        seats_before=100,
        seats_after=100 + add,
        line=line,
        totals=totals,
        gross=totals.money(totals.gross),
        renewal=renewal,
        renewal_totals=invoice_totals([renewal]),
        expires_at=expires_at,
    )


def invoice() -> Invoice:
    """An invoice as billing gives it."""
    line = quote_line(CONTRACT, 7, NOW)
    return Invoice(
        number="INV-2027-000012",
        kind="invoice",
        origin="order",
        issued_on=NOW.date(),
        issued_at=NOW,
        due_on=date(2027, 3, 31),
        seller=Seller(
            name="Example GmbH", address=("Beispielstr. 1",), city="Berlin", country="DE", timezone="Europe/Berlin"
        ),
        buyer=Party(name="Acme Ltda.", country="BR", tax_id="12.345.678/0001-90"),
        locale="en",
        lines=(line,),
        totals=invoice_totals([line]),
        grid=Grid("con_1", CONTRACT.anchor_date, ZONE, 12, "started_month", 0, NOW),
    )


def invoice_rows() -> list[Values]:
    """Rows of the list of invoices, one of each state."""
    text = "7 seats × 10 months (1 Mar 2027 – 31 Dec 2027) at USD 30.00 per seat and month"
    return [
        Values(
            number=f"INV-2027-{12 - index:06}",
            kind="invoice",
            issued_on=date(2027, 3, 1),
            text=text,
            gross=Money(249900, "USD"),
            status=status,
        )
        for index, status in enumerate(("open", "overdue", "paid", "settled", "credited"))
    ]


def denied(state: str, family: str = "seat", **values: Any) -> dict[str, Any]:
    """The context of the denied page."""
    given = {
        "person_email": "ana@acme.example",
        "organization_name": "Acme Ltda.",
        "state": state,
        "ticket": "t" * 22,
        "reference": "9Q2W-7KXM",
        "reason": "seat_unavailable",
        "reason_text": "",
        "asked_at": None,
        "held_until": None,
        "message": "",
        "can_mail": True,
        "continue_url": "/login/acme-okta?return_to=rt_1",
        "family": family,
        "refused_at": NOW,
    }
    return {**given, **values}


def samples() -> Iterator[Sample]:
    """Every page in every state worth looking at."""
    yield from _login()
    yield from _waiting()
    yield from _errors()
    yield from _billing()
    yield from _settings()


def _login() -> Iterator[Sample]:
    plain: dict[str, Any] = {
        "organization_name": "Acme Ltda.",
        "email": "",
        "error": "",
        "return_to": "",
        "bind": "",
        "choices": [],
        "last_connection": None,
        "show_break_glass": False,
    }
    yield Sample("login", "login/login.html", plain)
    last = Values(name="Okta (Acme BR)", url="/login/acme-okta")
    yield Sample("login-last", "login/login.html", {**plain, "last_connection": last, "show_break_glass": True})
    yield Sample("login-unknown", "login/login.html", {**plain, "email": "ana@acne.example", "error": "unknown"})
    text = "This sign-in is too old or was already used. Start again."
    yield Sample(
        "refused", "login/refused.html", {"text": text, "reference": "9Q2W-7KXM", "try_again_url": "/login"}, 400
    )
    yield Sample("break-glass", "login/break_glass.html", {"email": "", "error": ""})
    yield Sample("break-glass-wrong", "login/break_glass.html", {"email": "ana@acme.example", "error": "wrong"}, 422)
    yield Sample("help", "login/help.html", {"contact": ""})
    steps = [
        {"name": "Signature", "mark": "passed", "note": ""},
        {"name": "Time window", "mark": "failed", "note": "812 s"},
        {"name": "Seat", "mark": "not reached", "note": ""},
    ]
    trial = {"connection_name": "Okta (Acme BR)", "steps": steps, "person": {"email": "ana@acme.example", "name": ""}}
    yield Sample("trial", "login/trial.html", trial)
    yield Sample("signed-out", "login/signed_out.html", {"provider_too": False})


def _waiting() -> Iterator[Sample]:
    yield Sample("denied-blocked", "waiting/denied.html", denied("blocked"), 403)
    yield Sample("denied-too-long", "waiting/denied.html", denied("blocked", message="x" * 300, too_long=True), 422)
    yield Sample("denied-asked", "waiting/denied.html", denied("asked", asked_at=NOW, message="New in finance"), 403)
    yield Sample("denied-remind", "waiting/denied.html", denied("asked", asked_at=NOW, can_remind=True), 403)
    reminded = denied("asked", asked_at=NOW, reminded_at=NOW, message="New in finance")
    yield Sample("denied-reminded", "waiting/denied.html", reminded, 403)
    yield Sample("denied-held", "waiting/denied.html", denied("held", held_until=NOW + timedelta(hours=72)), 403)
    yield Sample(
        "denied-declined", "waiting/denied.html", denied("declined", answer="Ask again in April, please."), 403
    )
    yield Sample("denied-expired", "waiting/denied.html", denied("expired"), 403)
    sentence = "Your company hasn't assigned this application to you yet. Ask your IT team."
    for family in ("you", "it", "owners", "us"):
        context = denied("blocked", family, reason="not_assigned", reason_text=sentence)
        yield Sample(f"denied-{family}", "waiting/denied.html", context, 403)


def _errors() -> Iterator[Sample]:
    yield Sample("not-found", "web/not_found.html", {}, 404)
    for status in (400, 403, 500, 503):
        context = {
            "status": status,
            "problem": "cross_origin" if status == 403 else "",
            "text": "",
            "reference": "0f3a9c1be2d47788" if status >= 500 else "",
        }
        yield Sample(f"problem-{status}", "web/problem.html", context, status)


def _billing() -> Iterator[Sample]:
    home = {
        "frame": frame(waiting=7),
        "zone": ZONE,
        "seats": SEATS,
        "people": PEOPLE,
        "invoices": invoice_rows(),
        "may_buy": True,
        "hold_for_waiting": True,
        "history": [],
        "forecast": None,
        "what_if": None,
    }
    yield Sample("billing-full", "console/billing.html", home)
    days = [
        Values(day=date(2026, 9, 1) + timedelta(days=index), in_use=60 + index // 6 + (index % 7 == 3))
        for index in range(181)
    ]
    forecast = Values(
        runs_out=date(2027, 6, 9),
        earliest=date(2027, 5, 20),
        latest=date(2027, 6, 30),
        change=9,
        days=56,
        ahead=[91.0, 92.5, 94, 95, 96.5, 98] * 5,
    )
    preview = Values(
        line=quote_line(CONTRACT, 20, NOW),
        totals=invoice_totals([quote_line(CONTRACT, 20, NOW)]),
        renewal=renewal_line(CONTRACT, 120, NOW),
        seats_after=120,
    )
    what_if = Values(add="20", on="2027-06-15", preview=preview, error="")
    roomy = {
        **home,
        "frame": frame(),
        "seats": ROOMY,
        "people": [],
        "history": days,
        "forecast": forecast,
        "what_if": what_if,
    }
    yield Sample("billing-roomy", "console/billing.html", roomy)
    yield Sample("billing-viewer", "console/billing.html", {**home, "may_buy": False, "invoices": [], "people": []})
    edit = {
        "frame": frame(),
        "seats": SEATS,
        "add": "7",
        "errors": [],
        "prefilled": True,
        "outlook": Values(add=7, last_until=date(2027, 6, 9)),
    }
    yield Sample("seats-edit", "console/seats_edit.html", edit)
    wrong = [{"field": "add", "text": "Enter a whole number from 1 to 10,000"}]
    yield Sample(
        "seats-edit-wrong",
        "console/seats_edit.html",
        {**edit, "add": "0", "prefilled": False, "errors": wrong, "outlook": None},
        422,
    )
    review = {
        "frame": frame(),
        "zone": ZONE,
        "quote": quote(),
        "idempotency_key": "k" * 22,
        "po_number": "",
        "po_required": False,
        "bill_to": "finance@acme.example",
        "stale": "",
        "changed_by": None,
        "errors": [],
    }
    yield Sample("seats-review", "console/seats_review.html", review)
    changed = Values(ordered_by="Bruno", added=5, ordered_at=NOW)
    yield Sample("seats-stale", "console/seats_review.html", {**review, "stale": "changed", "changed_by": changed}, 409)
    done = {
        "frame": frame(),
        "zone": ZONE,
        "order": Values(added=7, seats_after=107),
        "invoice": invoice(),
        "people": PEOPLE,
    }
    yield Sample("seats-done", "console/seats_done.html", done)
    yield Sample(
        "invoices",
        "console/invoices.html",
        {"frame": frame(), "invoices": invoice_rows(), "older": "?after=INV-2027-000001", "newer": ""},
    )


def member(email: str, role: str, state: str, **values: Any) -> Values:
    """One member."""
    given = {"id": f"mem_{email.partition('@')[0]}", "name": "", "last_login": None}
    return Values(email=email, role=role, state=state, **{**given, **values})


def event(outcome: str, **values: Any) -> dict[str, Any]:
    """One event of the audit log, as it is stored."""
    given = {
        "id": "evt_1",
        "time": "2027-03-01T14:03:00.123456Z",
        "action": "auth.login",
        "outcome": outcome,
        "reason": None,
        "reference": "9Q2W7KXM",
        "actor": {"type": "user", "id": "mem_1", "name": "ana@acme.example"},
        "via": {"connection": "acme-okta", "protocol": "saml", "token": ""},
        "client": {"ip": "198.51.100.7", "ua": ""},
        "seat": {"limit": 100, "used": 96},
    }
    return {**given, **values}


def _settings() -> Iterator[Sample]:
    home = {"frame": frame(""), "role": "owner", "has_seat": True, "groups": (), "since": NOW}
    yield Sample("home", "console/home.html", home)
    yield Sample("home-no-seat", "console/home.html", {**home, "has_seat": False})
    people = [
        member("ana@acme.example", "primary_owner", "held", name="Ana Souza", last_login=NOW),
        member("bruno.albuquerque.de.vasconcellos@filial.acme.example", "admin", "held", name="Bruno Albuquerque"),
        member("eva@acme.example", "user", "waiting"),
        member("joão@acme.example", "user", "blocked"),
        member("li@acme.example", "owner", "released", name="Li Wei"),
    ]
    members = {
        "frame": frame("members"),
        "zone": ZONE,
        "members": people,
        "asked": {"q": "", "role": "", "state": "held", "sort": "email"},
        "sort_links": dict.fromkeys(("email", "role", "seat", "login"), "?sort=-email"),
        "csv": "/settings/members/export.csv",
        "may_manage": True,
        "waiting_count": 4,
        "older": "?after=li",
        "newer": "",
        "done": "released",
    }
    yield Sample("members", "console/members.html", members)
    yield Sample(
        "members-none",
        "console/members.html",
        {**members, "members": [], "may_manage": False, "done": "", "older": ""},
    )
    release = {"frame": frame("members"), "member": people[1], "next_in_line": PEOPLE[2], "taker": "", "errors": []}
    yield Sample("member-release", "console/member_release.html", release)
    wrong = [{"field": "email", "text": "Enter an email address, such as ana@example.com"}]
    yield Sample(
        "member-release-wrong",
        "console/member_release.html",
        {**release, "next_in_line": None, "taker": "x", "errors": wrong},
        422,
    )
    yield Sample(
        "requests",
        "console/requests.html",
        {"frame": frame("members"), "zone": ZONE, "people": PEOPLE, "may_buy": False, "errors": []},
    )
    asked = dict.fromkeys(("outcome", "reason", "action", "person", "connection", "address", "reference"), "")
    log = {
        "frame": frame("audit"),
        "events": [event("denied", reason="seat_unavailable"), event("success", seat=None, reference="")],
        "asked": asked,
        "reasons": ["seat_unavailable", "replayed"],
        "actions": ["auth.login"],
        "older": "",
        "newer": "",
        "api_query": "https://gate.example/api/v1/audit-events?",
    }
    yield Sample("audit", "console/audit.html", log)
    yield Sample("audit-none", "console/audit.html", {**log, "events": []})
    yield from _access()
    yield from _developer()


def _access() -> Iterator[Sample]:
    saml = Values(idp_entity_id="https://idp.example/metadata", sso_url="https://idp.example/sso")
    attributes = Values(email="mail", name="", groups="groups")
    okta = Values(
        id="acme-okta",
        name="Okta (Acme BR)",
        protocol="saml",
        enabled=True,
        settings=saml,
        attributes=attributes,
        roles={"gate-owners": "owner"},
    )
    issuer = Values(issuer="https://login.example", client_id="sso-gate")
    oidc = Values(**{**vars(okta), "id": "acme-oidc", "name": "Entra ID", "protocol": "oidc", "settings": issuer})
    oidc.enabled, oidc.roles = False, {}
    code = Values(id="brk_1", email="ana@acme.example", created=NOW, expires=NOW + timedelta(days=7))
    listed = {
        "frame": frame("access"),
        "rows": [(okta, 12), (oidc, None)],
        "domains": ("acme.example",),
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
        "problem": "",
    }
    yield Sample("connection-saml", "console/connection.html", shown)
    off = {
        **shown,
        "connection": oidc,
        "certificates": [],
        "look": Values(held=(), problem="HTTP 503"),
        "own": False,
        "problem": "untested",
    }
    yield Sample("connection-oidc", "console/connection.html", off, 409)
    steps = [
        {"name": "Connection is enabled", "mark": "not done", "note": "not enabled yet"},
        {"name": "Identity provider answered", "mark": "passed", "note": ""},
        {"name": "Signed by a known key", "mark": "failed", "note": "key_unknown: no pinned certificate has signed it"},
        {"name": "Seat", "mark": "not reached", "note": ""},
    ]
    link = "https://gate.example/login/acme-okta?trial=" + "t" * 32
    trace = {"frame": frame("access"), "connection": okta, "trial": None, "link": link, "may_manage": True}
    yield Sample("trial-asked", "console/trace.html", trace)
    failed = Values(steps=steps, person={}, reason="key_unknown")
    yield Sample("trial-failed", "console/trace.html", {**trace, "trial": failed})
    person = {"subject": "00u1", "email": "ana@acme.example", "name": "Ana", "groups": "gate-owners, finance"}
    passed = Values(steps=[{"name": "Seat", "mark": "passed", "note": "would take a seat"}], person=person, reason="")
    yield Sample("trial-passed", "console/trace.html", {**trace, "trial": passed})
    owners = [Values(email="ana@acme.example", name="Ana Souza"), Values(email="li@acme.example", name="")]
    issue = {"frame": frame("access"), "owners": owners, "email": "", "code": "", "address": "https://gate.example/x"}
    yield Sample("code-ask", "console/emergency_code.html", issue)
    made = {**issue, "email": "ana@acme.example", "code": "7K3M9-Q2W8R-XXXXX-XXXXX"}
    yield Sample("code-issued", "console/emergency_code.html", made, 201)


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
