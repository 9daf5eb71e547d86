"""S11: the audit log, newest first, by filters that stand in the address."""

import json
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.audit import reading
from sso_gate.audit.event import Action, Client
from sso_gate.audit.store import AuditFilter
from sso_gate.console import audit_chart
from sso_gate.console.frame import visit
from sso_gate.errors import InvalidInput, Reason
from sso_gate.members.roles import Area
from sso_gate.web.limits import Field, read_query
from sso_gate.web.request_state import client_address, request_id
from sso_gate.web.templates import render

PAGE = 50
_FILTERS = ("outcome", "reason", "action", "person", "connection", "address", "reference")


async def listing(request: Request) -> Response:
    """The events that fit the filters, fifty at a time."""
    at = await visit(request, Area.AUDIT)
    dates = {"since": Field(max_length=10), "until": Field(max_length=10)}
    asked = read_query(request, after=Field(max_length=64), **dates, **dict.fromkeys(_FILTERS, Field(max_length=320)))
    since, until = _day(asked, "since"), _day(asked, "until", days=1)
    words = {name: asked[name] for name in (*_FILTERS, "after")}
    wanted = AuditFilter(**words, newest_first=True, since=since, until=until)
    log, client = at.organization.id, Client(client_address(request), "", request_id(request))
    found = await reading.read(at.runtime, log, wanted, limit=PAGE, by=at.actor, client=client)
    begin, end = audit_chart.span(since, until, at.runtime.clock.now())
    denied = await reading.denials(at.runtime, log, since=begin, until=end)
    events: list[dict[str, Any]] = [json.loads(event) for event in found.events]
    kept = {name: asked[name] for name in (*_FILTERS, *dates) if asked[name]}
    return render(
        request,
        "console/audit.html",
        frame=await at.frame(),
        events=events,
        chart=audit_chart.draw(denied, begin=begin, end=end),
        asked=asked,
        reasons=[str(reason) for reason in Reason],
        actions=[str(action) for action in Action],
        older=f"?{urlencode({**kept, 'after': found.next_after})}" if found.next_after else "",
        newer=f"/settings/audit?{urlencode(kept)}" if asked["after"] else "",
        api_query=f"{at.runtime.settings.origin}/api/v1/audit-events?{urlencode(kept)}",
    )


def _day(asked: dict[str, str], name: str, *, days: int = 0) -> datetime | None:
    """Return the beginning (UTC) of the day that was asked for, or of the one behind it."""
    if not asked[name]:
        return None
    try:
        return datetime.combine(date.fromisoformat(asked[name]), time(0), UTC) + timedelta(days=days)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(name, "expected a date, such as 2026-11-20") from error


def routes() -> list[Route]:
    """Return the route of the audit log."""
    return [Route("/settings/audit", listing)]
