"""Proves an export, or says what is wrong with it, from the file alone: no database, no network.

Each row is checked against its own hash, the rows against each other, and the whole against the signed checkpoints: the
closing one of the file, those that the log itself holds, and any that were kept elsewhere. Only one kept elsewhere
shows that the end of the log was cut before the export was made.
"""

import json
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from sso_gate.audit.checkpoint import Checkpoint, is_signed, read_checkpoint
from sso_gate.audit.line import Checked, ClosingLine, check_lines
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
    keys: tuple[str, ...]


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

    def add(self, row: Checked) -> None:
        """Put a row at the end."""
        self.positions.append(row.position)
        self.prevs += row.prev
        self.hashes += row.hash
        self.intact.append(not row.problem)
        self.erased += row.erased
        if row.checkpoint:
            kept = read_checkpoint(row.checkpoint)
            self.checkpoints += [kept] if kept else []

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
    keys: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings


def verify(
    lines: Iterable[str], *, keys: Sequence[str] = (), checkpoints: Sequence[Checkpoint] = (), processes: int = 1
) -> Report:
    """Return the report on an export. `keys` are the public keys that may have signed (base64), from elsewhere, several
    where one was rolled over. Without them the file's own are taken: that proves only that it agrees with itself.
    Rows are checked by so many processes; what they are to each other is this one's work.
    """
    findings: list[Finding] = []
    source = iter(lines)
    header = _header(next(source, ""))
    if header is None:
        return Report(
            "", 0, 0, 0, 0, False, 0, tuple(keys), (Finding(Kind.UNREADABLE, 0, 1, "the first line is no export's"),)
        )
    trusted = tuple(keys) or header.keys
    rows, closing = _read(check_lines(source, header.organization, processes=processes), header, findings)
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
            found["filter"] is not None, tuple(str(key) for key in found["keys"]),
        )  # fmt: skip
    except (ValueError, KeyError, TypeError):
        return None


def _read(
    lines: Iterator[Checked | ClosingLine | None], header: Header, findings: list[Finding]
) -> tuple[Rows, Checkpoint | None]:
    """Return the rows and the closing checkpoint; a line that is neither is a finding."""
    rows, closing = Rows(), None
    for number, found in enumerate(lines, start=2):
        if closing is not None:
            findings.append(Finding(Kind.INSERTED, 0, number, "a line after the closing checkpoint"))
            continue
        if found is None:
            findings.append(Finding(Kind.CHANGED, header.first + len(rows), number, _UNREAD))
            continue
        if isinstance(found, ClosingLine):
            closing = read_checkpoint(found.checkpoint)
            continue
        rows.add(found)
        if found.problem:
            findings.append(Finding(Kind.CHANGED, found.position, number, found.problem))
    if closing is None:
        findings.append(Finding(Kind.CUT, header.first + len(rows), 0, "the file has no closing checkpoint"))
    return rows, closing


def _is_trusted(one: Checkpoint, header: Header, keys: Sequence[str], findings: list[Finding]) -> bool:
    if one.organization != header.organization:
        problem = "a checkpoint of another organization"
    elif not any(is_signed(one, key) for key in keys):
        problem = f"a checkpoint that the key {one.key} did not sign, or not an expected one"
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
    signed_to = max((one.size for one in signed), default=0)
    if end > signed_to and not findings:
        said = f"no signed checkpoint covers positions {signed_to + 1} to {end}"
        findings.append(Finding(Kind.CHECKPOINT, signed_to + 1, 0, said))
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
