"""The rules of the house that no linter knows."""

import ast
import re

import pytest

from tests.architecture.tree import PRODUCT, ROOT, python_files, shown, syntax, text_files

DRAWERS = {"utils", "util", "helpers", "helper", "common", "base", "manager", "service", "core", "misc", "lib"}
CLOCK = {"datetime": {"now", "utcnow", "today"}, "date": {"today"}, "time": {"time", "time_ns"}, "dt": {"now", "today"}}
REGISTRY_HOSTS = re.compile(
    r"https?://[\w.-]*(pypi\.org|pythonhosted\.org|npmjs\.(org|com)|yarnpkg\.com|crates\.io|proxy\.golang\.org|/simple/)"
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|root|home/\w+)/")


def test_no_module_is_a_drawer():
    names = {shown(path): path.stem for path in python_files(*PRODUCT, "tests")}
    folders = {shown(path.parent): path.parent.name for path in python_files(*PRODUCT, "tests")}
    assert [where for where, name in {**names, **folders}.items() if name in DRAWERS] == []


@pytest.mark.parametrize("package", PRODUCT)
def test_every_package_says_what_it_owns(package):
    silent = [
        shown(path)
        for path in python_files(package)
        if path.name == "__init__.py"
        and "migrations" not in path.parts
        and len(ast.get_docstring(syntax(path)) or "") < 40
    ]
    assert silent == []


def test_every_folder_of_python_is_a_package():
    folders = {path.parent for path in python_files(*PRODUCT) if "migrations" not in path.parts}
    assert [shown(folder) for folder in sorted(folders) if not (folder / "__init__.py").exists()] == []


def _asks_for_the_time(node):
    function = node.func
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value
    name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
    return function.attr in CLOCK.get(name, ())


def test_only_the_clock_asks_for_the_time():
    asking = [
        f"{shown(path)}:{node.lineno}"
        for path in python_files(*PRODUCT)
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call) and _asks_for_the_time(node) and shown(path) != "sso_gate/clock.py"
    ]
    assert asking == []


def test_the_clock_rule_sees_a_call():
    calls = ast.walk(ast.parse("import datetime, time\ndatetime.datetime.now()\ntime.time()\nclock.now()"))
    assert sum(_asks_for_the_time(node) for node in calls if isinstance(node, ast.Call)) == 2


def test_rules_never_ask_a_database_for_the_time():
    # CURRENT_TIMESTAMP and now() stay real where a test stops the clock, and differ between gates.
    asking = re.compile(r"CURRENT_TIMESTAMP|func\.now\(|\bredis\.call\(['\"]TIME['\"]", re.IGNORECASE)
    files = [
        path for path in text_files() if path.suffix in {".py", ".lua", ".sql"} and path.parts[-2] != "architecture"
    ]
    assert [shown(path) for path in files if asking.search(path.read_text())] == []


def test_nothing_names_a_package_registry():
    assert [shown(path) for path in text_files() if REGISTRY_HOSTS.search(path.read_text(errors="replace"))] == []


def test_nothing_names_a_place_on_somebodys_machine():
    assert [shown(path) for path in text_files() if MACHINE_PATHS.search(path.read_text(errors="replace"))] == []


def test_only_admission_opens_a_session():
    opening = {
        shown(path)
        for path in python_files("sso_gate")
        for node in ast.walk(syntax(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "activate"
        if "sessions" in ast.unparse(node.func.value).lower()
    }
    assert opening, "nobody opens a session: this rule looks for the wrong name"
    assert {where for where in opening if not where.startswith("sso_gate/admission/")} == set()


def test_no_code_branches_on_being_a_demonstration():
    knowing = re.compile(r"\b(is_demo|demo_mode|DEMO)\b")
    files = [path for path in python_files("sso_gate") if "demo" not in path.parts]
    assert [shown(path) for path in files if knowing.search(path.read_text())] == []


def test_every_suppression_carries_its_reason():
    codes = r"noqa(?!:)|noqa: [\w, ]+$|type:\s*ignore(?!\[)|type:\s*ignore\[[\w, -]+\]$|pragma: no cover$"
    bare = re.compile(rf"#\s*({codes})", re.MULTILINE)
    assert [shown(path) for path in python_files(*PRODUCT, "tests") if bare.search(path.read_text())] == []


def test_the_change_log_has_a_first_entry():
    assert "## " in (ROOT / "CHANGELOG.md").read_text()
