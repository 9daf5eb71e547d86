"""S13: webhooks, and every other destination of the audit log: add, test, switch, exchange the secret, deliver again.

A secret is shown once, on the page that answers its making.
"""

from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from sqlalchemy import Connection as Transaction
from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.audit.event import Action
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import Conflict, InvalidInput, NotFound
from sso_gate.members.roles import Area
from sso_gate.notify import streams, streams_log
from sso_gate.notify.destinations import (
    MAX_URL,
    MOST,
    add_destination,
    all_destinations,
    change_destination,
    check_address,
    position_before,
)
from sso_gate.notify.streams import Stream, shown
from sso_gate.notify.streams_delivery import Delivery, send_sample
from sso_gate.notify.webhooks import new_secret
from sso_gate.protocols.outgoing import GuardedOutgoing
from sso_gate.storage.tables import audit_chain
from sso_gate.web.catalogues import translations
from sso_gate.web.format import number
from sso_gate.web.limits import Field, read_form
from sso_gate.web.templates import render

_ = str
BAD_URL = _("Enter an https address that can be reached from the Internet")
_TOO_MANY = _("There are %(n)s destinations, which is the most. Remove one first.")
_PATH = "/settings/developer/webhooks"
# A family of events, and how the names of its actions begin.
FAMILIES = {
    "logins": ("auth.", "session."),
    "seats": ("seat.", "invoice.", "billing."),
    "members": ("member.", "admin.", "scim."),
    "connections": ("connection.", "notification."),
    "secrets": ("token.", "breakglass.", "api."),
    "audit": ("audit.", "organization.", "domain."),
}
# How far back events are delivered again, by what the form says.
AGAIN = {"day": timedelta(days=1), "week": timedelta(days=7), "all": None}
_EVENTS = {"denied": Field(1)} | {name: Field(1) for name in FAMILIES}
_FIELDS = {"url": Field(MAX_URL)} | _EVENTS


async def listing(request: Request) -> Response:
    """Every destination with its state, and the form for a new webhook."""
    return await _list_page(request, await visit(request, Area.DEVELOPER), dict.fromkeys(_FIELDS, ""), [])


async def add(request: Request) -> Response:
    """Make a webhook and show its secret, which cannot be shown again."""
    at = await visit(request, Area.DEVELOPER)
    form, secret = await read_form(request, **_FIELDS), new_secret()
    outgoing = GuardedOutgoing(at.runtime.settings.allow_private_networks)
    try:
        await check_address(at.runtime, outgoing, "webhook", form["url"])
        made = await add_destination(
            at.runtime, at.organization.id, "webhook", form["url"], secret,
            outcome="denied" if form["denied"] else "", actions=_actions(form), by=at.actor,
        )  # fmt: skip
    except (InvalidInput, Conflict) as error:
        sentence = BAD_URL if isinstance(error, InvalidInput) else _TOO_MANY
        text = translations(at.language.tag).gettext(sentence) % {"n": number(at.language, MOST)}
        return await _list_page(request, at, form, [{"field": "url", "text": text, "detail": ""}])
    finally:
        await outgoing.aclose()
    return await _secret_page(request, at, await _one(at, made), secret)


async def one(request: Request) -> Response:
    """One destination: how far it is, what was wrong last, and what can be done."""
    at = await visit(request, Area.DEVELOPER)
    return await _one_page(request, at, await _asked_for(request, at))


async def test(request: Request) -> Response:
    """Send a sample, signed like every event, and show how that ended."""
    at = await visit(request, Area.DEVELOPER)
    await read_form(request)
    stream = await _asked_for(request, at)
    outgoing = GuardedOutgoing(at.runtime.settings.allow_private_networks)
    try:
        tried = await send_sample(at.runtime, outgoing, stream, by=at.actor)
    finally:
        await outgoing.aclose()
    return await _one_page(request, at, stream, tried=tried)


async def switch_off(request: Request) -> Response:
    """Deliver nothing more until it is switched on again."""

    def change(tx: Transaction, stream: Stream) -> dict[str, Any]:
        streams.switch_off(tx, stream)
        return {"enabled": False, "position": stream.position}

    return await _changed(request, change)


async def switch_on(request: Request) -> Response:
    """Deliver again at once, from where it was."""
    at = await visit(request, Area.DEVELOPER)
    now = at.runtime.clock.now()

    def change(tx: Transaction, stream: Stream) -> dict[str, Any]:
        streams.move(tx, stream, now=now)
        return {"enabled": True, "position": stream.position}

    return await _changed(request, change)


async def choose(request: Request) -> Response:
    """Deliver other events from now on."""
    await visit(request, Area.DEVELOPER)
    form = await read_form(request, **_EVENTS)
    outcome, actions = "denied" if form["denied"] else "", _actions(form)

    def change(tx: Transaction, stream: Stream) -> dict[str, Any]:
        streams.choose(tx, stream, outcome=outcome, actions=actions)
        return {"outcome": [stream.outcome, outcome], "actions": [list(stream.actions), list(actions)]}

    return await _changed(request, change, form_read=True)


