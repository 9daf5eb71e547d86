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
from sso_gate.audit.stored_exports import StoredExport
from sso_gate.billing.details import BillingDetails
from sso_gate.errors import Reason
from sso_gate.login.trace import steps_until

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
    areas=("members", "billing", "access", "audit", "notifications", "developer"),
    current="billing",
    banner=None,
    stay=Values(until=NOW + timedelta(hours=8), latest=NOW + timedelta(hours=24), left=28_800, extends=True),
)
SEATS = Values(purchased=100, in_use=96, reserved=4, available=0, waiting=7, as_of=NOW)
TABS = {"invites": 2, "requests": 25, "inactive": 5}
ROOMY = Values(purchased=100, in_use=61, reserved=4, available=35, waiting=0, as_of=NOW)


DETAILS = BillingDetails(
    Party(
        name="Acme Indústria e Comércio Ltda.",
        address=("Av. Paulista 1000, 12º andar",),
        city="São Paulo SP",
        postcode="01310-100",
        country="BR",
        tax_id="12.345.678/0001-90",
        email="finance@acme.example",
    ),
    ("contabilidade@escritorio.example",),
    "console",
)


def frame(current: str = "billing", waiting: int = 0, left: int | None = None) -> Values:
    """The frame of a console page in this area, with a banner of who waits, or of how few seats are left."""
    told = Values(waiting=waiting, left=left or 0, seen=1) if waiting or left is not None else None
    return Values(**{**vars(FRAME), "current": current, "banner": told})


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
            language="en",
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
        "organization_slug": "acme",
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
        "organization_slug": "acme",
        "show_break_glass": False,
    }
    yield Sample("login", "login/login.html", plain)
    last = Values(name="Okta (Acme BR)", url="/login/acme-okta")
    yield Sample("login-last", "login/login.html", {**plain, "last_connection": last, "show_break_glass": True})
    yield Sample("login-unknown", "login/login.html", {**plain, "email": "ana@acne.example", "error": "unknown"})
    text = "This sign-in is too old or was already used. Start again."
    yield Sample(
        "refused",
        "login/refused.html",
        {"text": text, "family": "it", "reference": "9Q2W-7KXM", "try_again_url": "/login"},
        400,
    )
    yield Sample("break-glass", "login/break_glass.html", {"email": "", "error": ""})
    yield Sample("break-glass-wrong", "login/break_glass.html", {"email": "ana@acme.example", "error": "wrong"}, 422)
    yield Sample("help", "login/help.html", {"contact": "it@acme.example, +55 11 5555 0100"})
    steps = steps_until(Reason.RESPONSE_EXPIRED, "812 s")
    person = {"subject": "00u1", "email": "ana@acme.example", "name": "", "groups": ""}
    trial = {"connection_name": "Okta (Acme BR)", "steps": steps, "person": person, "refused": True}
    yield Sample("trial", "login/trial.html", trial)
    yield Sample("signed-out", "login/signed_out.html", {"provider_too": False})


def _waiting() -> Iterator[Sample]:
    yield Sample("denied-blocked", "waiting/denied.html", denied("blocked"), 403)
    yield Sample("denied-too-long", "waiting/denied.html", denied("blocked", typed="x" * 300), 422)
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
        "with_more": Values(add=7, last_until=date(2027, 6, 9), earliest=date(2027, 5, 20), latest=date(2027, 6, 30)),
        "idle": 5,
        "idle_days": 60,
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
    lasting = Values(add=20, last_until=date(2027, 10, 3))
    what_if = Values(add="20", on="2027-06-15", preview=preview, outlook=lasting, problem=None)
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
    short = {**roomy, "frame": frame(left=2), "seats": Values(**{**vars(ROOMY), "available": 2})}
    yield Sample("billing-short", "console/billing.html", short)
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
        "details": DETAILS,
        "mail": True,
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
        "people": [
            Values(email="ana@acme.example", where="in", held_until=None),
            Values(email="li@acme.example", where="returns", held_until=NOW + timedelta(hours=72)),
            Values(email="a-rather-long-address-of-somebody@acme.example", where="waits", held_until=None),
            Values(email="tom@acme.example", where="gone", held_until=None),
        ],
    }
    yield Sample("seats-done", "console/seats_done.html", done)
    yield Sample(
        "invoices",
        "console/invoices.html",
        {"frame": frame(), "invoices": invoice_rows(), "older": "?after=INV-2027-000001", "newer": ""},
    )


