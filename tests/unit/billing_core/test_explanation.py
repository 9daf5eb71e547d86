"""Every figure is explained from the stored document alone, and a wrong one is told."""

import os
import runpy
import subprocess
import sys
from dataclasses import replace

import pytest
from sqlalchemy import text

import billing_core as billing
from billing_core.__main__ import main
from tests.unit.billing_core.conftest import ROOT
from tests.unit.billing_core.firm import Firm, day


def test_the_published_example_explained(small_firm):
    bought = small_firm.at(day(2026, 3, 1)).buy(5)
    assert billing.explain(bought) == (
        "INV-2026-000002: invoice (order), issued 2026-03-01 and due 2026-03-31 in Europe/Berlin, "
        "by Example GmbH to Acme Ltda.\n"
        "Line 1: 5 seats × 10 months (1 Mar 2026 – 31 Dec 2026) at 20.00 USD per seat and month\n"
        "  instant   2026-03-01T15:00:00+00:00 is 2026-03-01 in America/Sao_Paulo\n"
        "  grid      anchor 2026-01-01: b[2] = 2026-03-01 <= 2026-03-01 < b[3] = 2026-04-01\n"
        "  term      0 ends at b[12] = 2027-01-01\n"
        "  months    started_month: 10 contract months from the started one to the end of the term = 10\n"
        "  formula   5 seats x 20.00 USD x 10 months = 1000 USD\n"
        "  rounding  none, already whole minor units -> 100000 minor units\n"
        "Tax S 19 %: 1,000.00 USD x 19/100 = 190 USD, none, already whole minor units -> 190.00 USD\n"
        "Total: net 1,000.00 USD + tax 190.00 USD = gross 1,190.00 USD\n"
    )


def test_days_and_rounding_explained(sqlite_engine):
    firm = Firm(sqlite_engine, now=day(2026, 3, 16)).opened(
        proration="month_plus_days",
        price_per="seat_year",
        unit_price="250.01",
        tax=[{"category": "S", "rate_percent": "7.7"}],
    )
    said = billing.explain(firm.buy(7))
    assert "9 whole contract months + 16/31 of the started one = 295/31" in said
    assert "7 seats x 250.01 USD x 295/31 months / 12" in said
    assert "once, half up away from zero -> 138782 minor units" in said
    assert "DIFFERS" not in said


def test_openings_renewals_and_late_jobs_are_explained_as_of_the_boundary(small_firm):
    [renewed] = small_firm.at(day(2027, 2, 20)).renew()
    said = [billing.explain(invoice) for invoice in (small_firm.opening.invoice, renewed.invoice)]
    for text_of in said:
        assert "= 12" in text_of
        assert "DIFFERS" not in text_of
    assert "2027-01-01T03:00:00+00:00 is 2027-01-01 in America/Sao_Paulo" in said[1]


def test_a_credit_note_is_explained_by_what_it_takes_back(small_firm):
    note = small_firm.call("credit", number="INV-2026-000001", reason="Agreed", net=33_333)
    said = billing.explain(note)
    assert "refers to INV-2026-000001 (Agreed)" in said
    assert "333.33 USD, taken back from INV-2026-000001" in said
    assert "63.33 USD, the cumulative share of the invoice's tax" in said
    assert "DIFFERS" not in said


@pytest.mark.parametrize("wrong", ["net", "months", "start", "tax", "total"])
def test_a_figure_that_the_rules_do_not_give_is_told(small_firm, wrong):
    bought = small_firm.at(day(2026, 3, 1)).buy(5)
    line, totals = bought.lines[0], bought.totals
    lines = {
        "net": replace(line, net=line.net + 1),
        "months": replace(line, months=line.months + 1),
        "start": replace(line, period_start=line.period_end),
    }
    taxes = tuple(replace(group, amount=group.amount + 1) for group in totals.taxes)
    sums = {"tax": replace(totals, taxes=taxes), "total": replace(totals, net=totals.net + 1)}
    forged = replace(bought, lines=(lines.get(wrong, line),), totals=sums.get(wrong, totals))
    assert "DIFFERS" in billing.explain(forged)


