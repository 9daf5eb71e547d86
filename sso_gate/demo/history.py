"""What happened at Acme before today: a year and a month of people who came and went, seats, invoices and requests.

All of it by the product's own use cases, at a clock that is moved from one day to the next: what the pages show of it
(history, forecast, renewal, the order of the waiting list) is worked out, never written down.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Self

from sqlalchemy import Connection

from sso_gate.admission.admit import Admission, Door
from sso_gate.admission.invites import invite
from sso_gate.admission.revoke import Revoker
from sso_gate.admission.settle import Denied, Login
from sso_gate.audit.event import Actor, Client
from sso_gate.billing import payments, purchase
from sso_gate.billing.details import Party, billing_details_of, change_details
from sso_gate.billing.documents import invoices
from sso_gate.billing.renewal import renew_due
from sso_gate.clock import to_micros
from sso_gate.demo.folder import DemoFailed
from sso_gate.demo.people import BRUNO, CARLA, DOMAIN
from sso_gate.demo.story import OIDC_CONNECTION, SAML_CONNECTION, SLUG, TERM_MONTHS, months_after
from sso_gate.identity import Identity
from sso_gate.members import store as members
from sso_gate.members.member import Member
from sso_gate.organizations import store as organizations
from sso_gate.organizations.organization import Organization
from sso_gate.storage.runtime import Runtime
from sso_gate.tokens.manage import create_token, revoke_token
from sso_gate.tokens.token import Scope
from sso_gate.waiting.people import ask, decline
from sso_gate.waiting.ticket import Ticket
from sso_gate.worker import pass_on_holds

RENEWED_AT = time(6, 0)
BUYER = Party(
    name="Acme Indústria e Comércio Ltda.",
    address=("Av. Paulista 1000, 12º andar",),
    postcode="01310-100",
    city="São Paulo SP",
    country="BR",
    tax_id="12.345.678/0001-90",
    email=f"financeiro@{DOMAIN}",
)
ACCOUNTANTS = ("faturas@contadores.example",)
OFFICE = Client(address="198.51.100.7", user_agent="Mozilla/5.0")


class Travelled:
    """A clock that stands where it was last put."""

    def __init__(self, instant: datetime) -> None:
        self.instant = instant

    def now(self) -> datetime:
        """Return the instant that it stands at."""
        return self.instant


@dataclass(frozen=True, slots=True)
class Past:
    """Acme on some day before today."""

    runtime: Runtime
    organization: Organization
    door: Door
    owner: Actor
    refusals: dict[str, Denied]

    @classmethod
    async def of(cls, runtime: Runtime) -> Self:
        """Return the past of the organization that the story's file has made."""

        def work(tx: Connection) -> tuple[Organization | None, Member | None]:
            found = organizations.by_slug(tx, SLUG)
            return found, members.primary_owner(tx, found.id) if found else None

        organization, owner = await runtime.database.read(work)
        if organization is None or owner is None:
            raise DemoFailed("the story's organization is not there")
        return cls(runtime, organization, Door.of(runtime), Actor("user", owner.id, owner.email), {})

    async def tries(self, name: str, *, email: str = "") -> Admission | Denied:
        """Return what came of a login of this person, whose session is over at once."""
        connection = SAML_CONNECTION if len(name) % 2 else OIDC_CONNECTION
        proved = Identity(
            connection=connection,
            organization=self.organization.id,
            protocol="saml" if connection == SAML_CONNECTION else "oidc",
            subject=f"u-{name.lower()}",
            email=email or address(name),
            email_verified=True,
            name=name,
            groups=(),
            authenticated_at=self.runtime.clock.now(),
            session_index=None,
            login_id=secrets.token_hex(32),
        )
        answer = await self.door.admit(Login(proved, secrets.token_hex(8), OFFICE))
        if isinstance(answer, Admission):
            await self.door.sessions.end(answer.token)
        return answer