def member(email: str, role: str, state: str, **values: Any) -> Values:
    """One member."""
    given = {
        "id": f"mem_{email.partition('@')[0]}",
        "name": "",
        "last_login": None,
        "source": "login",
        "seat_since": NOW if state == "held" else None,
    }
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
        "via": {"connection": "acme-okta", "protocol": "saml", "token": "", "initiated": "sp", "mfa": None},
        "target": {"type": "member", "id": "mem_2", "name": "bruno.albuquerque.de.vasconcellos@filial.acme.example"},
        "client": {"ip": "198.51.100.7", "ua": ""},
        "request": {"id": "req_1", "method": "POST", "route": "/sso/saml/{connection}/acs"},
        "session": None,
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
        member("li@acme.example", "owner", "held", name="Li Wei"),
    ]
    members = {
        "frame": frame("members"),
        "zone": ZONE,
        "members": people,
        "asked": {"q": "", "role": "", "state": "held", "source": "", "unused": "60", "sort": "login"},
        "sort_links": dict.fromkeys(("email", "role", "seat", "source", "login"), "?sort=-email"),
        "csv": "/settings/members/export.csv",
        "may_manage": True,
        "may_hand_over": True,
        "tabs": TABS,
        "current": "inactive",
        "unused_days": (30, 60, 90, 180),
        "older": "?after=li",
        "newer": "",
        "done": "released",
    }
    yield Sample("members", "console/members.html", members)
    yield Sample(
        "members-none",
        "console/members.html",
        {**members, "members": [], "may_manage": False, "tabs": None, "current": "members", "done": "", "older": ""},
    )
    release = {"frame": frame("members"), "member": people[1], "next_in_line": PEOPLE[2], "taker": "", "errors": []}
    yield Sample("member-release", "console/member_release.html", release)
    yield Sample("member-primary", "console/member_primary.html", {"frame": frame("members"), "member": people[4]})
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
        {
            "frame": frame("members"),
            "zone": ZONE,
            "people": PEOPLE,
            "tabs": TABS,
            "older": "?page=2",
            "newer": "",
            "may_buy": False,
            "told_at": NOW,
            "done": True,
            "errors": [],
        },
    )
    invited = [
        Values(email="carla@acme.example", name="", since=NOW, until=NOW + timedelta(days=14)),
        Values(email="bruno.albuquerque.de.vasconcellos@acme.example", name="Bruno", since=NOW, until=NOW),
    ]
    invites = {
        "frame": frame("members", waiting=4),
        "zone": ZONE,
        "invites": invited,
        "tabs": TABS,
        "available": 0,
        "days": 14,
        "can_mail": True,
        "may_buy": True,
        "email": "",
        "done": "invited",
        "errors": [],
    }
    yield Sample("invites", "console/invites.html", invites)
    wrong = [{"field": "email", "text": "Enter an address in one of your organization's domains"}]
    none = {**invites, "invites": [], "available": 3, "email": "x@y.example", "done": "", "errors": wrong}
    yield Sample("invites-wrong", "console/invites.html", none, 422)
    filters = ("outcome", "reason", "action", "person", "connection", "address", "reference")
    asked = dict.fromkeys((*filters, "since", "until", "days", "times"), "")
    log = {
        "frame": frame("audit"),
        "events": [event("denied", reason="seat_unavailable"), event("success", seat=None, reference="")],
        "summary": Values(events=41, denied=23, people=19, more=False),
        "chart": Values(
            bars=(Values(x=0, y=0.0, height=120.0, strength=1, day="2027-03-01", reason="seat_unavailable", count=23),),
            width=24,
            height=120,
            rows=(("2027-03-01", "seat_unavailable", 23),),
            total=23,
        ),
        "asked": asked,
        "periods": ("7",),
        "connections": [("acme-okta", "Okta (Acme BR)")],
        "exports": [("jsonl", "?jsonl"), ("csv", "?csv"), ("ocsf", "?ocsf")],
        "large": False,
        "kept": {},
        "stored": [],
        "mail": True,
        "proof": Values(size=18233, at=NOW, problem=""),
        "kept_days": 400,
        "other_times": "?times=local",
        "reasons": ["seat_unavailable", "replayed"],
        "actions": ["auth.login"],
        "older": "",
        "newer": "",
        "api_query": "https://gate.example/api/v1/audit-events?",
        "errors": [],
    }
    yield Sample("audit", "console/audit.html", log)
    exports = {
        state: StoredExport("exp_1", "jsonl", "ana@acme.example", 41_230, 12_500, name, NOW, ended)
        for state, name, ended in (("running", "", None), ("ready", "1-41230", NOW), ("failed", "", NOW))
    }
    large = {"large": True, "kept": {"outcome": "denied"}, "stored": list(exports.values()), "mail": True}
    large["errors"] = [{"field": "exports", "text": "No further file can be made now."}]
    yield Sample("audit-large", "console/audit.html", {**log, **large})
    for state, export in exports.items():
        context = {"frame": frame("audit"), "export": export, "mail": state != "running"}
        yield Sample(f"audit-export-{state}", "console/audit_export.html", context)
    broken = Values(size=17, at=NOW, problem="position 18 is missing")
    none = {"events": [], "chart": Values(bars=()), "proof": broken}
    yield Sample("audit-none", "console/audit.html", {**log, **none})
    yield from _audit_event()


def _audit_event() -> Iterator[Sample]:
    chain = {"chain": {"pos": 18233}, "check": "", "repeat": {"count": 1}, "session": "0123456789abcdef"}
    refused = event("denied", reason="seat_unavailable", **chain)
    one = {"frame": frame("audit"), "text": "{}", "earlier": "evt_0", "later": "evt_2", "answer": ""}
    seen = steps_until(Reason.SEAT_UNAVAILABLE, "100 / 100")
    yield Sample("audit-event", "console/audit_event.html", {**one, "event": refused, "steps": seen})
    flood = event(
        "denied", reason="replayed", **{**chain, "repeat": {"count": 500}}, actor={"type": "user", "id": "", "name": ""}
    )
    other = {"event": flood, "steps": (), "earlier": "", "later": ""}
    yield Sample("audit-event-flood", "console/audit_event.html", {**one, **other})
