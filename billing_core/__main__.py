"""`python -m billing_core explain INVOICE --database URL` and `reconcile --database URL`.

Data on stdout, words on stderr, and on a terminal a progress bar there. Exit codes: 0 the books agree or the document
was found, 1 a disagreement, 2 usage, 3 not found.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.exc import SQLAlchemyError

from billing_core.archive import document_count, every_invoice, invoices_numbered
from billing_core.explanation import explain
from billing_core.reconciliation import reconcile

STEP = 100
"""Documents between two movements of the bar."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code of one command."""
    chosen = _parser().parse_args(arguments)
    engine = create_engine(_url(chosen.database))
    try:
        with engine.connect() as tx:
            return _COMMANDS[chosen.command](tx, chosen)
    except SQLAlchemyError as error:
        sys.stderr.write(f"database: {type(error).__name__}: {str(error).splitlines()[0]}\n")
        return 1
    finally:
        engine.dispose()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m billing_core", description=(__doc__ or "").splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    told = commands.add_parser("explain", help="how every figure of a document came about")
    told.add_argument("invoice", nargs="?", help="its number, such as INV-2026-000001; without it, all of them")
    proved = commands.add_parser("reconcile", help="prove that seats, invoices, books and numbers agree")
    proved.add_argument("--json", action="store_true", help="one finding a line, as JSON")
    for command in (told, proved):
        command.add_argument("--database", required=True, metavar="URL", help="sqlite:///… or postgresql://…")
    return parser


def _url(text: str) -> URL:
    """The URL with the driver that this package is tested with."""
    url = make_url(text)
    return url.set(drivername="postgresql+psycopg") if url.drivername in ("postgres", "postgresql") else url


def _explain(tx: Connection, chosen: argparse.Namespace) -> int:
    found = invoices_numbered(tx, chosen.invoice) if chosen.invoice else every_invoice(tx)
    total = None if chosen.invoice else document_count(tx)
    told = 0
    with _bar(beside=sys.stdout) as bar:
        task = bar.add_task("documents", total=total)
        for told, invoice in enumerate(found, 1):
            sys.stdout.write(explain(invoice) + "\n")
            if told % STEP == 0 or told == total:
                bar.update(task, completed=told)
    if not told:
        sys.stderr.write(f"{chosen.invoice or 'no document'}: not found\n")
    return 0 if told else 3


def _reconcile(tx: Connection, chosen: argparse.Namespace) -> int:
    with _bar() as bar:
        task = bar.add_task("documents", total=None)
        findings = reconcile(tx, lambda done, total: bar.update(task, completed=done, total=total))
    for finding in findings:
        said = json.dumps(asdict(finding)) if chosen.json else f"{finding.code} {finding.subject}: {finding.detail}"
        sys.stdout.write(said + "\n")
    sys.stderr.write(f"{len(findings)} disagreements\n" if findings else "The books agree.\n")
    return 1 if findings else 0


def _bar(beside: TextIO | None = None) -> Progress:
    """A bar on a terminal, nothing in a pipe, and nothing `beside` output that runs over the same screen.

    It leaves stdout and stderr alone: what they carry is data, and goes where the caller sent it.
    """
    shown = sys.stderr.isatty() and not (beside is not None and beside.isatty())
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, disable=not shown, redirect_stdout=False, redirect_stderr=False)


_COMMANDS = {"explain": _explain, "reconcile": _reconcile}

if __name__ == "__main__":
    sys.exit(main())
