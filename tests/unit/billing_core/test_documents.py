"""HTML, PDF, XML and CSV: from the stored document alone, harmless, and the same again."""

import csv
import io
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from decimal import Decimal
from importlib import resources
from pathlib import Path

import pytest
from lxml import etree
from reportlab.pdfbase import pdfmetrics

import billing_core as billing
from billing_core import Party, Seller
from billing_core.documents.sheet import _LABELS
from tests.unit.billing_core.firm import Firm, contract, day

XSD = Path(str(resources.files("drafthorse"))) / "schema" / "Factur-X_1.0.07_EN16931.xsd"
RAM = {"ram": "urn:un:unece:uncefact:data:standard:ReusableAggregateBusinessInformationEntity:100"}
HOSTILE = '<script>alert("1")</script> & =1+1'


@pytest.fixture
def bought(small_firm: Firm) -> billing.Invoice:
    return small_firm.at(day(2026, 3, 1)).buy(5, po_number="PO-4711")


@pytest.fixture
def hostile(small_firm: Firm) -> billing.Invoice:
    small_firm.call(
        "amend_contract",
        buyer=Party(HOSTILE, (HOSTILE,)),
        seller=Seller("+Sum", note=HOSTILE, timezone="Europe/Berlin"),
    )
    return small_firm.buy(5, po_number="@SUM(A1)")


def opened(sqlite_engine, **terms) -> billing.Invoice:
    firm = Firm(sqlite_engine, now=day(2026, 3, 16)).opened(anchor_date="2026-01-01", **terms)
    return firm.buy(5)


def visible(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.rsplit("</style>", maxsplit=1)[-1]))


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        (
            "en",
            [
                "Invoice",
                "Total due 1,190.00 USD",
                "Tax S 19 % on 1,000.00 USD",
                "CNPJ 12.345.678/0001-90",
                "31 Mar 2026",
            ],
        ),
        ("pt-BR", ["Fatura", "Total a pagar 1.190,00 USD", "5 assentos × 10 meses", "31 de mar. de 2026", "NF-e"]),
        ("es", ["Factura", "Total a pagar 1.190,00 USD", "5 asientos × 10 meses", "31 mar 2026", "CFDI"]),
    ],
)
def test_a_page_says_everything_in_the_readers_language(bought, locale, said):
    page = billing.invoice_html(bought, locale)
    assert f'<html lang="{locale}">' in page
    for text in [*said, "INV-2026-000002", "PO-4711", "Acme Ltda.", "USt-IdNr. DE123456789", "IBAN"]:
        assert text in visible(page), text


def test_without_a_language_a_page_is_in_the_documents_own(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 3, 1)).opened(locale="es")
    assert "Factura" in billing.invoice_html(firm.opening.invoice)
    assert firm.opening.invoice.lines[0].text in billing.invoice_html(firm.opening.invoice)


def test_every_language_has_every_label():
    assert {frozenset(labels) for labels in _LABELS.values()} == {frozenset(_LABELS["en"])}


def test_a_fragment_needs_no_style_of_its_own(bought):
    fragment = billing.invoice_html(bought, fragment=True)
    assert fragment.strip().startswith('<article class="invoice"')
    assert fragment.strip().endswith("</article>")
    assert "style" not in fragment
    used = set(re.findall(r'class="([\w-]+)"', fragment)) - {"invoice"}
    assert all(name.startswith("invoice-") for name in used)


def test_a_whole_page_needs_nothing_from_elsewhere(bought):
    page = billing.invoice_html(bought)
    assert billing.invoice_css() in page
    assert not re.search(r"https?:|src=|href=|@import|url\(", page)


def test_the_stylesheet_touches_nothing_but_the_invoice():
    css = re.sub(r"@page \{[^}]*\}", "", billing.invoice_css())
    selectors = re.findall(r"(?:^|[{}])\s*([^{}@]+?)\s*\{", css)
    assert selectors
    assert all(part.strip().startswith(".invoice") for selector in selectors for part in selector.split(","))


def test_what_people_typed_cannot_become_markup(hostile):
    page = billing.invoice_html(hostile)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert billing.invoice_pdf(hostile).startswith(b"%PDF")
    assert HOSTILE.encode() not in billing.invoice_xml(hostile)


def test_a_credit_note_says_what_it_takes_back_and_where_not_to_pay(small_firm, bought):
    note = small_firm.call("credit", number=bought.number, reason="Wrong cost centre", net=33_333)
    page = visible(billing.invoice_html(note))
    for text in ("Credit note", "Total credit 396.66 USD", "Wrong cost centre", bought.number):
        assert text in page
    for text in ("Due", "IBAN"):
        assert text not in page
    assert "10" not in page.split("Net")[1].split("333.33")[0].replace("1,000.00", "").replace("000002", "")


