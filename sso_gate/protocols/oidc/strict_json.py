"""JSON objects from outside, read strictly: what two readers could understand differently is refused."""

import json
from typing import Any, NoReturn

from sso_gate.errors import Reason, Refused


def parse_object(data: bytes, *, refusal: Reason, what: str) -> dict[str, Any]:
    """Return the JSON object that UTF-8 bytes hold.

    Names are unique at every depth, and NaN or Infinity are not numbers (RFC 8259 4 and 6).

    Raises:
        Refused: with `refusal`; the detail names `what` was read, never its content.
    """
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Refused(refusal, f"{what} is not a JSON object: {type(error).__name__}") from error
    if not isinstance(value, dict):
        raise Refused(refusal, f"{what} is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name occurs twice")
    return found


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")
