"""Proves an export, or says what is wrong with it, from the file alone: no database, no network.

Each row is checked against its own hash, the rows against each other, and the whole against the signed checkpoints: the
closing one of the file, those that the log itself holds, and any that were kept elsewhere. Only one kept elsewhere
shows that the end of the log was cut before the export was made.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sso_gate.audit.canonical import commitment, opened
from sso_gate.audit.chain import link
from sso_gate.audit.checkpoint import Checkpoint, is_signed, read_checkpoint
from sso_gate.audit.merkle import Tree
from sso_gate.audit.suspects import Finding, Kind, diagnose

MAX_FINDINGS = 1000
_UNREAD = "the line cannot be read"


@dataclass(frozen=True, slots=True)
class Header:
    """What the file says that it holds."""

    organization: str
    first: int
    last: int
    prev: str
    roots: tuple[bytes, ...]
    is_part: bool
    key: str


@dataclass(slots=True)
class Rows:
    """The rows of a file in its order; 73 bytes each, so that a million fit."""

    positions: "array[int]" = field(default_factory=lambda: array("q"))
    prevs: bytearray = field(default_factory=bytearray)
    hashes: bytearray = field(default_factory=bytearray)
    intact: bytearray = field(default_factory=bytearray)
    erased: int = 0
    checkpoints: list[Checkpoint] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.positions)

    def prev(self, at: int) -> bytes:
        """Return the hash that a row says comes before it."""
        return bytes(self.prevs[at * 32 : at * 32 + 32])

    def hash(self, at: int) -> bytes:
        """Return the hash that a row says it has."""
        return bytes(self.hashes[at * 32 : at * 32 + 32])


@dataclass(frozen=True, slots=True)
class Report:
    """What was proved: which positions of whose log, how, and what is wrong (nothing, when `findings` is empty)."""

    organization: str
    first: int
    last: int
    rows: int
    erased: int
    is_part: bool
    checkpoints: int
    key: str
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(lines: Iterable[str], *, key: str = "", checkpoints: Sequence[Checkpoint] = ()) -> Report:
    """Return the report on an export. `key` is the public key that is expected (base64), from elsewhere; without it,
    the file's own is taken, which proves only that the file agrees with itself.
    """
    findings: list[Finding] = []
    source = iter(lines)
    header = _header(next(source, ""))
    if header is None:
        return Report("", 0, 0, 0, 0, False, 0, key, (Finding(Kind.UNREADABLE, 0, 1, "the first line is no export's"),))
    trusted = key or header.key
    rows, closing = _read(source, header, findings)
    every = [*rows.checkpoints, *([closing] if closing else []), *checkpoints]
    signed = [one for one in every if _is_trusted(one, header, trusted, findings)]
    order = _order(rows, header, closing, findings)
    if not header.is_part:
        _check_size(rows, order, header, closing, signed, findings)
        _check_roots(rows, order, header, signed, findings)
    named = tuple(sorted(findings, key=lambda found: (found.position, found.line)))[:MAX_FINDINGS]
    return Report(
        header.organization,
        header.first,
        header.last,
        len(rows),
        rows.erased,
        header.is_part,
        len(signed),
        trusted,
        named,
    )


def _header(line: str) -> Header | None:
    try:
        found = json.loads(line)["export"]
        roots = tuple(bytes.fromhex(root) for root in found["roots"])
        Tree(found["first"] - 1, roots)
        bytes.fromhex(found["prev"])
        return Header(
            str(found["organization"]), int(found["first"]), int(found["last"]), str(found["prev"]), roots,
            found["filter"] is not None, str(found["key"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None


def _read(lines: Iterator[str], header: Header, findings: list[Finding]) -> tuple[Rows, Checkpoint | None]:
    """Return the rows and the closing checkpoint; a line that is neither is a finding."""
    rows, closing = Rows(), None
    for number, line in enumerate(lines, start=2):
        if closing is not None:
            findings.append(Finding(Kind.INSERTED, 0, number, "a line after the closing checkpoint"))
            continue
        try:
            found = json.loads(line)
            if "checkpoint" in found and "chain" not in found:
                closing = read_checkpoint(found["checkpoint"])
                continue
            _add(rows, found, header, number, findings)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            findings.append(Finding(Kind.CHANGED, header.first + len(rows), number, _UNREAD))
    if closing is None:
        findings.append(Finding(Kind.CUT, header.first + len(rows), 0, "the file has no closing checkpoint"))
    return rows, closing


def _add(rows: Rows, event: dict[str, Any], header: Header, number: int, findings: list[Finding]) -> None:
    place = event.pop("chain")
    position, prev, own = place["pos"], bytes.fromhex(place["prev"]), bytes.fromhex(place["hash"])
    if type(position) is not int or len(prev) != 32 or len(own) != 32:
        raise ValueError("not a place in a chain")
    problem, promised = _problem(event, place, header)
    rows.positions.append(position)
    rows.prevs += prev
    rows.hashes += own
    rows.intact.append(not problem)
    rows.erased += promised > len(place["personal"])
    if problem:
        findings.append(Finding(Kind.CHANGED, position, number, problem))
    elif event["action"] == "audit.checkpoint":
        kept = read_checkpoint(event["changes"].get("checkpoint"))
        rows.checkpoints += [kept] if kept else []


def _problem(event: dict[str, Any], place: dict[str, Any], header: Header) -> tuple[str, int]:
    """Return what is wrong with one row by itself, or an empty text, and how many personal data were sealed with it."""
    canonical, personal = place["canonical"], place["personal"]
    if link(place["prev"], canonical) != place["hash"]:
        return "its hash is not that of its text", 0
    sealed, promised = opened(canonical, personal)
    if any(commitment(salted) != promised.get(path) for path, salted in personal.items()):
        return "its personal data are not those that were sealed", 0
    if sealed != event:
        return "what it shows is not what was sealed", 0
    if event["organization"] != header.organization:
        return "it is another organization's", 0
    return "", len(promised)


def _is_trusted(one: Checkpoint, header: Header, key: str, findings: list[Finding]) -> bool:
    if one.organization != header.organization:
        problem = "a checkpoint of another organization"
    elif not is_signed(one, key):
        problem = f"a checkpoint that the key {one.key} did not sign, or not the expected one"
    else:
        return True
    findings.append(Finding(Kind.CHECKPOINT, one.size, 0, problem))
    return False


def _order(rows: Rows, header: Header, closing: Checkpoint | None, findings: list[Finding]) -> Sequence[int]:
    """Return the rows' places in the file in the order of the chain; whatever contradicts it is a finding."""
    if header.is_part:
        return _ascending(rows, findings)
    if _is_straight(rows, header):
        return range(len(rows))
    last = closing.size if closing else header.last
    order, found = diagnose(rows, first=header.first, last=last, prev=bytes.fromhex(header.prev))
    unread = {one.position for one in findings if one.words == _UNREAD}
    findings += [one for one in found if one.kind is not Kind.MISSING or one.position not in unread]
    return order