async def replay(request: Request) -> Response:
    """Deliver again what happened in a span of time; receivers know an event that they have by its id."""
    at = await visit(request, Area.DEVELOPER)
    form = await read_form(request, since=Field(8, required=True))
    if form["since"] not in AGAIN:
        raise InvalidInput("since", "expected day, week or all")
    span, now = AGAIN[form["since"]], at.runtime.clock.now()

    def change(tx: Transaction, stream: Stream) -> dict[str, Any]:
        position = position_before(tx, at.organization.id, now - span) if span else 0
        streams.move(tx, stream, now=now, position=min(position, stream.position))
        return {"enabled": True, "position": min(position, stream.position), "replay": form["since"]}

    return await _changed(request, change, form_read=True)


async def rotate(request: Request) -> Response:
    """Make another secret and show it once; for a day the one before signs too."""
    at = await visit(request, Area.DEVELOPER)
    await read_form(request)
    stream, secret = await _asked_for(request, at), new_secret()
    if stream.kind != "webhook":
        raise NotFound("only webhooks have a secret of ours")

    def change(tx: Transaction, known: Stream) -> dict[str, Any]:
        streams.exchange_secret(tx, known, secret, keyring=at.runtime.keyring, now=at.runtime.clock.now())
        return {"secret": "exchanged"}

    await change_destination(at.runtime, at.organization.id, stream.id, change, by=at.actor)
    return await _secret_page(request, at, stream, secret)


async def remove(request: Request) -> Response:
    """Forget the destination."""
    at = await visit(request, Area.DEVELOPER)
    await read_form(request)

    def change(tx: Transaction, stream: Stream) -> dict[str, Any]:
        streams.remove(tx, at.organization.id, stream.id)
        return {"url": shown(stream.url), "position": stream.position}

    name = request.path_params["stream"]
    await change_destination(at.runtime, at.organization.id, name, change, action=Action.STREAM_DELETE, by=at.actor)
    return RedirectResponse(_PATH, HTTPStatus.SEE_OTHER)


async def _changed(
    request: Request, change: Callable[[Transaction, Stream], dict[str, Any]], *, form_read: bool = False
) -> Response:
    at = await visit(request, Area.DEVELOPER)
    if not form_read:
        await read_form(request)
    name = request.path_params["stream"]
    await change_destination(at.runtime, at.organization.id, name, change, by=at.actor)
    return RedirectResponse(f"{_PATH}/{name}", HTTPStatus.SEE_OTHER)


def _actions(form: dict[str, str]) -> tuple[str, ...]:
    """Return the actions of the families that were chosen; none chosen means all, which is an empty filter."""
    begins = tuple(prefix for name, prefixes in FAMILIES.items() if form[name] for prefix in prefixes)
    return tuple(str(action) for action in Action if action.startswith(begins)) if begins else ()


def _chosen(stream: Stream) -> dict[str, str]:
    """Return the form that chooses what the destination gets now."""
    form = {
        name: "1" if any(one.startswith(begin) for one in stream.actions) else "" for name, begin in FAMILIES.items()
    }
    return form | {"denied": "1" if stream.outcome == "denied" else ""}


async def _one(at: Visit, name: str) -> Stream:
    for stream in await all_destinations(at.runtime, at.organization.id):
        if stream.id == name:
            return stream
    raise NotFound(f"no destination {name}")


async def _asked_for(request: Request, at: Visit) -> Stream:
    return await _one(at, request.path_params["stream"])


async def _list_page(request: Request, at: Visit, form: dict[str, str], errors: list[dict[str, str]]) -> Response:
    return render(
        request,
        "console/webhooks.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        frame=await at.frame(),
        destinations=[(stream, shown(stream.url)) for stream in await all_destinations(at.runtime, at.organization.id)],
        families=list(FAMILIES),
        form=form,
        errors=errors,
    )


async def _one_page(request: Request, at: Visit, stream: Stream, *, tried: Delivery | None = None) -> Response:
    def end_of_log(tx: Transaction) -> int:
        size = select(audit_chain.c.size).where(audit_chain.c.organization == at.organization.id)
        return tx.execute(size).scalar_one_or_none() or 0

    size, attempts = await at.runtime.database.read(lambda tx: (end_of_log(tx), streams_log.latest(tx, stream.id)))
    return render(
        request,
        "console/webhook.html",
        frame=await at.frame(),
        stream=stream,
        address=shown(stream.url),
        families=list(FAMILIES),
        form=_chosen(stream),
        behind=max(0, size - stream.position),
        tried=tried,
        attempts=attempts,
    )


async def _secret_page(request: Request, at: Visit, stream: Stream, secret: str) -> Response:
    return render(
        request,
        "console/webhook_secret.html",
        HTTPStatus.CREATED,
        frame=await at.frame(),
        stream=stream,
        address=shown(stream.url),
        secret=secret,
    )


def routes() -> list[Route]:
    """Return the routes of webhooks and streams."""
    own = f"{_PATH}/{{stream}}"
    return [
        Route(_PATH, listing, methods=["GET"]),
        Route(_PATH, add, methods=["POST"]),
        Route(own, one, methods=["GET"]),
        Route(f"{own}/test", test, methods=["POST"]),
        Route(f"{own}/off", switch_off, methods=["POST"]),
        Route(f"{own}/on", switch_on, methods=["POST"]),
        Route(f"{own}/events", choose, methods=["POST"]),
        Route(f"{own}/replay", replay, methods=["POST"]),
        Route(f"{own}/secret", rotate, methods=["POST"]),
        Route(f"{own}/remove", remove, methods=["POST"]),
    ]