Event = tuple[float, Callable[..., Awaitable[None]], tuple[object, ...]]


def address(name: str) -> str:
    """Return the address of a colleague: the first name, without accents."""
    plain = name.split(maxsplit=1)[0].lower().translate(str.maketrans("áâãçéêíóôú", "aaaceeioou"))
    return f"{plain}@{DOMAIN}"


async def comes(past: Past, *names: str) -> None:
    """These people log in and get in, with a seat where they have none yet."""
    for name in names:
        if isinstance(await past.tries(name), Denied):
            raise DemoFailed(f"{name} did not get in")


async def is_refused(past: Past, name: str) -> None:
    """Somebody logs in while no seat is free."""
    answer = await past.tries(name)
    if isinstance(answer, Admission):
        raise DemoFailed(f"{name} got in")
    past.refusals[name] = answer


async def is_a_stranger(past: Past, name: str, email: str) -> None:
    """Somebody with an address that is not the company's tries to log in."""
    await past.tries(name, email=email)


async def asks(past: Past, name: str, message: str) -> None:
    """Somebody who was refused asks for a seat, on the page that said so."""
    refusal, at = past.refusals[name], past.runtime.clock.now()
    ticket = Ticket(
        organization=past.organization.id,
        member=refusal.member.id if refusal.member else "",
        email=address(name),
        reason=refusal.reason,
        reference=refusal.reference,
        connection=SAML_CONNECTION,
        return_to="",
        refused_at=to_micros(at),
        browser="",
    )
    await ask(past.runtime, ticket, message)


async def is_declined(past: Past, name: str, answer: str) -> None:
    """The owner says no to a request."""
    await decline(past.runtime, past.organization.id, address(name), answer, by=past.owner)


async def leaves(past: Past, name: str) -> None:
    """Somebody gives their seat back."""
    await Revoker.of(past.runtime).release(past.organization.id, address(name), by=past.owner)


async def invites(past: Past, *emails: str) -> None:
    """The owner keeps seats for people who start soon."""
    for email in emails:
        await invite(past.runtime, past.organization.id, email, by=past.owner)


async def buys(past: Past, seats: int) -> None:
    """The owner reviews the price of so many seats and orders them."""
    quote = await purchase.review(past.runtime, organization=past.organization, add=seats)
    await purchase.order(
        past.runtime,
        organization=past.organization,
        by=past.owner,
        quote_id=quote.id,
        digest=quote.digest,
        idempotency_key=secrets.token_urlsafe(16),
    )


async def says_who_pays(past: Past) -> None:
    """The owner fills in the billing details."""
    known = await billing_details_of(past.runtime, past.organization.id)
    if known is None:
        raise DemoFailed("the story's contract is not there")
    organization, by = past.organization.id, past.owner
    await change_details(past.runtime, organization, BUYER, ACCOUNTANTS, seen=known.seen, by=by)


async def pays(past: Past) -> None:
    """Whatever was invoiced until now has been paid."""
    for one in await invoices(past.runtime, past.organization, None, 50):
        if one.outstanding.amount:
            await payments.record_payment(
                past.runtime,
                past.organization,
                one.number,
                amount=one.outstanding.amount,
                paid_on=past.runtime.clock.now().date(),
                reference=f"bank transfer {one.number}",
            )


async def renews(past: Past) -> None:
    """The term is over: the contract goes on with the seats in use."""
    await renew_due(past.runtime)


async def passes_on(past: Past) -> None:
    """A seat that was kept in vain goes to whoever is next."""
    await pass_on_holds(past.runtime)


async def makes_token(past: Past, name: str, *scopes: Scope) -> None:
    """The owner makes a token for a program."""
    await create_token(
        past.runtime, past.organization.id, name=name, scopes=frozenset(scopes), lifetime=None, by=past.owner
    )