def _is_straight(rows: Rows, header: Header) -> bool:
    straight = all(position == header.first + at for at, position in enumerate(rows.positions))
    before = bytes.fromhex(header.prev)
    return straight and all(rows.intact) and rows.prevs == (before + rows.hashes)[: len(rows.prevs)]


def _ascending(rows: Rows, findings: list[Finding]) -> Sequence[int]:
    for at in range(1, len(rows)):
        here, before = rows.positions[at], rows.positions[at - 1]
        if here <= before:
            kind = Kind.DUPLICATED if rows.hash(at) == rows.hash(at - 1) else Kind.SWAPPED
            findings.append(Finding(kind, here, at + 2, f"it stands behind position {before}"))
    return range(len(rows))


def _check_size(
    rows: Rows, order: Sequence[int], header: Header, closing: Checkpoint | None, signed: Sequence[Checkpoint],
    findings: list[Finding],
) -> None:  # fmt: skip
    """The end of the chain is where the newest checkpoint says, and is the event that it names."""
    missing = any(found.kind is Kind.MISSING for found in findings)
    end = max((rows.positions[at] for at in order), default=header.first - 1)
    newest = max((one.size for one in signed), default=end)
    if end < newest and not missing:
        said = f"positions {end + 1} to {newest} are gone: a signed checkpoint counts {newest} events"
        findings.append(Finding(Kind.CUT, end + 1, 0, said))
    head = rows.hash(order[-1]).hex() if len(order) else header.prev
    if closing and closing.size == end and closing.head != head and not findings:
        findings.append(Finding(Kind.CHANGED, end, 0, "it is not the event that the closing checkpoint names"))


def _check_roots(
    rows: Rows, order: Sequence[int], header: Header, signed: Sequence[Checkpoint], findings: list[Finding]
) -> None:
    """Every checkpoint's root is that of the rows up to its size. Asked only of rows that agree with each other."""
    if findings:
        return
    tree = Tree(header.first - 1, header.roots)
    wanted: dict[int, list[Checkpoint]] = {}
    for one in signed:
        wanted.setdefault(one.size, []).append(one)
    for at in [-1, *order] if header.first - 1 in wanted else order:
        if at >= 0:
            tree.push(rows.hash(at))
        root = tree.root().hex() if tree.size in wanted else ""
        if any(one.root != root for one in wanted.get(tree.size, ())):
            said = f"the events up to {tree.size} are not those that were signed"
            findings.append(Finding(Kind.REWRITTEN, tree.size, 0, said))
