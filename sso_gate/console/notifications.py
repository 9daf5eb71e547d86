"""S12: who gets which mail, what chat and webhooks hear of, and how few seats count as short. A sample goes to whoever
asks for it, or where they send it.
"""

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from http import HTTPStatus

from sqlalchemy import Connection as Transaction
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.audit import store as audit
from sso_gate.audit.event import Action, Event
from sso_gate.console.frame import Visit, visit
from sso_gate.console.webhooks import BAD_URL
from sso_gate.errors import InvalidInput, NotFound
from sso_gate.identity import new_id
from sso_gate.members.roles import Area
from sso_gate.notify.chat import CHAT, chat_url, save_chat_url
from sso_gate.notify.destinations import MAX_URL, check_address
from sso_gate.notify.hook_notices import promise_notices, webhook_ids
from sso_gate.notify.letters import LETTER, sample, sample_told
from sso_gate.notify.owners import left_when_nearly_full
from sso_gate.notify.preferences import (
    ALWAYS_OWNERS,
    KINDS,
    RECIPIENTS,
    THRESHOLD,
    Preference,
    Recipients,
    checked_others,
    preferences,
    save,
)
from sso_gate.notify.streams import shown
from sso_gate.protocols.outgoing import GuardedOutgoing
from sso_gate.seats import ledger
from sso_gate.storage import outbox
from sso_gate.web.catalogues import translations
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

_ = str
_NOT_OURS = _("Use at most five addresses in the domains of your organization")
_NO_NUMBER = _("Enter a whole number, or nothing")
MOST_SEATS_LEFT = 100_000
_PATH = "/settings/notifications"
_FIELDS = (
    {f"to_{number}": Field(16) for number in range(len(KINDS))}
    | {f"also_{number}": Field(1000) for number in range(len(KINDS))}
    | {f"{program}_{number}": Field(1) for program in ("chat", "webhook") for number in range(len(KINDS))}
    | {"seats_left": Field(6), "chat_url": Field(MAX_URL), "chat_off": Field(1)}
)


async def page(request: Request) -> Response:
    """Every kind of letter with its rule and who hears of it."""
    at = await visit(request, Area.NOTIFICATIONS)
    chosen = await at.runtime.database.read(lambda tx: preferences(tx, at.organization.id))
    return await _page(request, at, _as_form(chosen), [])


async def store(request: Request) -> Response:
    """Keep the choice and put it on record; or show again what was typed and what is wrong with it."""
    at = await visit(request, Area.NOTIFICATIONS)
    form = await read_form(request, **_FIELDS)
    errors: list[dict[str, str]] = []
    wanted = {kind: _preference(at, form, number, kind, errors) for number, kind in enumerate(KINDS)}
    errors += await _chat_problem(at, form["chat_url"])
    if errors:
        return await _page(request, at, form, errors)

    def write(tx: Transaction) -> None:
        before = preferences(tx, at.organization.id)
        changes = {kind: asdict(wanted[kind]) for kind in KINDS if wanted[kind] != before[kind]}
        if form["chat_url"] or form["chat_off"]:
            save_chat_url(tx, at.runtime.keyring, at.organization.id, "" if form["chat_off"] else form["chat_url"])
            changes["chat"] = {"host": "" if form["chat_off"] else shown(form["chat_url"])}
        if changes:
            save(tx, at.organization.id, wanted)
            audit.record(tx, [_event(at, changes)])

    await at.runtime.database.write(write)
    return RedirectResponse(f"{_PATH}?done=saved", HTTPStatus.SEE_OTHER)


async def send_sample(request: Request) -> Response:
    """Promise a sample of one kind to whoever asks, to the chat or to the webhooks; where none can be sent there is
    nothing to ask.
    """
    at = await visit(request, Area.NOTIFICATIONS)
    form = await read_form(request, kind=Field(32, required=True), to=Field(8))
    kind, chat = form["kind"], form["to"] == "chat"
    if kind not in KINDS or not await _reaches(at, form["to"]):
        raise NotFound
    if form["to"] == "webhook":
        told = partial(promise_notices, organization=at.organization.id, kind=kind, told=sample_told(kind))
        await at.runtime.database.write(lambda tx: told(tx, clock=at.runtime.clock))
        return RedirectResponse(f"{_PATH}?done=webhook", HTTPStatus.SEE_OTHER)
    locale = at.organization.locale if chat else at.member.locale or at.language.tag
    letter = sample(at.organization, kind, to=at.member.email, locale=locale, origin=at.runtime.settings.origin)

    def write(tx: Transaction) -> None:
        outbox.add(tx, at.organization.id, CHAT if chat else LETTER, clock=at.runtime.clock, payload=asdict(letter))

    await at.runtime.database.write(write)
    return RedirectResponse(f"{_PATH}?done={'chat' if chat else 'sent'}", HTTPStatus.SEE_OTHER)