async def makes_and_revokes_token(past: Past, name: str, *scopes: Scope) -> None:
    """The owner makes a token and thinks better of it."""
    made = await create_token(
        past.runtime, past.organization.id, name=name, scopes=frozenset(scopes), lifetime=None, by=past.owner
    )
    await revoke_token(past.runtime, past.organization.id, made.token.id, by=past.owner)


# So many days before today; the renewal, whose day is the contract's, falls between the last two paragraphs.
EVENTS: tuple[Event, ...] = (
    (381, says_who_pays, ()),
    (380, comes, ("Marcos Pinto", "Júlia Castro")),
    (352, comes, ("Rosa Blanco",)),
    (340, pays, ()),
    (318, comes, ("Tomás Vidal",)),
    (286, comes, ("Heitor Alves",)),
    (250, comes, ("Paula Méndez",)),
    (222, leaves, ("Júlia Castro",)),
    (215, makes_token, ("Provisioning", Scope.SCIM)),
    (176, comes, ("Sofía Rojas",)),
    (164, comes, ("Diego Prado",)),
    (150, comes, ("Clara Nunes",)),
    (138, comes, ("Íris Campos",)),
    (130, buys, (4,)),
    (121, comes, ("Otávio Reis",)),
    (101, leaves, ("Tomás Vidal",)),
    (98, pays, ()),
    (93, comes, ("Nadia Flores",)),
    (70, comes, ("Bento Leal",)),
    (64, makes_token, ("Seat report", Scope.SEATS_READ, Scope.BILLING_READ)),
    (27.2, is_refused, ("Rafael Moura",)),
    (27.1, asks, ("Rafael Moura", "I start on the new project on Monday.")),
    (26.5, buys, (6,)),
    (26.4, comes, ("Rafael Moura",)),
    (24, comes, ("Alma Ortiz",)),
    (22, pays, ()),
    (21, comes, ("Fábio Teles",)),
    (18, comes, ("Lúcia Serra",)),
    (16, comes, ("Hugo Ramos",)),
    (14, is_a_stranger, ("Vera Consultora", "vera@consulting.example")),
    (13, leaves, ("Paula Méndez",)),
    (12, makes_and_revokes_token, ("Test", Scope.AUDIT_READ)),
    (11, comes, ("Inês Faria",)),
    (9, comes, ("Yago Brito",)),
    (8, buys, (3,)),
    (7.5, comes, ("Mara Quintana",)),
    (6, invites, (BRUNO.email, CARLA.email)),
    (5, is_refused, ("Eva Lindt",)),
    (4.9, asks, ("Eva Lindt", "New in finance, need it for month-end.")),
    (4.2, leaves, ("Heitor Alves",)),
    (3.1, is_refused, ("João Prates",)),
    (3, asks, ("João Prates", "To try it out.")),
    (2.5, is_declined, ("João Prates", "Please ask again when your contract begins.")),
    (2, is_refused, ("Li Wei",)),
    (1.9, asks, ("Li Wei", "")),
    (1.1, passes_on, ()),
    (1, comes, ("Marcos Pinto", "Clara Nunes", "Rafael Moura", "Alma Ortiz", "Mara Quintana", "Yago Brito")),
    (0.4, comes, ("Sofía Rojas", "Íris Campos", "Otávio Reis", "Nadia Flores")),
)


async def live_through(runtime: Runtime, clock: Travelled, *, begins: date, until: datetime) -> None:
    """Let everything of `EVENTS` happen, and the renewal of the contract that began on `begins`.

    Raises:
        DemoFailed: a person got in, or did not, against the story: the story is wrong.
    """
    past = await Past.of(runtime)
    renewal = datetime.combine(months_after(begins, TERM_MONTHS), RENEWED_AT, UTC)
    dated = [(until - timedelta(days=days), act, with_what) for days, act, with_what in EVENTS]
    for instant, act, with_what in sorted([*dated, (renewal, renews, ())], key=lambda event: event[0]):
        clock.instant = instant
        await act(past, *with_what)
