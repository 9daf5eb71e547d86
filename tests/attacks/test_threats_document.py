"""`docs/threats.md` is complete: every known attack has a row, its files and tests exist, every test has a row."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "threats.md"
CELLS = r" \| ".join(f"(?P<{name}>[^|]+)" for name in ("attack", "defence", "files", "tests"))
ROW = re.compile(rf"^\| {CELLS} \|$", re.MULTILINE)
CODE = re.compile(r"`([^`]+)`")

# Published attacks on SAML and OpenID Connect, and on gates in front of applications: a new one is added here first.
KNOWN = """
signature wrapping; hidden or second assertion; encrypted injection; comment split; CDATA split; processing
instruction split; parser differential; entity and DTD; transform flood; reference flood; depth flood; local
reference; remote reference; key from the message; HMAC confusion; algorithm confusion; signature exclusion; status
confusion; logout wrapping; unsigned logout; replay; replay on another worker; replay after Redis was emptied;
cross-connection replay; cross-organization replay; mix-up; code injection; state fixation; session fixation; login
CSRF; open redirect; header smuggling; forged forwarded headers; host injection; request smuggling; SSRF; DNS
rebinding; JWKS flood; back-channel token confusion; seat race; seat flood; garbage flood; audit injection; role
escalation; takeover by email; break-glass guessing; host ticket theft; missing audience; recipient or destination by
prefix; unlimited validity; weak algorithms; truncated subject; name of the attacker's choice; other encodings;
deflate bomb; missing ID token; token confusion; stale token; another person at UserInfo; unsolicited response;
padding oracle; secrets in logs; login rate
"""


def known() -> set[str]:
    return {" ".join(name.split()) for name in KNOWN.split(";")}


def rows() -> list[re.Match[str]]:
    return [row for row in ROW.finditer(DOCUMENT.read_text()) if row["attack"].strip() not in ("Attack", "---")]


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in ast.walk(tree) if isinstance(node, kinds) and node.name.startswith("test_")}


def cited() -> set[tuple[str, str]]:
    """Return (file, function) of every test that a row names."""
    tests = (name for row in rows() for name in CODE.findall(row["tests"]))
    return {tuple(name.split("::", 1)) for name in tests}  # type: ignore[misc]  # two parts: the next test says so


def test_every_known_attack_has_exactly_one_row():
    named = [row["attack"].strip() for row in rows()]
    assert sorted(named) == sorted(known())


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["attack"].strip())
def test_every_row_names_files_and_tests_that_exist(row):
    files, tests = CODE.findall(row["files"]), CODE.findall(row["tests"])
    assert files
    assert tests
    assert [name for name in files if not (ROOT / name).is_file()] == []
    for name in tests:
        file, _, function = name.partition("::")
        assert function in functions(ROOT / "tests" / file), name


def test_every_attack_test_is_in_the_table():
    here = {
        (f"attacks/{path.name}", name)
        for path in Path(__file__).parent.glob("test_*.py")
        if path != Path(__file__)
        for name in functions(path)
    }
    assert here - cited() == set()
