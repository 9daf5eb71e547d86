"""How long somebody stays logged in, and staying longer (WCAG 2.2, 2.2.1: warned before, extended by one button)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sso_gate.admission.recheck import Recheck
from sso_gate.errors import NotFound
from sso_gate.sessions.session import Session
from sso_gate.storage.runtime import Runtime
from sso_gate.web.cookies import SESSION_COOKIE
from sso_gate.web.limits import read_form
from sso_gate.web.request_state import runtime_of


@dataclass(frozen=True, slots=True)
class Stay:
    """The session as it is after this page: it ends at `until`, at `latest` whatever is done; `left` are the whole
    seconds to `until`.
    """

    until: datetime
    latest: datetime
    left: int

    @classmethod
    def of(cls, runtime: Runtime, session: Session) -> Self:
        """Return how long a session lasts that has just been used."""
        now = runtime.clock.now()
        until = min(now + runtime.settings.session_idle, session.ends_at)
        return cls(until, session.ends_at, max(0, (until - now) // timedelta(seconds=1)))

    @property
    def extends(self) -> bool:
        """Whether opening a page makes it last longer; otherwise logging in anew does."""
        return self.until < self.latest


async def longer(request: Request) -> Response:
    """POST /session: use the session, so that it lasts, and say how many seconds it does. Nobody there: the 404."""
    runtime = runtime_of(request)
    signed_in = await Recheck.of(runtime).signed_in(SESSION_COOKIE.read(request))
    if signed_in is None:
        raise NotFound
    await read_form(request)
    stay = Stay.of(runtime, signed_in.session)
    return JSONResponse({"left": stay.left, "extends": stay.extends}, headers={"cache-control": "no-store"})


def stay_routes() -> list[Route]:
    """Return the route by which a session is made to last."""
    return [Route("/session", longer, methods=["POST"])]
