"""The lines of an export, each checked by itself: whether the row is the one that its hash was made of, and shows that.

A line that is exactly what the export writes is compared as text; anything else is read as JSON, which says the same
and takes several times as long.
"""

import json
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from typing import Any, NamedTuple

from pydantic_core import from_json

from sso_gate.audit.canonical import fill_in, shown_by_commitment, split_at_commitments
from sso_gate.audit.chain import link

CHECKPOINT = "audit.checkpoint"
LINES_AT_ONCE = 2000
_CHAIN = ',"chain":{"pos":'
# The canonical text begins with these (canonical.canonical_form); whatever does not is read as JSON.
_HEAD = re.compile(r'\{"v":1,"id":"[^"\\]*","time":"[^"\\]*","organization":"([^"\\]*)","action":"([^"\\]*)",')


class Checked(NamedTuple):
    """A row and what is wrong with it by itself (nothing: an empty text); `checkpoint` is the one it tells of.

    A tuple: one is made for each of a million rows, and comes from another process.
    """

    position: int
    prev: bytes
    hash: bytes
    problem: str
    erased: bool = False
    checkpoint: Any = None


class ClosingLine(NamedTuple):
    """The line that holds the export's checkpoint."""

    checkpoint: Any


def check_lines(
    lines: Iterable[str], organization: str, *, processes: int = 1
) -> Iterator[Checked | ClosingLine | None]:
    """Return every line checked, in their order; None for one that cannot be read. A few thousand are in memory."""
    if processes < 2:
        for line in lines:
            yield _check(line, organization)
        return
    source = iter(lines)
    under_way: deque[Future[list[Checked | ClosingLine | None]]] = deque()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        while block := list(islice(source, LINES_AT_ONCE)):
            under_way.append(pool.submit(_check_block, block, organization))
            if len(under_way) > 2 * processes:
                yield from under_way.popleft().result()
        while under_way:
            yield from under_way.popleft().result()


def _check_block(lines: list[str], organization: str) -> list[Checked | ClosingLine | None]:
    return [_check(line, organization) for line in lines]


def _check(line: str, organization: str) -> Checked | ClosingLine | None:
    try:
        return _row(line, organization)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None


def _row(line: str, organization: str) -> Checked | ClosingLine:
    event, place = _as_written(line) or _as_json(line)
    if place is None:
        return ClosingLine(event)
    position, prev, own = place["pos"], bytes.fromhex(place["prev"]), bytes.fromhex(place["hash"])
    if type(position) is not int or len(prev) != 32 or len(own) != 32:
        raise ValueError("not a place in a chain")
    problem, erased, sealed = _problem(event, place)
    if problem:
        return Checked(position, prev, own, problem)
    whose, action = _head(sealed)
    if whose != organization:
        return Checked(position, prev, own, "it is another organization's")
    told = json.loads(sealed)["changes"].get("checkpoint") if action == CHECKPOINT else None
    return Checked(position, prev, own, "", erased, told)


def _as_written(line: str) -> tuple[str, dict[str, Any]] | None:
    """Return the event's text and its place in the chain, or None for a line that an export does not write so."""
    at, end = line.rfind(_CHAIN), line.rstrip("\r\n")
    if at < 0 or not end.endswith("}}"):
        return None
    try:
        return line[:at] + "}", from_json(end[at + 9 : -1])
    except ValueError:
        return None  # it may still be JSON: half characters, for one


def _as_json(line: str) -> tuple[Any, dict[str, Any] | None]:
    """Return the event and its place, or a closing checkpoint and no place."""
    found = json.loads(line)
    if "checkpoint" in found and "chain" not in found:
        return found["checkpoint"], None
    return found, found.pop("chain")


def _problem(event: str | dict[str, Any], place: Mapping[str, Any]) -> tuple[str, bool, str]:
    """Return what is wrong with the row, whether something was erased from it, and what was sealed, readable."""
    canonical, personal = place["canonical"], place["personal"]
    if link(place["prev"], canonical) != place["hash"]:
        return "its hash is not that of its text", False, ""
    if not isinstance(personal, list):
        raise TypeError("personal data are a list")
    problem, erased, sealed = whole(canonical, personal)
    if not problem and event != sealed and _value(event) != json.loads(sealed):
        return "what it shows is not what was sealed", erased, sealed
    return problem, erased, sealed


def whole(canonical: str, personal: Iterable[str]) -> tuple[str, bool, str]:
    """Return what is wrong with a row's personal data (values behind their salts), whether some were erased, and the
    event as readable text.
    """
    shown, pieces = shown_by_commitment(personal), split_at_commitments(canonical)
    promised = set(pieces[1::2])
    if not shown.keys() <= promised:
        return "its personal data are not those that were sealed", False, ""
    fill_in(pieces, shown)
    return "", len(promised) > len(shown), "".join(pieces)


def _value(event: str | dict[str, Any]) -> Any:
    return json.loads(event) if isinstance(event, str) else event


def _head(sealed: str) -> tuple[str, str]:
    found = _HEAD.match(sealed)
    if found:
        return found[1], found[2]
    event = json.loads(sealed)
    return event["organization"], event["action"]
