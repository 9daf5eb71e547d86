"""What callers may rely on: the names, what the package must not know, and that time comes in by argument."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import billing_core
from tests.support.frozen import frozen
from tests.unit.billing_core.firm import Firm, day

PACKAGE = Path(billing_core.__file__).parent
FORBIDDEN = {"sso_gate", "starlette", "redis", "uvicorn", "httpx2", "authlib", "onelogin", "pydantic", "structlog"}


def test_every_name_of_the_face_is_there_and_told():
    assert len(set(billing_core.__all__)) == len(billing_core.__all__)
    for name in billing_core.__all__:
        found = getattr(billing_core, name)
        assert name == "metadata" or inspect.getdoc(found), name


def test_the_docstring_shows_every_verb():
    verbs = [name for name in billing_core.__all__ if inspect.isfunction(getattr(billing_core, name))]
    assert [
        name for name in verbs if f"{name}(" not in billing_core.__doc__ and f"{name} " not in billing_core.__doc__
    ] == []


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.stem)
def test_the_package_knows_no_gate_no_web_and_no_redis(path):
    assert not imported(path) & FORBIDDEN


def test_importing_the_package_imports_none_of_them_either():
    code = f"import sys, billing_core; assert not {FORBIDDEN!r} & set(sys.modules), set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_no_rule_asks_the_machine_for_the_time(small_firm):
    with frozen("1999-12-31"):
        bought = small_firm.at(day(2026, 3, 1)).buy(5)
    assert (bought.issued_on.isoformat(), bought.lines[0].months) == ("2026-03-01", 10)
    other = Firm(small_firm.engine, now=day(2026, 1, 1, 15), customer="org_b").opened().at(day(2026, 3, 1)).buy(5)
    assert (other.lines, other.totals, other.due_on) == (bought.lines, bought.totals, bought.due_on)
    assert small_firm.findings() == []


def test_a_verb_never_commits(small_firm):
    with small_firm.engine.connect() as tx:
        made = billing_core.quote_seats(tx, customer=small_firm.customer, add=5, now=small_firm.now)
        tx.rollback()
    with small_firm.engine.begin() as tx:
        assert billing_core.quote(tx, made.id, customer=small_firm.customer) is None
