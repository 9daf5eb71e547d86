"""A filter as SQL, as far as indexes carry it: a superset of what matches, and whether it is exactly that.

What SQL cannot say is decided row by row in Python (`matching.py`), over a bounded number of rows, so that a hostile
filter costs nothing. Source: RFC 7644 3.4.2.2, 3.12 (`tooMany`).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any

from sqlalchemy import ColumnElement, not_

from sso_gate.clock import to_micros
from sso_gate.scim.filter import Both, Compare, Either, Element, Filter, Not, Present
from sso_gate.scim.matching import instant

MAX_SCANS = 8  # comparisons of one filter for which SQL looks at every row of an index
_SCANNING = frozenset({"co", "sw", "ew"})
Translate = Callable[[Compare | Element | Present], "Narrowed | None"]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A condition that every matching row fulfils; `is_exact` where no other row does."""

    condition: ColumnElement[bool]
    is_exact: bool = True


def narrow(found: Filter, translate: Translate) -> Narrowed | None:
    """Return the filter as SQL, or None where it narrows nothing; `translate` knows the columns of one resource."""
    match found:
        case Both(terms):
            return _all([narrow(term, translate) for term in terms])
        case Either(terms):
            return _any([narrow(term, translate) for term in terms])
        case Not(inner):
            narrowed = narrow(inner, translate)
            return Narrowed(not_(narrowed.condition)) if narrowed and narrowed.is_exact else None
        case _:
            return translate(found)


def sparing(translate: Translate) -> Translate:
    """Return the same, but for no more than a few comparisons that no index shortens: the others are left to Python."""
    scans = 0

    def translated(term: Compare | Element | Present) -> Narrowed | None:
        nonlocal scans
        is_scan = isinstance(term, Compare) and term.op in _SCANNING
        scans += is_scan
        return None if is_scan and scans > MAX_SCANS else translate(term)

    return translated


def _all(terms: list[Narrowed | None]) -> Narrowed | None:
    known = [term for term in terms if term]
    if not known:
        return None
    is_exact = len(known) == len(terms) and all(term.is_exact for term in known)
    return Narrowed(_joined(and_, known), is_exact)


def _any(terms: list[Narrowed | None]) -> Narrowed | None:
    known = [term for term in terms if term]
    if len(known) != len(terms):
        return None
    return Narrowed(_joined(or_, known), all(term.is_exact for term in known))


def _joined(how: Callable[[Any, Any], Any], terms: Iterable[Narrowed]) -> ColumnElement[bool]:
    joined: ColumnElement[bool] = reduce(how, [term.condition for term in terms])
    return joined


def text_condition(column: ColumnElement[Any], op: str, value: Any, *, case_exact: bool = False) -> Narrowed | None:
    """Return a comparison of a column that holds the compared form of a text that is always there, or None."""
    if case_exact and op not in ("eq", "ne"):
        return None  # LIKE of SQLite knows no letter case
    match op:
        case "eq":
            return Narrowed(column == value)
        case "ne":
            return Narrowed(column != value)
        case "co":
            return Narrowed(column.contains(value, autoescape=True))
        case "sw":
            return Narrowed(column.startswith(value, autoescape=True))
        case "ew":
            return Narrowed(column.endswith(value, autoescape=True))
    return None  # databases order texts each in its own way


def instant_condition(column: ColumnElement[Any], op: str, value: Any) -> Narrowed | None:
    """Return a comparison of a column of microseconds that is always there, or None."""
    when = instant(value)
    if when is None:
        return None
    micros = to_micros(when)
    comparisons = {
        "eq": column == micros,
        "ne": column != micros,
        "gt": column > micros,
        "ge": column >= micros,
        "lt": column < micros,
        "le": column <= micros,
    }
    return Narrowed(comparisons[op]) if op in comparisons else None