def url_of(firm: Firm) -> str:
    return firm.engine.url.render_as_string(hide_password=False).replace("+psycopg", "")


def test_the_command_explains_a_document(firm, capsys):
    assert main(["explain", "INV-2026-000001", "--database", url_of(firm)]) == 0
    assert "100 seats x 20.00 USD x 12 months" in capsys.readouterr().out


def test_the_command_explains_all_documents_or_says_that_there_is_none(firm, capsys):
    firm.buy(5)
    assert main(["explain", "--database", url_of(firm)]) == 0
    assert capsys.readouterr().out.count("Total:") == 2
    assert main(["explain", "INV-1999-000001", "--database", url_of(firm)]) == 3
    assert "INV-1999-000001: not found" in capsys.readouterr().err


def test_the_command_proves_the_books_or_fails(firm, capsys):
    assert main(["reconcile", "--database", url_of(firm)]) == 0
    assert "The books agree." in capsys.readouterr().err
    with firm.engine.begin() as tx:
        tx.execute(text("UPDATE billing_contracts SET seats = 99"))
    assert main(["reconcile", "--database", url_of(firm)]) == 1
    assert "SEATS org_acme: entries sum to 100, the contract says 99" in capsys.readouterr().out
    assert main(["reconcile", "--json", "--database", url_of(firm)]) == 1
    assert '"code": "SEATS"' in capsys.readouterr().out


def on_a_terminal(*command: str, stdout_too: bool) -> tuple[str, str]:
    """What the command writes into a pipe and onto a terminal that is its stderr, and perhaps its stdout as well."""
    screen, terminal = os.openpty()
    arguments = [sys.executable, "-m", "billing_core", *command]
    out = terminal if stdout_too else subprocess.PIPE
    with subprocess.Popen(arguments, cwd=ROOT, stdout=out, stderr=terminal, env={"TERM": "xterm"}) as run:
        os.close(terminal)
        shown = b"".join(iter(lambda: _read(screen), b""))
        piped = run.stdout.read() if run.stdout else b""
    os.close(screen)
    return piped.decode(), shown.decode()


def _read(screen: int) -> bytes:
    """What comes next; Linux tells the end of a terminal as an input/output error."""
    try:
        return os.read(screen, 65_536)
    except OSError:
        return b""


@pytest.mark.parametrize("command", ["explain", "reconcile"])
def test_a_terminal_shows_a_bar_and_a_pipe_gets_the_data_alone(small_firm, command):
    given = (command, "--database", url_of(small_firm))
    piped, shown = on_a_terminal(*given, stdout_too=False)
    assert "documents" in shown
    assert "1/1" in shown
    assert "Total:" not in shown
    assert piped.count("Total:") == (command == "explain")
    assert "1/1" not in piped


def test_no_bar_runs_through_explanations_on_the_same_screen(small_firm):
    _, shown = on_a_terminal("explain", "--database", url_of(small_firm), stdout_too=True)
    assert shown.count("Total:") == 1
    assert "1/1" not in shown


def test_no_bar_is_written_where_nobody_watches(small_firm, capsys):
    assert main(["reconcile", "--database", url_of(small_firm)]) == 0
    assert capsys.readouterr().err == "The books agree.\n"


def test_a_database_that_is_not_there_is_told_in_one_line(tmp_path, capsys):
    assert main(["reconcile", "--database", f"sqlite:///{tmp_path}/no/such/folder.db"]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith("database: OperationalError")


def test_a_wrong_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["explain"])
    assert stopped.value.code == 2


def test_the_package_is_a_command(monkeypatch, small_firm, capsys):
    monkeypatch.delitem(sys.modules, "billing_core.__main__")
    monkeypatch.setattr(sys, "argv", ["billing_core", "reconcile", "--database", url_of(small_firm)])
    with pytest.raises(SystemExit) as stopped:
        runpy.run_module("billing_core", run_name="__main__", alter_sys=True)
    assert stopped.value.code == 0
