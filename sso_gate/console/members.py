"""S7: the members, who of them holds a seat, and the people who wait for one. Releasing and passing on go through
`admission.revoke`.
"""

from collections.abc import Mapping
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
from sso_gate.members.directory import ORDERS, Wanted, listed, members_csv
from sso_gate.members.member import Member, MemberState
from sso_gate.members.roles import Area, Role
from sso_gate.waiting.people import decline, hold_seat, waiting_people
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

PAGE = 50
REQUESTS_PAGE = 20
_EMAIL = Field(max_length=320, required=True)
_FILTERS = {"q": Field(100), "role": Field(20), "state": Field(20), "sort": Field(20)}


async def listing(request: Request) -> Response:
    """The members, a page at a time; the search and the filters are in the address, so it can be shared."""
    at = await visit(request, Area.MEMBERS)
    asked = read_query(request, **_FILTERS, page=Field(max_length=6), done=Field(max_length=20))
    page, wanted = _page_number(asked["page"]), _wanted(asked)
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
        waiting_count=await _waiting_count(at) if at.may_manage else 0,
        invite_count=len(await invites(at.runtime, at.organization.id)) if at.may_manage else 0,
        older=_address({**kept, "page": str(page + 1)}) if len(found) > PAGE else "",
        newer=_address(kept) if page > 1 else "",
    )


async def export(request: Request) -> Response:
    """The members who are listed under these filters, all of them, as CSV."""
    at = await visit(request, Area.MEMBERS)
    wanted = _wanted(read_query(request, **_FILTERS))
    found = await at.runtime.database.read(lambda tx: listed(tx, at.organization.id, wanted))
    headers = {"content-disposition": f'attachment; filename="members-{at.organization.slug}.csv"'}
    return Response(members_csv(found), media_type="text/csv; charset=utf-8", headers=headers)


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


async def _waiting_count(at: Visit) -> int:
    return (await purchase.seats_overview(at.runtime, at.organization.id)).waiting


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
        waiting_count=await _waiting_count(at),
        invite_count=len(await invites(at.runtime, at.organization.id)),
        may_buy=at.may_buy,
        errors=errors,
    )


def _wanted(asked: Mapping[str, str]) -> Wanted:
    """Return what the address asks for; a filter that means nothing is none."""
    return Wanted(
        search=asked["q"],
        role=Role(asked["role"]) if asked["role"] in set(Role) else None,
        state=MemberState(asked["state"]) if asked["state"] in set(MemberState) else None,
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
        Route("/settings/members/requests/hold", hold, methods=["POST"]),
        Route("/settings/members/requests/decline", refuse, methods=["POST"]),
        Route("/settings/members/{member}/release", confirm_release, methods=["GET"]),
        Route("/settings/members/{member}/release", release, methods=["POST"]),
        Route("/settings/members/{member}/reassign", reassign, methods=["POST"]),
    ]
