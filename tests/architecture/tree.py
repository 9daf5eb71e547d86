"""The tree as the rules see it: source files, their syntax, their names."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PRODUCT = ("sso_gate", "billing_core")


@cache
def project() -> dict[str, Any]:
    """Return pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def python_files(*packages: str) -> Iterator[Path]:
    """Give every Python file below the packages, in order."""
    for package in packages:
        yield from sorted(path for path in (ROOT / package).rglob("*.py") if "node_modules" not in path.parts)


@cache
def syntax(path: Path) -> ast.Module:
    """Return the parsed file."""
    return ast.parse(path.read_text(), str(path))


def shown(path: Path) -> str:
    """Return the path as people write it."""
    return path.relative_to(ROOT).as_posix()


def text_files() -> Iterator[Path]:
    """Give every text file that belongs to the project: not what is installed, made or kept by git."""
    outside = {"node_modules", "__pycache__", "var", "build", "dist"}
    suffixes = {
        ".py",
        ".md",
        ".toml",
        ".lock",
        ".json",
        ".js",
        ".yml",
        ".yaml",
        ".j2",
        ".html",
        ".lua",
        ".sql",
        ".po",
        "",
    }
    for path in sorted(ROOT.rglob("*")):
        folders = path.relative_to(ROOT).parts[:-1]
        inside = not any(name in outside or (name.startswith(".") and name != ".ci") for name in folders)
        if inside and path.is_file() and path.suffix in suffixes and not path.name.endswith(".egg-info"):
            yield path
