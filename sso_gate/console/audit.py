"""S11: the audit log, newest first, by filters that stand in the address."""

import json
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action
from sso_gate.audit.store import AuditFilter
from sso_gate.console.frame import visit
from sso_gate.errors import Reason
from sso_gate.members.roles import Area
from sso_gate.web.limits import Field, read_query
from sso_gate.web.templates import render

PAGE = 50
_FILTERS = ("outcome", "reason", "action", "person", "connection", "address", "reference")


async def listing(request: Request) -> Response:
    """The events that fit the filters, fifty at a time."""
    at = await visit(request, Area.AUDIT)
    asked = read_query(request, after=Field(max_length=64), **dict.fromkeys(_FILTERS, Field(max_length=320)))
    wanted = AuditFilter(**asked, newest_first=True)
    found = await at.runtime.database.read(lambda tx: audit.page(tx, at.organization.id, wanted, limit=PAGE))
    events: list[dict[str, Any]] = [json.loads(event) for event in found.events]
    kept = {name: asked[name] for name in _FILTERS if asked[name]}
    return render(
        request,
        "console/audit.html",
        frame=await at.frame(),
        events=events,
        asked=asked,
        reasons=[str(reason) for reason in Reason],
        actions=[str(action) for action in Action],
        older=f"?{urlencode({**kept, 'after': found.next_after})}" if found.next_after else "",
        newer=f"/settings/audit?{urlencode(kept)}" if asked["after"] else "",
        api_query=f"{at.runtime.settings.origin}/api/v1/audit-events?{urlencode(kept)}",
    )


def routes() -> list[Route]:
    """Return the route of the audit log."""
    return [Route("/settings/audit", listing)]
