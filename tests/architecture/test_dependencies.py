"""What is installed is what pyproject.toml says, hashed, without an address, each with a reason."""

import json
import re

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.architecture.tree import ROOT, project

LOCKS = ("requirements.lock", "requirements-test.lock")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^ ;\\]+)([^\\]*)\\$", re.MULTILINE)


def pins(lock):
    """Return name -> set of versions (one for each marker)."""
    found: dict[str, set[str]] = {}
    for name, version, _marker in PIN.findall((ROOT / lock).read_text()):
        found.setdefault(canonicalize_name(name), set()).add(version)
    return found


def direct(*groups):
    tables = {
        "run": project()["project"]["dependencies"],
        "test": project()["project"]["optional-dependencies"]["test"],
        "build": project()["dependency-groups"]["build"],
    }
    return [Requirement(line) for group in groups for line in tables[group]]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_hashes_and_no_address(lock):
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert len(pins(lock)) > 40
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize(("lock", "groups"), [(LOCKS[0], ("run", "build")), (LOCKS[1], ("run", "build", "test"))])
def test_a_lock_satisfies_pyproject(lock, groups):
    locked = pins(lock)
    for requirement in direct(*groups):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not in {lock}: make lock"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), requirement


def test_the_test_lock_holds_the_other_one_in_the_same_versions():
    run, test = (pins(lock) for lock in LOCKS)
    assert {name: versions for name, versions in run.items() if test.get(name) != versions} == {}


def test_the_providers_lock_holds_hashes_and_no_address():
    folder = ROOT / "tests" / "support" / "idp"
    text = (folder / "package-lock.json").read_text()
    packages = {name: entry for name, entry in json.loads(text)["packages"].items() if name}
    wanted = json.loads((folder / "package.json").read_text())["dependencies"]
    assert "://" not in text
    assert [name for name, entry in packages.items() if "integrity" not in entry] == []
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted


def test_every_direct_dependency_has_a_line_that_says_what_it_is_for():
    described = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "dependencies.md").read_text(), re.MULTILINE)
    folder = ROOT / "tests" / "support" / "idp"
    npm = json.loads((folder / "package.json").read_text())["dependencies"]
    wanted = {canonicalize_name(requirement.name) for requirement in direct("run", "build", "test")} | set(npm)
    assert sorted(described) == sorted(wanted)