def test_an_exemption_says_its_reason(sqlite_engine):
    tax = [{"category": "AE", "rate_percent": "0", "reason": "Reverse charge"}]
    assert "(Reverse charge)" in billing.invoice_html(opened(sqlite_engine, tax=tax))


def test_a_pdf_is_the_same_bytes_each_time_and_in_each_process(bought):
    first = billing.invoice_pdf(bought)
    assert first == billing.invoice_pdf(replace(bought, paid=bought.gross.amount))
    assert first != billing.invoice_pdf(bought, "es")
    assert first.startswith(b"%PDF-1")


def test_pdfs_that_are_drawn_at_once_are_each_as_drawn_alone(bought):
    alone = {language: billing.invoice_pdf(bought, language) for language in ("en", "es", "pt-BR")}
    languages = [*alone] * 4
    with ThreadPoolExecutor(4) as threads:
        at_once = threads.map(lambda language: billing.invoice_pdf(bought, language), languages)
        assert list(at_once) == [alone[language] for language in languages]


def test_a_pdf_embeds_every_font_that_it_names(bought):
    fonts = set(re.findall(rb"/BaseFont\s*/([\w+-]+)", billing.invoice_pdf(bought)))
    assert fonts
    assert all(re.match(rb"[A-Z]{6}\+OpenSans", font) for font in fonts)


@pytest.mark.parametrize("letter", "ãõçáéíóúâêôàüñ¿¡ºªÁÉÍÓÚÑÇÃÕß×÷–…ěłžΩЖ")
def test_the_embedded_font_has_the_letters_that_names_need(bought, letter):
    billing.invoice_pdf(bought)
    for name in ("OpenSans-Regular", "OpenSans-Semibold"):
        assert ord(letter) in pdfmetrics.getFont(name).face.charToGlyph


def test_a_document_of_many_lines_has_many_pages(bought):
    many = replace(bought, lines=bought.lines * 80)
    pages = billing.invoice_pdf(many).count(b"/Type /Page\n")
    assert pages > 1
    assert billing.invoice_pdf(bought).count(b"/Type /Page\n") == 1


def valid(xml: bytes) -> etree._Element:
    tree = etree.fromstring(xml)
    etree.XMLSchema(file=str(XSD)).assertValid(tree)
    return tree


def first(tree: etree._Element, name: str) -> str:
    return str(tree.findtext(f".//ram:{name}", namespaces=RAM))


@pytest.mark.parametrize("proration", ["started_month", "month_plus_days"])
@pytest.mark.parametrize("price_per", ["seat_month", "seat_year"])
@pytest.mark.parametrize("currency", ["USD", "JPY"])
def test_quantity_times_price_over_base_quantity_is_the_line(sqlite_engine, proration, price_per, currency):
    invoice = opened(sqlite_engine, proration=proration, price_per=price_per, currency=currency)
    tree = valid(billing.invoice_xml(invoice))
    quantity, price, base = (
        int(first(tree, "BilledQuantity")),
        Decimal(first(tree, "ChargeAmount")),
        int(first(tree, "BasisQuantity")),
    )
    exact = quantity * price / base
    total = Decimal(first(tree, "LineTotalAmount"))
    assert total == invoice.net.decimal
    assert abs(exact - total) <= (Decimal("0.5") if currency == "JPY" else Decimal("0.005"))


def test_an_e_invoice_carries_the_totals_parties_and_order(bought):
    tree = valid(billing.invoice_xml(bought))
    assert [first(tree, name) for name in ("GrandTotalAmount", "TaxTotalAmount", "CountryID", "IssuerAssignedID")] == [
        "1190.00",
        "190.00",
        "DE",
        "PO-4711",
    ]
    assert b"urn:cen.eu:en16931:2017" in billing.invoice_xml(bought)
    assert billing.einvoice_gaps(bought) == []


def test_a_credit_note_is_type_381_and_refers_to_its_invoice(small_firm, bought):
    whole = small_firm.call("credit", number=bought.number, reason="Wrong", net=33_333)
    tree = valid(billing.invoice_xml(whole))
    assert (first(tree, "TypeCode"), first(tree, "BilledQuantity"), first(tree, "ChargeAmount")) == (
        "381",
        "1",
        "333.33",
    )
    assert tree.findtext(".//ram:InvoiceReferencedDocument/ram:IssuerAssignedID", namespaces=RAM) == bought.number


def test_three_decimals_are_refused_and_not_rounded(sqlite_engine):
    with pytest.raises(billing.EInvoiceUnavailable, match="decimals") as refused:
        billing.invoice_xml(opened(sqlite_engine, currency="KWD"))
    assert refused.value.code == "EINVOICE_UNAVAILABLE"


