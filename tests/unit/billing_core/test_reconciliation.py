"""Books that agree give no finding; every single thing that is tampered with gives one that names it."""

import pytest
from sqlalchemy import text

from billing_core import reconcile, reconciliation
from billing_core.identifiers import digest
from tests.unit.billing_core.firm import Firm, contract, day


@pytest.fixture
def busy(engine) -> Firm:
    """A firm with one of everything: orders, credits, a correction, payments, a renewal, revenue."""
    firm = Firm(engine, now=day(2026, 1, 1)).opened()
    firm.at(day(2026, 3, 1)).buy(5)
    firm.call("credit", number="INV-2026-000002", reason="Agreed", net=3_333)
    firm.call("credit", number="INV-2026-000002", reason="Agreed")
    firm.call("record_payment", number="INV-2026-000001", amount=77, paid_on=day(2026, 2, 1).date(), reference="w")
    firm.call("correct", number="INV-2026-000001", reason="Wrong name")
    firm.at(day(2026, 7, 2)).call("recognise")
    firm.at(day(2027, 1, 2)).renew()
    return firm


def test_a_busy_life_gives_no_finding(busy):
    assert busy.findings() == []


TAMPERED = [
    ("SEATS", "UPDATE billing_contracts SET seats = seats + 1"),
    ("SEATS", "UPDATE billing_seat_entries SET delta = 6 WHERE kind = 'order'"),
    ("TERM", "DELETE FROM billing_terms WHERE term_index = 0"),
    ("TERM", "UPDATE billing_contracts SET term_index = 2"),
    ("ENTRY", "UPDATE billing_seat_entries SET kind = 'renewal' WHERE kind = 'order'"),
    ("ENTRY", "UPDATE billing_seat_entries SET invoice_id = NULL WHERE kind = 'order'"),
    ("ENTRY", "UPDATE billing_lines SET seats = 6 WHERE seats = 5"),
    ("DOCUMENT", "UPDATE billing_invoices SET document = replace(document, 'Acme', 'Evil')"),
    ("DOCUMENT", "UPDATE billing_invoices SET gross = gross + 1 WHERE origin = 'renewal'"),
    ("DOCUMENT", "UPDATE billing_invoices SET due_on = '2030-01-01' WHERE origin = 'renewal'"),
    ("DOCUMENT", "UPDATE billing_invoices SET sequence = 7 WHERE origin = 'renewal'"),
    ("LINE", "UPDATE billing_lines SET net = net + 1"),
    ("LINE", "DELETE FROM billing_lines"),
    ("POSTINGS", "UPDATE billing_postings SET amount = amount * 2"),
    ("POSTINGS", "DELETE FROM billing_postings WHERE account = 'tax_payable'"),
    ("POSTINGS", "UPDATE billing_journal SET key = key || '0' WHERE kind = 'revenue'"),
    ("UNBALANCED", "UPDATE billing_postings SET amount = amount + 1 WHERE account = 'revenue'"),
    ("PAYMENT", "UPDATE billing_payments SET amount = 78 WHERE amount = 77"),
    ("PAYMENT", "DELETE FROM billing_payments"),
    ("ORDER", "UPDATE billing_orders SET seats_after = seats_after + 1"),
    ("ORDER", "DELETE FROM billing_orders"),
    ("CREDIT", "UPDATE billing_invoices SET net = 5 WHERE origin = 'order'"),
    ("SERIES", "UPDATE billing_series SET last_number = last_number + 1"),
    ("SERIES", "UPDATE billing_invoices SET sequence = 9 WHERE number = 'CN-2026-000003'"),
    ("SERIES", "UPDATE billing_invoices SET issued_on = '2026-12-31' WHERE number = 'INV-2026-000001'"),
    ("SERIES", "UPDATE billing_invoices SET issued_on = '2025-12-31' WHERE number = 'INV-2026-000001'"),
]


def test_whatever_is_tampered_with_is_found_under_its_own_code(busy):
    unfound = []
    for code, statement in TAMPERED:
        with busy.engine.connect() as tx:
            assert tx.execute(text(statement)).rowcount, statement
            if code not in {finding.code for finding in reconcile(tx)}:
                unfound.append(statement)
            tx.rollback()
    assert unfound == []
    assert busy.findings() == []


def test_a_document_forged_with_its_digest_is_found_by_its_figures(busy):
    with busy.engine.begin() as tx:
        row = tx.execute(text("SELECT id, document FROM billing_invoices WHERE origin = 'renewal'")).one()
        forged = row.document.replace('"net":2160000', '"net":2160001')
        values = {"document": forged, "digest": digest(forged), "id": row.id}
        tx.execute(text("UPDATE billing_invoices SET document = :document, digest = :digest WHERE id = :id"), values)
    assert {"DOCUMENT", "LINE", "TOTALS", "POSTINGS"} <= {finding.code for finding in busy.findings()}


def test_books_longer_than_a_batch_are_proved_batch_by_batch(busy, monkeypatch):
    monkeypatch.setattr(reconciliation, "BATCH", 2)
    told: list[tuple[int, int]] = []
    with busy.engine.begin() as tx:
        assert reconcile(tx, lambda done, total: told.append((done, total))) == []
        assert told == [(2, 7), (4, 7), (6, 7), (7, 7)]
        tx.execute(text("UPDATE billing_lines SET net = net + 1"))
        tx.execute(text("UPDATE billing_postings SET amount = amount * 2"))
        found = reconcile(tx)
        numbers = set(tx.execute(text("SELECT number FROM billing_invoices")).scalars())
    assert {finding.subject for finding in found if finding.code == "LINE"} == numbers
    assert {finding.subject for finding in found if finding.code == "POSTINGS"} == numbers


def test_progress_is_told_up_to_the_end(busy):
    told: list[tuple[int, int]] = []
    with busy.engine.begin() as tx:
        assert reconcile(tx, lambda done, total: told.append((done, total))) == []
    assert told[-1] == (7, 7)


def test_an_empty_database_agrees(engine):
    assert Firm(engine, now=day(2026, 1, 1)).findings() == []


def test_a_contract_without_taxes_and_without_price_agrees(engine):
    firm = Firm(engine, now=day(2026, 1, 1)).opened(unit_price="0", tax=[])
    firm.buy(5)
    firm.at(day(2026, 6, 1)).call("recognise")
    firm.call("amend_contract", contract=contract(unit_price="0", tax=[]))
    assert firm.findings() == []
