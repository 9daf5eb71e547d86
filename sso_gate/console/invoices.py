"""Invoices and credit notes: the list, one document as a page, and as PDF. All from the stored documents."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sso_gate.billing import documents
from sso_gate.console.frame import visit
from sso_gate.errors import NotFound
from sso_gate.members.roles import Area
from sso_gate.web.format import Amount
from sso_gate.web.limits import Field, read_query
from sso_gate.web.templates import render

PAGE = 50
AT_ONCE = 500
_NUMBER = Field(max_length=64)


@dataclass(frozen=True, slots=True)
class Row:
    """One document in the list; `text` is the sentence of its first line, in the language of the document."""

    number: str
    kind: str
    issued_on: date
    text: str
    language: str
    gross: Amount
    status: str


def rows_of(issued: Sequence[documents.Invoice], now: datetime) -> list[Row]:
    """Return the documents as rows, in their order, with their state as of now."""
    return [
        Row(one.number, one.kind, one.issued_on, one.lines[0].text, one.locale, one.gross, one.status(now))
        for one in issued
    ]


async def listing(request: Request) -> Response:
    """S10: every document, newest first, in pages."""
    at = await visit(request, Area.BILLING)
    after = read_query(request, after=_NUMBER)["after"]
    found = await documents.invoices(at.runtime, at.organization, after or None, PAGE + 1)
    shown = found[:PAGE]
    return render(
        request,
        "console/invoices.html",
        frame=await at.frame(),
        invoices=rows_of(shown, at.runtime.clock.now()),
        older=f"?after={shown[-1].number}" if len(found) > PAGE else "",
        newer="/settings/billing/invoices" if after else "",
    )


async def one(request: Request) -> Response:
    """S10: one document as it was issued, in the language that it was issued in."""
    at = await visit(request, Area.BILLING)
    invoice = await documents.invoice(at.runtime, at.organization, request.path_params["number"])
    if invoice is None:
        raise NotFound
    return render(
        request,
        "console/invoice.html",
        frame=await at.frame(),
        number=invoice.number,
        kind=invoice.kind,
        status=invoice.status(at.runtime.clock.now()),
        spoken=invoice.locale,
        document=Markup(documents.invoice_html(invoice, fragment=True)),  # noqa: S704 - escaped where it is made
        stylesheet="/settings/billing/invoices/document.css",
        refers_to=invoice.refers_to,
    )


async def export(request: Request) -> Response:
    """Every line of every document, oldest first, as CSV."""
    at = await visit(request, Area.BILLING)
    found: list[documents.Invoice] = []
    while page := await documents.invoices(at.runtime, at.organization, found[-1].number if found else None, AT_ONCE):
        found += page
    headers = {"content-disposition": f'attachment; filename="invoices-{at.organization.slug}.csv"'}
    text = await asyncio.to_thread(documents.lines_csv, found[::-1])
    return Response(text, media_type="text/csv; charset=utf-8", headers=headers)


async def stylesheet(request: Request) -> Response:
    """The style of documents on screen and paper."""
    await visit(request, Area.BILLING)
    return Response(documents.invoice_css(), media_type="text/css", headers={"cache-control": "private, max-age=300"})


async def pdf(request: Request) -> Response:
    """One document as PDF, the same bytes every time."""
    at = await visit(request, Area.BILLING)
    invoice = await documents.invoice(at.runtime, at.organization, request.path_params["number"])
    if invoice is None:
        raise NotFound
    headers = {"content-disposition": f'inline; filename="{invoice.number}.pdf"'}
    drawn = await asyncio.to_thread(documents.invoice_pdf, invoice)
    return Response(drawn, media_type="application/pdf", headers=headers)


def routes() -> list[Route]:
    """Return the routes of the documents' pages."""
    return [
        Route("/settings/billing/invoices", listing),
        Route("/settings/billing/invoices/document.css", stylesheet),
        Route("/settings/billing/invoices/lines.csv", export),
        Route("/settings/billing/invoices/{number}.pdf", pdf),
        Route("/settings/billing/invoices/{number}", one),
    ]
