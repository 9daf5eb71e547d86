"""S11: the audit log, newest first, by filters that stand in the address; the same to take away."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from sso_gate.audit import proving, reading, retention, stored_exports
from sso_gate.audit.event import Action
from sso_gate.audit.export import export
from sso_gate.audit.store import FILTERED, AuditFilter
from sso_gate.connections import store as connections
from sso_gate.console import audit_chart, audit_event
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import InvalidInput, NotFound, Reason
from sso_gate.login.answer import kept_answer
from sso_gate.members.roles import Area, Permission
from sso_gate.web.limits import Field, read_query
from sso_gate.web.templates import render

PAGE = 50
PERIODS = ("1", "7", "30", "90")
_DATES = ("since", "until")
# The words that choose events; they stand in the address, and in the form that asks for a large export.
FILTERS = dict.fromkeys(FILTERED, Field(max_length=320)) | dict.fromkeys((*_DATES, "days"), Field(max_length=10))
# What a file is called and holds, by the form of the export.
FILES = {
    "events.jsonl": ("jsonl", "application/x-ndjson"),
    "events.csv": ("csv", "text/csv; charset=utf-8"),
    "events.ocsf.jsonl": ("ocsf", "application/x-ndjson"),
}


async def listing(request: Request) -> Response:
    """The events that fit the filters, fifty at a time, and how many those are."""
    return await list_page(request, await visit(request, Area.AUDIT), asked_for(request))


async def list_page(request: Request, at: Visit, asked: Mapping[str, str], *, problem: str = "") -> Response:
    """Return the page of what these words ask for; `problem` says why no file was made of it."""
    wanted = wanted_by(asked, at.runtime.clock.now())
    log, runtime = at.organization.id, at.runtime
    found = await reading.read(runtime, log, wanted, limit=PAGE, by=at.actor)
    begin, end = audit_chart.span(wanted.since, wanted.until, runtime.clock.now())
    denied = await reading.denials(runtime, log, since=begin, until=end)
    kept = {name: word for name, word in asked.items() if word and name != "after"}
    api = {name: word for name, word in kept.items() if name in (*FILTERED, *_DATES)}
    return render(
        request,
        "console/audit.html",
        HTTPStatus.CONFLICT if problem else HTTPStatus.OK,
        frame=await at.frame(),
        events=[json.loads(event) for event in found.events],
        summary=await reading.summary(runtime, log, wanted),
        chart=audit_chart.draw(denied, begin=begin, end=end),
        asked=asked,
        periods=PERIODS,
        connections=await runtime.database.read(lambda tx: _names(tx, at)),
        reasons=[str(reason) for reason in Reason],
        actions=[str(action) for action in Action],
        exports=[(form, f"/settings/audit/{file}?{urlencode(kept)}") for file, (form, _) in FILES.items()],
        large=await stored_exports.is_large(runtime, log, wanted),
        kept={name: word for name, word in kept.items() if name != "times"},
        stored=await stored_exports.exports_of(runtime, log),
        mail=bool(runtime.settings.smtp_url),
        proof=await proving.last_proof(runtime, log),
        kept_days=await retention.retention_days(runtime, log),
        other_times="?" + urlencode({**kept, "times": "" if asked["times"] else "local"}),
        older=f"?{urlencode({**kept, 'after': found.next_after})}" if found.next_after else "",
        newer=f"/settings/audit?{urlencode(kept)}" if asked["after"] else "",
        api_query=f"{runtime.settings.origin}/api/v1/audit-events?{urlencode(api)}",
        errors=[{"field": "exports", "text": problem}] if problem else [],
    )


async def download(request: Request) -> Response:
    """What the filters show as a file, in the order of the chain, sent as it is read; many events are for the page to
    ask for.
    """
    at = await visit(request, Area.AUDIT)
    form, media_type = FILES[request.url.path.rpartition("/")[2]]
    asked = asked_for(request)
    wanted = wanted_by(asked, at.runtime.clock.now())
    if await stored_exports.is_large(at.runtime, at.organization.id, wanted):
        kept = {name: word for name, word in asked.items() if word and name != "after"}
        return RedirectResponse(f"/settings/audit?{urlencode(kept)}#exports", HTTPStatus.SEE_OTHER)
    span, blocks = await export(at.runtime, at.organization.id, wanted, form=form, by=at.actor)
    headers = file_headers(at, form, f"{span.first}-{span.last}")
    return StreamingResponse(blocks, media_type=media_type, headers=headers)


def file_headers(at: Visit, form: str, span: str) -> dict[str, str]:
    """Return the headers of a file of the log."""
    name = f"audit-{at.organization.slug}-{span}.{'csv' if form == 'csv' else 'jsonl'}"
    return {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}


async def one(request: Request) -> Response:
    """One event in full, by its id or by the reference on the person's page; a login with every check of it."""
    at = await visit(request, Area.AUDIT)
    name = request.path_params["event"]
    wanted = name if name.startswith("evt_") else audit_event.read_out(name)
    found = await reading.find(at.runtime, at.organization.id, wanted, by=at.actor)
    if found is None:
        raise NotFound("no such event")
    event: dict[str, Any] = json.loads(found.line)
    return render(
        request,
        "console/audit_event.html",
        frame=await at.frame(),
        event=event,
        steps=audit_event.steps(event),
        answer=await _answer(at, event),
        text=json.dumps(event, ensure_ascii=False, indent=2),
        earlier=found.earlier,
        later=found.later,
    )


async def _answer(at: Visit, event: dict[str, Any]) -> str:
    """Return what the identity provider sent in this login, for owners, where it is kept."""
    if at.member.may(Area.ACCESS) is not Permission.MANAGE:
        return ""
    return await kept_answer(at.runtime, at.organization.id, event["reference"] or "")


def asked_for(request: Request) -> dict[str, str]:
    """Return the filters in the address, each empty where it is not there."""
    asked = read_query(request, after=Field(max_length=64), times=Field(max_length=10), **FILTERS)
    return {**asked, "reference": audit_event.read_out(asked["reference"])}


def wanted_by(asked: Mapping[str, str], now: datetime) -> AuditFilter:
    """Return the filter that these words mean now."""
    since, until = _day(asked, "since"), _day(asked, "until", days=1)
    if since is None and until is None and asked["days"] in PERIODS:
        since = now - timedelta(days=int(asked["days"]))
    return AuditFilter(after=asked["after"], newest_first=True, since=since, until=until).narrowed(asked)


def _day(asked: Mapping[str, str], name: str, *, days: int = 0) -> datetime | None:
    """Return the beginning (UTC) of the day that was asked for, or of the one behind it."""
    if not asked[name]:
        return None
    try:
        return datetime.combine(date.fromisoformat(asked[name]), time(0), UTC) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(name, "expected a date, such as 2026-11-20") from error


def _names(tx: Connection, at: Visit) -> list[tuple[str, str]]:
    found = connections.of_organization(tx, at.runtime.keyring, at.organization.id)
    return [(one.id, one.name) for one in found]


def routes() -> list[Route]:
    """Return the routes of the audit log."""
    files = [Route(f"/settings/audit/{file}", download, methods=["GET"]) for file in FILES]
    return [Route("/settings/audit", listing), *files, Route("/settings/audit/{event}", one)]
