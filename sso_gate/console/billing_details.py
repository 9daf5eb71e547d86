"""S10: whom invoices name and where they go. Owners change it unless the organization's file says it; who only looks
at Billing looks at it.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from sso_gate.billing.details import (
    FILE,
    MAX_CONTACTS,
    TAX_ID_LABELS,
    BillingDetails,
    ChangedMeanwhile,
    Party,
    billing_details_of,
    change_details,
    tax_id_label,
)
from sso_gate.console.frame import Visit, visit
from sso_gate.errors import NotFound
from sso_gate.identity import is_email
from sso_gate.members.roles import Area
from sso_gate.web.catalogues import translations
from sso_gate.web.format import countries, number
from sso_gate.web.limits import Field, read_form, read_query
from sso_gate.web.templates import render

_ = str
PATH = "/settings/billing/details"
REVIEW = "/settings/billing/seats/review"
MAX_LENGTH = 200
MAX_ADDRESS_LINES = 4
Problem = dict[str, str]
_LINES = ("name", "city", "postcode", "tax_id", "email")
# Longer than what is kept, so that a text that is too long comes back to whoever typed it.
_TYPED = Field(max_length=2000, multiline=True, free=True)
_FIELDS = dict.fromkeys((*_LINES, "address", "country", "contacts"), _TYPED) | {"seen": Field(max_length=16)}
_WAY_BACK = {"add": Field(max_length=12), "po_number": Field(max_length=60)}
_NO_NAME = _("Enter the legal name of who buys")
_TOO_LONG = _("Use at most %(n)s characters")
_NOT_PRINTABLE = _("Leave out characters that cannot be printed")
_TOO_MANY_LINES = _("Use at most %(n)s lines")
_NO_COUNTRY = _("Choose a country of the list")
_NO_EMAIL = _("Enter an email address, such as finance@acme.example")
_NO_CONTACTS = _("Enter at most %(n)s email addresses, separated by commas")
_MEANWHILE = _(
    "Somebody else changed the billing details while you were editing. Nothing was saved. Check what you typed and"
    " save again."
)


async def page(request: Request) -> Response:
    """What the next invoice will say of the buyer, as a form for owners."""
    at = await visit(request, Area.BILLING)
    back = read_query(request, **_WAY_BACK)
    details = await _details(at)
    return await _page(request, at, details, _as_form(details), back, [])


async def store(request: Request) -> Response:
    """Keep the details, and go back to the review that led here; or show again what was typed and what is wrong."""
    at = await visit(request, Area.BILLING)
    form = await read_form(request, **_FIELDS, **_WAY_BACK)
    back = {name: form[name] for name in _WAY_BACK}
    errors = _problems(form, at)
    if errors:
        return await _page(request, at, await _details(at), form, back, errors)
    buyer, contacts = _party(form), _addresses(form["contacts"])
    try:
        await change_details(at.runtime, at.organization.id, buyer, contacts, seen=form["seen"], by=at.actor)
    except ChangedMeanwhile:
        details = await _details(at)
        text = translations(at.language.tag).gettext(_MEANWHILE)
        again = {**form, "seen": details.seen}
        return await _page(request, at, details, again, back, [{"field": "", "text": text}], HTTPStatus.CONFLICT)
    return RedirectResponse(way_back(back) or f"{PATH}?done=saved", HTTPStatus.SEE_OTHER)


def way_back(back: dict[str, str]) -> str:
    """Return the address of the review that led here, with what was typed there; empty where none did."""
    if not back["add"]:
        return ""
    return f"{REVIEW}?{urlencode({name: value for name, value in back.items() if value})}"


async def _details(at: Visit) -> BillingDetails:
    found = await billing_details_of(at.runtime, at.organization.id)
    if found is None:
        raise NotFound
    return found


def _as_form(details: BillingDetails) -> dict[str, str]:
    buyer = details.buyer
    return {
        **{name: getattr(buyer, name) for name in (*_LINES, "country")},
        "address": "\n".join(buyer.address),
        "contacts": ", ".join(details.contacts),
        "seen": details.seen,
    }


def _party(form: dict[str, str]) -> Party:
    lines = tuple(line.strip() for line in form["address"].split("\n") if line.strip())
    return Party(**{name: form[name] for name in (*_LINES, "country")}, address=lines)


def _addresses(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").replace(";", " ").split()))


def _is_address(text: str) -> bool:
    return is_email(text) and len(text) <= MAX_LENGTH


def _problems(form: dict[str, str], at: Visit) -> list[Problem]:
    """Return what is wrong, in the order of the form."""
    found = {name: _of_line(form[name]) for name in _LINES}
    found["name"] = found["name"] or ("" if form["name"] else _NO_NAME)
    found["address"] = _of_address(form["address"])
    found["country"] = "" if not form["country"] or form["country"] in dict(countries(at.language)) else _NO_COUNTRY
    found["email"] = found["email"] or ("" if not form["email"] or is_email(form["email"]) else _NO_EMAIL)
    others = _addresses(form["contacts"])
    found["contacts"] = "" if len(others) <= MAX_CONTACTS and all(map(_is_address, others)) else _NO_CONTACTS
    limits = {_TOO_LONG: MAX_LENGTH, _TOO_MANY_LINES: MAX_ADDRESS_LINES, _NO_CONTACTS: MAX_CONTACTS}
    say = translations(at.language.tag).gettext
    return [
        {"field": name, "text": say(found[name]) % {"n": number(at.language, limits.get(found[name], 0))}}
        for name in ("name", "address", "postcode", "city", "country", "tax_id", "email", "contacts")
        if found[name]
    ]


def _of_line(text: str) -> str:
    if not text.isprintable():
        return _NOT_PRINTABLE
    return _TOO_LONG if len(text) > MAX_LENGTH else ""


def _of_address(text: str) -> str:
    lines = [line for line in text.split("\n") if line.strip()]
    if len(lines) > MAX_ADDRESS_LINES:
        return _TOO_MANY_LINES
    return next((problem for line in lines if (problem := _of_line(line.strip()))), "")


async def _page(
    request: Request,
    at: Visit,
    details: BillingDetails,
    form: dict[str, str],
    back: dict[str, str],
    errors: list[Problem],
    status: int = HTTPStatus.UNPROCESSABLE_ENTITY,
) -> Response:
    told: dict[str, Any] = {"form": form, "errors": errors, "done": read_query(request, done=Field(8))["done"]}
    return render(
        request,
        "console/billing_details.html",
        status if errors else HTTPStatus.OK,
        frame=await at.frame(),
        details=details,
        by_file=details.author == FILE,
        may_change=at.may_manage and details.author != FILE,
        countries=countries(at.language),
        tax_id_name=tax_id_label(form["country"], at.language.tag),
        tax_id_names=TAX_ID_LABELS,
        any_tax_id=tax_id_label("", at.language.tag),
        mail=bool(at.runtime.settings.smtp_url),
        back=back,
        way_back=way_back(back),
        **told,
    )


def routes() -> list[Route]:
    """Return the routes of the billing details."""
    return [Route(PATH, page, methods=["GET"]), Route(PATH, store, methods=["POST"])]
