"""S7: the members, who of them holds a seat, and the people who wait for one. Releasing and passing on go through
`admission.revoke`.
"""

from collections.abc import Mapping
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.admission.invites import invites
from sso_gate.admission.revoke import Revoker
from sso_gate.billing import purchase
from sso_gate.console.frame import ZONE, Visit, visit
from sso_gate.console.members_words import release_problem
from sso_gate.console.waiting import WaitingPerson, waiting_rows
from sso_gate.errors import Conflict, InvalidInput, NotFound
from sso_gate.members import store as members
from sso_gate.members.directory import ORDERS, SOURCES, UNUSED_FOR, Wanted, idle, listed, members_csv
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Area, Role
from sso_gate.notify.asking import ask_owners_to_look, asked_to_look
from sso_gate.waiting.people import decline, hold_seat, waiting_people
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

PAGE = 50
REQUESTS_PAGE = 20
_EMAIL = Field(max_length=320, required=True)
_FILTERS = {name: Field(20) for name in ("role", "state", "source", "unused", "sort")} | {"q": Field(100)}
UNUSED_DAYS = (30, 60, 90, 180)


async def listing(request: Request) -> Response:
    """The members, a page at a time; the search and the filters are in the address, so it can be shared."""
    at = await visit(request, Area.MEMBERS)
    asked = read_query(request, **_FILTERS, page=Field(max_length=6), done=Field(max_length=20))
    page, wanted = _page_number(asked["page"]), _wanted(at, asked)
    found = await at.runtime.database.read(
        lambda tx: listed(tx, at.organization.id, wanted, skip=(page - 1) * PAGE, limit=PAGE + 1)
    )
    kept = {name: asked[name] for name in _FILTERS}
    return render(
        request,
        "console/members.html",
        frame=await at.frame(),
        zone=ZONE,
        members=found[:PAGE],
        asked={**kept, "sort": wanted.order},
        sort_links=_sort_links(kept, wanted.order),
        csv=_address(kept, "/export.csv"),
        done=asked["done"],
        may_manage=at.may_manage,
        may_hand_over=at.member.role is Role.PRIMARY_OWNER,
        tabs=await member_tabs(at) if at.may_manage else None,
        current="inactive" if asked["state"] == "held" and asked["unused"] == str(UNUSED_FOR.days) else "members",
        unused_days=UNUSED_DAYS,
        older=_address({**kept, "page": str(page + 1)}) if len(found) > PAGE else "",
        newer=_address(kept) if page > 1 else "",
    )


async def export(request: Request) -> Response:
    """The members who are listed under these filters, all of them, as CSV."""
    at = await visit(request, Area.MEMBERS)
    wanted = _wanted(at, read_query(request, **_FILTERS))
    # In the reader's thread: 50,000 rows take most of a second, in which nobody else could log in.
    text = await at.runtime.database.read(lambda tx: members_csv(listed(tx, at.organization.id, wanted)))
    headers = {"content-disposition": f'attachment; filename="members-{at.organization.slug}.csv"'}
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def requests(request: Request) -> Response:
    """The people who wait for a seat, with what may be done about each."""
    at = await visit(request, Area.MEMBERS)
    return await _requests_page(request, at, [])


async def hold(request: Request) -> Response:
    """Keep a free seat for a waiting person."""
    at = await visit(request, Area.MEMBERS)
    form = await read_form(request, email=_EMAIL)
    try:
        await hold_seat(at.runtime, at.organization.id, form["email"], by=at.actor)
    except Conflict:
        return await _requests_page(request, at, [release_problem("none_free", at.language)])
    return RedirectResponse("/settings/members/requests", HTTPStatus.SEE_OTHER)


async def refuse(request: Request) -> Response:
    """Tell a waiting person no, with the owner's own words if there are any."""
    at = await visit(request, Area.MEMBERS)
    form = await read_form(request, email=_EMAIL, answer=Field(max_length=280))
    await decline(at.runtime, at.organization.id, form["email"], form["answer"], by=at.actor)
    return RedirectResponse("/settings/members/requests", HTTPStatus.SEE_OTHER)


async def confirm_release(request: Request) -> Response:
    """What releasing this seat would do, before it is done."""
    at = await visit(request, Area.MEMBERS)
    return await _release_page(request, at, await _member(at, request), [])


async def release(request: Request) -> Response:
    """Take the seat back; the person's sessions end with it."""
    at = await visit(request, Area.MEMBERS)
    await read_form(request)
    holder = await _member(at, request)
    try:
        await Revoker.of(at.runtime).release(at.organization.id, holder.email, by=at.actor)
    except (Conflict, InvalidInput) as error:
        return await _release_page(request, at, holder, [release_problem(error, at.language)])
    return RedirectResponse("/settings/members?done=released", HTTPStatus.SEE_OTHER)


async def reassign(request: Request) -> Response:
    """Pass the seat on to another address, in one step."""
    at = await visit(request, Area.MEMBERS)
    form = await read_form(request, email=Field(max_length=320))
    holder = await _member(at, request)
    try:
        await Revoker.of(at.runtime).reassign(at.organization.id, holder.email, form["email"], by=at.actor)
    except (Conflict, InvalidInput) as error:
        problem = {**release_problem(error, at.language), "field": "email"}
        return await _release_page(request, at, holder, [problem], taker=form["email"])
    return RedirectResponse("/settings/members?done=reassigned", HTTPStatus.SEE_OTHER)


