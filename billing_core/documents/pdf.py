"""The document as a PDF page, set by reportlab in an embedded Open Sans; the same document gives the same bytes."""

from functools import lru_cache
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Any
from xml.sax.saxutils import escape

from reportlab.lib.colors import HexColor
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from billing_core.documents.sheet import Sheet, sheet
from billing_core.invoices import Invoice

_FONTS = Path(__file__).parent.parent / "fonts"
INK, QUIET, ACCENT, RULE = HexColor("#1c2430"), HexColor("#55606e"), HexColor("#1f4e79"), HexColor("#c9d1da")
WIDTH = A4[0] - 40 * mm
_FRAME_PADDING = 6
"""What reportlab's frame adds inside the margin, in points."""
_drawing = Lock()  # reportlab promises nothing to threads that draw at once
COLUMNS = (WIDTH - 96 * mm, 17 * mm, 16 * mm, 30 * mm, 33 * mm)


def invoice_pdf(invoice: Invoice, locale: str | None = None) -> bytes:
    """The bytes of the PDF, identical for the same document and locale; text can be searched and copied."""
    page = sheet(invoice, locale)
    out = BytesIO()
    document = SimpleDocTemplate(
        out,
        pagesize=A4,
        leftMargin=20 * mm - _FRAME_PADDING,
        rightMargin=20 * mm - _FRAME_PADDING,
        topMargin=20 * mm,
        bottomMargin=24 * mm,
        title=f"{page.title} {page.number}",
        author=page.seller[0],
        lang=page.locale,
        invariant=1,
        pageCompression=1,
    )
    with _drawing:
        _register_fonts()
        document.build(_story(page), canvasmaker=_numbered(page))
    return out.getvalue()


@lru_cache(maxsize=1)
def _register_fonts() -> None:
    for name in ("OpenSans-Regular", "OpenSans-Semibold"):
        pdfmetrics.registerFont(TTFont(name, str(_FONTS / f"{name}.ttf")))


def _style(size: float, *, bold: bool = False, color: Any = INK, right: bool = False) -> ParagraphStyle:
    return ParagraphStyle(
        name=f"{size}{bold}{color}{right}",
        fontName="OpenSans-Semibold" if bold else "OpenSans-Regular",
        fontSize=size,
        leading=size * 1.42,
        textColor=color,
        alignment=TA_RIGHT if right else 0,
        splitLongWords=1,
    )


def _said(text: str, size: float = 9, **style: Any) -> Paragraph:
    return Paragraph(escape(text), _style(size, **style))


def _story(page: Sheet) -> list[Flowable]:
    story = [
        _head(page),
        Spacer(1, 8 * mm),
        _meta(page),
        Spacer(1, 12 * mm),
        _lines(page),
        Spacer(1, 1 * mm),
        _sums(page),
    ]
    if page.payment:
        story += [Spacer(1, 10 * mm), _said(page.labels["payment"], 7.5, bold=True, color=QUIET)]
        story += [_said(text) for text in page.payment]
    return story


def _head(page: Sheet) -> Table:
    left = [_said(page.title, 21, bold=True, color=ACCENT), _said(page.number, 11)]
    table = Table([[left, _said(page.seller[0], 10, bold=True, right=True)]], colWidths=(WIDTH * 0.55, WIDTH * 0.45))
    table.setStyle(
        TableStyle([*_FLUSH, ("LINEBELOW", (0, 0), (-1, -1), 1.6, ACCENT), ("BOTTOMPADDING", (0, 0), (-1, -1), 10)])
    )
    return table


def _meta(page: Sheet) -> Table:
    facts = []
    for label, value in page.facts:
        facts += [_said(label, 7.5, bold=True, color=QUIET), _said(value), Spacer(1, 1.6 * mm)]
    cells = [_block(page.labels["from"], page.seller), _block(page.labels["to"], page.buyer), facts]
    table = Table([cells], colWidths=(WIDTH * 0.36, WIDTH * 0.38, WIDTH * 0.26))
    table.setStyle(TableStyle([*_FLUSH, ("RIGHTPADDING", (0, 0), (1, 0), 14)]))
    return table


