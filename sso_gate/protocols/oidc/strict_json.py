"""JSON objects from outside, read strictly: what two readers could understand differently is refused."""

import json
from collections.abc import Iterable
from typing import Any, NoReturn

from sso_gate.errors import Reason, Refused

MAX_DEPTH = 32  # a library that reads the same text again, or whoever writes it, must not run out of stack


def parse_object(data: bytes, *, refusal: Reason, what: str) -> dict[str, Any]:
    """Return the JSON object that UTF-8 bytes hold.

    Names are unique at every depth, NaN or Infinity are not numbers (RFC 8259 4 and 6), and nothing is nested deeper
    than `MAX_DEPTH` (section 9 lets a reader choose).

    Raises:
        Refused: with `refusal`; the detail names `what` was read, never its content.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(refusal, f"{what} is not a JSON object: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise Refused(refusal, f"{what} is not a JSON object")
    if is_deep(value):
        raise Refused(refusal, f"{what} is nested deeper than {MAX_DEPTH} levels")
    return value


def is_deep(value: object) -> bool:
    """Return whether a JSON value is nested deeper than `MAX_DEPTH`; looked at level by level, without recursion."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [inner for outer in level for inner in _inside(outer)]
    return any(isinstance(inner, dict | list) for inner in level)


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
