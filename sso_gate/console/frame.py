"""What every page of the settings has around it, and who is looking at it."""

from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.requests import Request

from sso_gate.admission.recheck import SignedIn
from sso_gate.audit.event import Actor, Client
from sso_gate.audit.origin import client_of
from sso_gate.billing.purchase import may_buy
from sso_gate.console.door import areas_of
from sso_gate.console.stay import Stay
from sso_gate.errors import NotFound
from sso_gate.members.member import Member
from sso_gate.members.roles import Area, Permission
from sso_gate.notify.banner import Banner, banner
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.sessions.session import Session
from sso_gate.storage.runtime import Runtime
from sso_gate.web.language import Language
from sso_gate.web.request_state import runtime_of, speak, state_of

ZONE = "UTC"
"""The zone in which pages write instants; a browser with scripts shows its own beside it."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What `console/layout.html` shows: who, where, the areas that they may open, the banner, and how long they stay
    logged in.
    """

    organization_name: str
    person_name: str
    person_email: str
    areas: tuple[str, ...]
    current: str
    banner: Banner | None = None
    stay: Stay | None = None


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of one member to one area of the settings."""

    runtime: Runtime
    organization: Organization
    member: Member
    area: Area
    language: Language
    session: Session
    client: Client

    @property
    def actor(self) -> Actor:
        """Who is named in the audit log for what is done in this visit, and from where."""
        return Actor("user", self.member.id, self.member.email, session=self.session.mark, client=self.client)

    @property
    def came_by(self) -> str:
        """The connection by which the member logged in; empty for who came with an emergency code."""
        return self.session.connection

    @property
    def may_manage(self) -> bool:
        """Whether the member may change things here."""
        return self.member.may(self.area) is Permission.MANAGE

    @property
    def may_buy(self) -> bool:
        """Whether the member may add seats: an owner, unless the contract names fewer roles."""
        return may_buy(self.organization, self.member)

    async def frame(self) -> Frame:
        """Return the frame of the page; the banner is for those who can do something about it."""
        now, shown = self.runtime.clock.now(), None
        if self.may_buy:
            shown = await self.runtime.database.read(
                lambda tx: banner(tx, self.organization.id, self.member.id, now=now)
            )
        return Frame(
            organization_name=self.organization.name,
            person_name=self.member.name,
            person_email=self.member.email,
            areas=tuple(areas_of(self.member)),
            current=self.area,
            banner=shown,
            stay=Stay.of(self.runtime, self.session),
        )


async def visit(request: Request, area: Area) -> Visit:
    """Return the visit that passed the door, and let the page speak the member's language.

    Raises:
        NotFound: nobody passed the door, or the organization is gone.
    """
    visitor: SignedIn | None = state_of(request.scope).get("visitor")
    if visitor is None:
        raise NotFound
    runtime, member = runtime_of(request), visitor.member

    def work(tx: Connection) -> Organization | None:
        return organizations.get(tx, member.organization)

    organization = await runtime.database.read(work)
    if organization is None:
        raise NotFound
    language = speak(request, saved=member.locale, default=organization.locale)
    return Visit(runtime, organization, member, area, language, visitor.session, client_of(request))
