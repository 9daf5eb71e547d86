"""S11: the audit log, newest first, by filters that stand in the address; the same to take away."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from sso_gate.audit import proving, reading, retention
from sso_gate.audit.event import Action, Client
from sso_gate.audit.export import export
from sso_gate.audit.store import FILTERED, AuditFilter
from sso_gate.connections import store as connections
from sso_gate.console import audit_chart, audit_event
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import InvalidInput, NotFound, Reason
from sso_gate.members.roles import Area
from sso_gate.web.limits import Field, read_query
from sso_gate.web.request_state import client_address, request_id
from sso_gate.web.templates import render

PAGE = 50
PERIODS = ("1", "7", "30", "90")
_DATES = ("since", "until")
# What a file is called and holds, by the form of the export.
FILES = {
    "events.jsonl": ("jsonl", "application/x-ndjson"),
    "events.csv": ("csv", "text/csv; charset=utf-8"),
    "events.ocsf.jsonl": ("ocsf", "application/x-ndjson"),
}


async def listing(request: Request) -> Response:
    """The events that fit the filters, fifty at a time, and how many those are."""
    at = await visit(request, Area.AUDIT)
    asked = _asked(request)
    wanted = _wanted(asked, at.runtime.clock.now())
    log, runtime = at.organization.id, at.runtime
    found = await reading.read(runtime, log, wanted, limit=PAGE, by=at.actor, client=_client(request))
    begin, end = audit_chart.span(wanted.since, wanted.until, runtime.clock.now())
    denied = await reading.denials(runtime, log, since=begin, until=end)
    kept = {name: word for name, word in asked.items() if word and name != "after"}
    api = {name: word for name, word in kept.items() if name in (*FILTERED, *_DATES)}
    return render(
        request,
        "console/audit.html",
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
        proof=await proving.last_proof(runtime, log),
        kept_days=await retention.retention_days(runtime, log),
        other_times="?" + urlencode({**kept, "times": "" if asked["times"] else "local"}),
        older=f"?{urlencode({**kept, 'after': found.next_after})}" if found.next_after else "",
        newer=f"/settings/audit?{urlencode(kept)}" if asked["after"] else "",
        api_query=f"{runtime.settings.origin}/api/v1/audit-events?{urlencode(api)}",
    )


async def download(request: Request) -> Response:
    """What the filters show as a file, in the order of the chain; it is sent as it is read, whatever its size."""
    at = await visit(request, Area.AUDIT)
    form, media_type = FILES[request.url.path.rpartition("/")[2]]
    wanted = _wanted(_asked(request), at.runtime.clock.now())
    span, blocks = await export(at.runtime, at.organization.id, wanted, form=form, by=at.actor, client=_client(request))
    ending = "csv" if form == "csv" else "jsonl"
    name = f"audit-{at.organization.slug}-{span.first}-{span.last}.{ending}"
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(blocks, media_type=media_type, headers=headers)


async def one(request: Request) -> Response:
    """One event in full, by its id or by the reference on the person's page; a login with every check of it."""
    at = await visit(request, Area.AUDIT)
    name = request.path_params["event"]
    wanted = name if name.startswith("evt_") else audit_event.read_out(name)
    found = await reading.find(at.runtime, at.organization.id, wanted, by=at.actor, client=_client(request))
    if found is None:
        raise NotFound("no such event")
    event: dict[str, Any] = json.loads(found.line)
    return render(
        request,
        "console/audit_event.html",
        frame=await at.frame(),
        event=event,
        steps=audit_event.steps(event),
        text=json.dumps(event, ensure_ascii=False, indent=2),
        earlier=found.earlier,
        later=found.later,
    )


def _asked(request: Request) -> dict[str, str]:
    words = dict.fromkeys(FILTERED, Field(max_length=320))
    short = dict.fromkeys((*_DATES, "days", "times"), Field(max_length=10))
    asked = read_query(request, after=Field(max_length=64), **short, **words)
    return {**asked, "reference": audit_event.read_out(asked["reference"])}


def _wanted(asked: dict[str, str], now: datetime) -> AuditFilter:
    since, until = _day(asked, "since"), _day(asked, "until", days=1)
    if since is None and until is None and asked["days"] in PERIODS:
        since = now - timedelta(days=int(asked["days"]))
    return AuditFilter(after=asked["after"], newest_first=True, since=since, until=until).narrowed(asked)


def _day(asked: dict[str, str], name: str, *, days: int = 0) -> datetime | None:
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


def _client(request: Request) -> Client:
    return Client(client_address(request), "", request_id(request))


def routes() -> list[Route]:
    """Return the routes of the audit log."""
    files = [Route(f"/settings/audit/{file}", download, methods=["GET"]) for file in FILES]
    return [Route("/settings/audit", listing), *files, Route("/settings/audit/{event}", one)]