async def _reaches(at: Visit, to: str) -> object:
    """Return whether a sample can be sent there."""
    if to == "webhook":
        return await _webhooks(at)
    return await _chat_host(at) if to == "chat" else at.runtime.settings.smtp_url


async def _webhooks(at: Visit) -> int:
    return len(await at.runtime.database.read(lambda tx: webhook_ids(tx, at.organization.id)))


async def _chat_host(at: Visit) -> str:
    """Return what may be told of the chat's address; empty where there is none."""
    url = await at.runtime.database.read(lambda tx: chat_url(tx, at.runtime.keyring, at.organization.id))
    return shown(url) if url else ""


async def _chat_problem(at: Visit, url: str) -> list[dict[str, str]]:
    if not url:
        return []
    outgoing = GuardedOutgoing(at.runtime.settings.allow_private_networks)
    try:
        await check_address(at.runtime, outgoing, "webhook", url)
    except InvalidInput:
        return [{"field": "chat_url", "text": translations(at.language.tag).gettext(BAD_URL), "detail": ""}]
    finally:
        await outgoing.aclose()
    return []


def _preference(at: Visit, form: Mapping[str, str], number: int, kind: str, errors: list[dict[str, str]]) -> Preference:
    say = translations(at.language.tag).gettext
    others: tuple[str, ...] = ()
    try:
        others = checked_others(form[f"also_{number}"], at.organization.domains)
    except InvalidInput as error:
        errors.append({"field": f"also_{number}", "text": say(_NOT_OURS), "detail": error.message})
    left = form["seats_left"] if kind == THRESHOLD else ""
    if left and not (left.isascii() and left.isdecimal() and int(left) <= MOST_SEATS_LEFT):
        errors.append({"field": "seats_left", "text": say(_NO_NUMBER), "detail": ""})
        left = ""
    chat, webhook = bool(form[f"chat_{number}"]), bool(form[f"webhook_{number}"])
    return Preference(_recipients(form[f"to_{number}"], kind), others, int(left) if left else None, chat, webhook)


def _recipients(text: str, kind: str) -> Recipients:
    """Return who was chosen; all owners where nobody was, and always for what opens the settings."""
    if kind in ALWAYS_OWNERS:
        return "owners"
    return next((one for one in RECIPIENTS if one == text), "owners")


def _as_form(chosen: Mapping[str, Preference]) -> dict[str, str]:
    form: dict[str, str] = {}
    for number, kind in enumerate(KINDS):
        one = chosen[kind]
        form |= {f"to_{number}": one.recipients, f"also_{number}": ", ".join(one.others)}
        form |= {f"chat_{number}": "1" if one.chat else "", f"webhook_{number}": "1" if one.webhook else ""}
    left = chosen[THRESHOLD].seats_left
    return form | {"seats_left": "" if left is None else str(left)}


async def _page(request: Request, at: Visit, form: dict[str, str], errors: list[dict[str, str]]) -> Response:
    now = at.runtime.clock.now()
    pool = await at.runtime.database.read(lambda tx: ledger.read(tx, at.organization.id, now=now))
    typed = form["seats_left"]
    few = int(typed) if typed.isascii() and typed.isdecimal() else left_when_nearly_full(pool.purchased)
    return render(
        request,
        "console/notifications.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        frame=await at.frame(),
        kinds=KINDS,
        chat=await _chat_host(at),
        webhooks=await _webhooks(at),
        always_owners=ALWAYS_OWNERS,
        form=form,
        few=few,
        by_size=left_when_nearly_full(pool.purchased),
        purchased=pool.purchased,
        mail=bool(at.runtime.settings.smtp_url),
        domains=at.organization.domains,
        done=read_query(request, done=Field(8))["done"],
        errors=errors,
    )


def _event(at: Visit, changes: Mapping[str, object]) -> Event:
    clock = at.runtime.clock
    return Event(
        id=new_id("evt", clock),
        organization=at.organization.id,
        at=clock.now(),
        action=Action.NOTIFICATION_UPDATE,
        actor=at.actor,
        changes=dict(changes),
    )


def routes() -> list[Route]:
    """Return the routes of the notifications' page."""
    return [
        Route(_PATH, page, methods=["GET"]),
        Route(_PATH, store, methods=["POST"]),
        Route(f"{_PATH}/sample", send_sample, methods=["POST"]),
    ]
