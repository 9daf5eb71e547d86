"""The document as a page, or as a part of a page with a strict content security policy."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from billing_core.documents.sheet import sheet
from billing_core.invoices import Invoice

_FOLDER = Path(__file__).parent
_PAGES = Environment(loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True)


def invoice_html(invoice: Invoice, locale: str | None = None, fragment: bool = False) -> str:
    """A whole page that needs nothing else, with print style; as `fragment` only its `<article class="invoice">`.

    The fragment has classes and no style of its own: link `invoice_css()` beside it.
    """
    page = _PAGES.get_template("invoice.html")
    return page.render(sheet=sheet(invoice, locale), css="" if fragment else invoice_css(), fragment=fragment)


def invoice_css() -> str:
    """The stylesheet of `invoice_html`; every rule begins with `.invoice`, but for the page's own margins in print."""
    return (_FOLDER / "invoice.css").read_text("utf-8")