def test_two_taxes_on_a_line_are_refused(sqlite_engine):
    tax = [{"category": "S", "rate_percent": "5"}, {"category": "S", "rate_percent": "9.975"}]
    with pytest.raises(billing.EInvoiceUnavailable, match="one tax"):
        billing.invoice_xml(opened(sqlite_engine, tax=tax))


def test_a_country_that_nobody_said_is_that_of_the_time_zone_or_refused(sqlite_engine, small_firm):
    small_firm.call("amend_contract", buyer=Party("Acme"), seller=Seller("Shop", timezone="Europe/Lisbon"))
    invoice = small_firm.buy(1)
    tree = valid(billing.invoice_xml(invoice))
    assert [node.text for node in tree.iterfind(".//ram:CountryID", RAM)] == ["PT", "BR"]
    small_firm.call("amend_contract", seller=Seller("Shop", timezone="UTC"))
    with pytest.raises(billing.EInvoiceUnavailable, match="country of Shop"):
        billing.invoice_xml(small_firm.buy(1))


@pytest.mark.parametrize("category", ["Z", "E", "AE", "K", "G", "O"])
def test_what_is_not_taxed_says_why(sqlite_engine, category):
    tree = valid(billing.invoice_xml(opened(sqlite_engine, tax=[{"category": category, "rate_percent": "0"}])))
    assert first(tree, "CategoryCode") == category


def test_no_tax_at_all_is_category_o(sqlite_engine):
    tree = valid(billing.invoice_xml(opened(sqlite_engine, tax=[])))
    assert (first(tree, "CategoryCode"), first(tree, "ExemptionReason")) == ("O", "Not subject to VAT")


def test_what_the_contract_does_not_know_is_listed_and_not_invented(small_firm):
    small_firm.call("amend_contract", buyer=Party("Acme"), seller=Seller("Shop", timezone="Europe/Lisbon"))
    assert billing.einvoice_gaps(small_firm.buy(1)) == ["BR-S-02: the seller has no tax identifier"]
    reverse = contract(tax=[{"category": "AE", "rate_percent": "0"}])
    small_firm.call("amend_contract", contract=reverse)
    assert billing.einvoice_gaps(small_firm.buy(1)) == ["BR-AE-02: the buyer has no tax identifier"]


def rows_of(*invoices: billing.Invoice) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(billing.lines_csv(invoices))))


def test_a_table_of_lines_sums_up_with_credits_negative(small_firm, bought):
    note = small_firm.call("credit", number=bought.number, reason="Agreed", net=33_333)
    rows = rows_of(*small_firm.documents())
    assert [row["number"] for row in rows] == [note.number, bought.number, "INV-2026-000001"]
    assert sum(Decimal(row["net"]) for row in rows) == Decimal("24000.00") + 1000 - Decimal("333.33")
    said = rows[1]
    assert (said["seats"], said["months"], said["unit_price"], said["net"], said["currency"]) == (
        "5",
        "10",
        "20.00",
        "1000.00",
        "USD",
    )
    assert (said["period_start"], said["period_end"], said["line"]) == ("2026-03-01", "2026-12-31", "1")


def test_no_text_of_a_table_can_become_a_formula(hostile, small_firm):
    small_firm.call("amend_contract", buyer=Party(" =HYPERLINK(1)"))
    for row in rows_of(hostile, small_firm.buy(1)):
        for name in ("seller", "buyer", "po_number", "refers_to", "description"):
            assert not row[name].lstrip().startswith(("=", "+", "-", "@")), row[name]
    assert rows_of(hostile)[0]["po_number"] == "'@SUM(A1)"


def test_a_document_in_json_is_what_the_api_says(bought):
    said = bought.to_json(day(2026, 3, 1))
    assert said["lines"] == [
        {
            "text": "5 seats × 10 months (1 Mar 2026 – 31 Dec 2026) at 20.00 USD per seat and month",
            "seats": 5,
            "months": "10",
            "unit_price": "20.00",
            "price_per": "seat_month",
            "period_start": "2026-03-01",
            "period_end": "2026-12-31",
            "net": {"amount": 100_000, "currency": "USD"},
        }
    ]
    assert (said["number"], said["kind"], said["status"]) == ("INV-2026-000002", "invoice", "open")
    assert (said["issued_on"], said["due_on"]) == ("2026-03-01", "2026-03-31")
    assert said["taxes"][0]["amount"] == {"amount": 19_000, "currency": "USD"}
    assert [said[name]["amount"] for name in ("net", "tax", "gross", "outstanding")] == [
        100_000,
        19_000,
        119_000,
        119_000,
    ]


def test_a_document_survives_storage(bought, small_firm):
    assert billing.Invoice.of(bought.document()) == bought == small_firm.document(bought.number)
    assert bought.issued_on == date(2026, 3, 1)