async def _waiting(at: Visit, *, limit: int = 200, skip: int = 0) -> list[WaitingPerson]:
    people = await waiting_people(at.runtime, at.organization.id, limit=limit, skip=skip)
    return waiting_rows(people, at.runtime.clock.now())


async def tell(request: Request) -> Response:
    """Ask the owners to look at who waits: for those who see the requests and may not add seats. Once an hour."""
    at = await visit(request, Area.MEMBERS)
    await read_form(request)
    if at.may_buy:
        raise NotFound
    try:
        await ask_owners_to_look(at.runtime, at.organization.id, by=at.actor)
    except Conflict:
        return await _requests_page(request, at, [release_problem("told", at.language)])
    return RedirectResponse("/settings/members/requests?done=told", HTTPStatus.SEE_OTHER)


async def member_tabs(at: Visit) -> dict[str, int]:
    """Return how many there are behind each tab of the members' pages."""
    since = at.runtime.clock.now() - UNUSED_FOR
    return {
        "invites": len(await invites(at.runtime, at.organization.id)),
        "requests": (await purchase.seats_overview(at.runtime, at.organization.id)).waiting,
        "inactive": await at.runtime.database.read(lambda tx: idle(tx, at.organization.id, since=since)),
    }


async def _member(at: Visit, request: Request) -> Member:
    member_id = request.path_params["member"]
    found = await at.runtime.database.read(lambda tx: members.get(tx, at.organization.id, member_id))
    if found is None:
        raise NotFound
    return found


async def _release_page(
    request: Request, at: Visit, holder: Member, errors: list[dict[str, str]], taker: str = ""
) -> Response:
    in_line = [one for one in await _waiting(at) if one.state in {"asked", "blocked"}]
    return render(
        request,
        "console/member_release.html",
        HTTPStatus.UNPROCESSABLE_ENTITY if errors else HTTPStatus.OK,
        frame=await at.frame(),
        member=holder,
        next_in_line=in_line[0] if in_line and at.organization.hold_for_waiting else None,
        taker=taker,
        errors=errors,
    )


async def _requests_page(request: Request, at: Visit, errors: list[dict[str, str]]) -> Response:
    page = _page_number(read_query(request, page=Field(max_length=6))["page"])
    found = await _waiting(at, limit=REQUESTS_PAGE + 1, skip=(page - 1) * REQUESTS_PAGE)
    return render(
        request,
        "console/requests.html",
        HTTPStatus.CONFLICT if errors else HTTPStatus.OK,
        frame=await at.frame(),
        zone=ZONE,
        people=found[:REQUESTS_PAGE],
        older=f"?page={page + 1}" if len(found) > REQUESTS_PAGE else "",
        newer="/settings/members/requests" if page > 1 else "",
        tabs=await member_tabs(at),
        may_buy=at.may_buy,
        told_at=await at.runtime.database.read(lambda tx: asked_to_look(tx, at.organization.id)),
        done=read_query(request, done=Field(max_length=20))["done"] == "told",
        errors=errors,
    )


def _wanted(at: Visit, asked: Mapping[str, str]) -> Wanted:
    """Return what the address asks for; a filter that means nothing is none."""
    days = next((days for days in UNUSED_DAYS if str(days) == asked["unused"]), 0)
    return Wanted(
        search=asked["q"],
        role=Role(asked["role"]) if asked["role"] in set(Role) else None,
        state=MemberState(asked["state"]) if asked["state"] in set(MemberState) else None,
        source=next((one for one in SOURCES if one == asked["source"]), None),
        unused_since=at.runtime.clock.now() - timedelta(days=days) if days else None,
        order=asked["sort"] if asked["sort"] in ORDERS else "email",
    )


def _page_number(text: str) -> int:
    return max(1, int(text)) if text.isascii() and text.isdecimal() else 1


def _sort_links(kept: Mapping[str, str], order: str) -> dict[str, str]:
    """Return where a click on each column's heading leads; on the one that orders the list, the other way round."""
    names = (name for name in ORDERS if not name.startswith("-"))
    return {name: _address({**kept, "sort": f"-{name}" if order == name else name}) for name in names}


def _address(kept: Mapping[str, str], under: str = "") -> str:
    query = urlencode({name: value for name, value in kept.items() if value})
    return f"/settings/members{under}" + (f"?{query}" if query else "")


def routes() -> list[Route]:
    """Return the routes of the members' pages."""
    return [
        Route("/settings/members", listing),
        Route("/settings/members/export.csv", export),
        Route("/settings/members/requests", requests),
        Route("/settings/members/requests/tell", tell, methods=["POST"]),
        Route("/settings/members/requests/hold", hold, methods=["POST"]),
        Route("/settings/members/requests/decline", refuse, methods=["POST"]),
        Route("/settings/members/{member}/release", confirm_release, methods=["GET"]),
        Route("/settings/members/{member}/release", release, methods=["POST"]),
        Route("/settings/members/{member}/reassign", reassign, methods=["POST"]),
    ]