def _block(label: str, texts: tuple[str, ...]) -> list[Flowable]:
    first, *rest = texts
    return [_said(label, 7.5, bold=True, color=QUIET), _said(first, bold=True), *(_said(text) for text in rest)]


def _lines(page: Sheet) -> Table:
    labels = page.labels
    titles = (labels["description"], labels["seats"], labels["months"], page.price_label, labels["net"])
    head = [_said(title, 7.5, bold=True, color=QUIET, right=i > 0) for i, title in enumerate(titles)]
    rows = [
        [_said(row.text), *(_said(text, right=True) for text in (row.seats, row.months, row.price, row.net))]
        for row in page.rows
    ]
    table = Table([head, *rows], colWidths=COLUMNS, repeatRows=1)
    table.setStyle(
        TableStyle(
            [
                *_FLUSH,
                ("VALIGN", (0, 0), (-1, 0), "BOTTOM"),
                ("TOPPADDING", (0, 1), (-1, -1), 6),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 7),
                ("LEFTPADDING", (1, 0), (-1, -1), 8),
                ("LINEBELOW", (0, 0), (-1, 0), 0.8, QUIET),
                ("LINEBELOW", (0, 1), (-1, -1), 0.5, RULE),
            ]
        )
    )
    return table


def _sums(page: Sheet) -> Table:
    rows = [[_said(label, right=True), _said(value, right=True)] for label, value in page.sums]
    rows.append([_said(text, 12, bold=True, right=True) for text in page.total])
    table = Table(rows, colWidths=(WIDTH - 52 * mm, 52 * mm))
    table.setStyle(
        TableStyle(
            [
                *_FLUSH,
                ("TOPPADDING", (0, 0), (-1, -1), 4),
                ("BOTTOMPADDING", (0, 0), (-1, -2), 2),
                ("LINEABOVE", (0, -1), (-1, -1), 1.2, ACCENT),
                ("TOPPADDING", (0, -1), (-1, -1), 6),
            ]
        )
    )
    return table


_FLUSH = (
    ("LEFTPADDING", (0, 0), (-1, -1), 0),
    ("RIGHTPADDING", (0, 0), (-1, -1), 0),
    ("TOPPADDING", (0, 0), (-1, -1), 0),
    ("BOTTOMPADDING", (0, 0), (-1, -1), 0),
    ("VALIGN", (0, 0), (-1, -1), "TOP"),
    ("FONTNAME", (0, 0), (-1, -1), "OpenSans-Regular"),  # a cell's default is Helvetica, which is not embedded
)


def _numbered(page: Sheet) -> type[Canvas]:
    """A canvas that puts the note and "Page 1 of 2" under every page, once the number of pages is known."""

    class Numbered(Canvas):  # type: ignore[misc] # reportlab has no types
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # Without a font of ours the page would name Helvetica, which is not embedded.
            super().__init__(*args, **{**kwargs, "initialFontName": "OpenSans-Regular"})
            self.finished: list[dict[str, Any]] = []

        def showPage(self) -> None:  # noqa: N802 # reportlab's name
            self.finished.append(dict(self.__dict__))
            self._startPage()

        def save(self) -> None:
            for index, state in enumerate(self.finished, 1):
                self.__dict__.update(state)
                _foot(self, page, page.labels["page"].format(page=index, pages=len(self.finished)))
                super().showPage()
            super().save()

    return Numbered


def _foot(canvas: Canvas, page: Sheet, counted: str) -> None:
    canvas.setStrokeColor(RULE)
    canvas.line(20 * mm, 19 * mm, 20 * mm + WIDTH, 19 * mm)
    note = _said(page.note, 7.5, color=QUIET)
    height = note.wrap(WIDTH - 32 * mm, 20 * mm)[1]
    note.drawOn(canvas, 20 * mm, 17 * mm - height)
    number = _said(counted, 7.5, color=QUIET, right=True)
    number.drawOn(canvas, 20 * mm + WIDTH - 30 * mm, 17 * mm - number.wrap(30 * mm, 20 * mm)[1])
