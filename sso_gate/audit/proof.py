"""Proofs for whoever has not the log: that one event is in a log whose checkpoint is known, without showing any other
event, and that the log of an older checkpoint is the beginning of a newer one's, without showing any.

Source: RFC 9162 2.1.3 (inclusion proofs), 2.1.4 (consistency proofs).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sso_gate.audit.chain import link
from sso_gate.audit.checkpoint import Checkpoint, is_signed, read_checkpoint
from sso_gate.audit.merkle import Leaves, extends, leaf_hash, proves
from sso_gate.errors import NotFound

_NOT_SIGNED = "the checkpoint is not signed by an expected key"


@dataclass(frozen=True, slots=True)
class _Log:
    """A whole export, as far as proofs need it; `wanted` is the place in the chain of the event that was asked for."""

    leaves: Leaves
    wanted: dict[str, Any] | None
    checkpoint: Any


def prove(lines: Iterable[str], event_id: str) -> dict[str, Any]:
    """Return the proof of one event as JSON, made from a whole export.

    Raises:
        NotFound: the export does not hold the event, or is only a part.
    """
    log = _read(lines, event_id)
    if log.wanted is None:
        raise NotFound(f"the export does not hold {event_id}")
    path = log.leaves.inclusion_proof(log.wanted["pos"] - 1)
    return {"proof": {"v": 1, "event": log.wanted, "path": _hex(path), "checkpoint": log.checkpoint}}


def prove_growth(lines: Iterable[str], older: Checkpoint) -> dict[str, Any]:
    """Return the proof, as JSON, that the log of an older checkpoint is the beginning of the export's.

    Raises:
        NotFound: the export is only a part, or begins behind the checkpoint, or ends before it.
    """
    log = _read(lines, "")
    try:
        path = log.leaves.consistency_proof(older.size)
    except IndexError as error:
        raise NotFound(f"the export has no beginning of {older.size} events") from error
    return {"proof": {"v": 1, "older": older.to_json(), "path": _hex(path), "checkpoint": log.checkpoint}}


def _hex(path: Sequence[bytes]) -> list[str]:
    return [node.hex() for node in path]


def _read(lines: Iterable[str], event_id: str) -> _Log:
    source = iter(lines)
    head = json.loads(next(source))["export"]
    if head["filter"] is not None:
        raise NotFound("an export of some events alone holds no proof; leave the filters out")
    hashes: list[bytes] = []
    wanted, checkpoint = None, None
    for line in source:
        row = json.loads(line)
        if "checkpoint" in row and "chain" not in row:
            checkpoint = row["checkpoint"]
            continue
        hashes.append(leaf_hash(bytes.fromhex(row["chain"]["hash"])))
        if row["id"] == event_id:
            wanted = row["chain"]
    if checkpoint is None:
        raise NotFound("the export has no closing checkpoint")
    before = tuple(bytes.fromhex(root) for root in head["roots"])
    return _Log(Leaves(before, head["first"] - 1, hashes), wanted, checkpoint)


@dataclass(frozen=True, slots=True)
class Proved:
    """The result for one proof: `problem` is empty when it holds against the checkpoint, which counts `size` events.

    `event` is empty where the proof is of an older checkpoint; `position` is that one's size then.
    """

    event: str
    position: int
    problem: str
    size: int = 0


def check(found: Any, *, keys: Sequence[str]) -> Proved:
    """Return whether a proof holds against the signed checkpoints in it, with the expected public keys alone."""
    try:
        proof = found["proof"]
        path = [bytes.fromhex(node) for node in proof["path"]]
        checkpoint = read_checkpoint(proof["checkpoint"])
        if "older" in proof:
            return _check_growth(read_checkpoint(proof["older"]), checkpoint, path, keys)
        return _check_event(proof["event"], checkpoint, path, keys)
    except (KeyError, TypeError, ValueError):
        return Proved("", 0, "it cannot be read")


def _is_trusted(checkpoint: Checkpoint, keys: Sequence[str]) -> bool:
    return any(is_signed(checkpoint, key) for key in keys)


def _check_event(place: Any, checkpoint: Checkpoint | None, path: Sequence[bytes], keys: Sequence[str]) -> Proved:
    body = json.loads(place["canonical"])
    event_id, position, own = str(body["id"]), int(place["pos"]), bytes.fromhex(place["hash"])
    fits = link(place["prev"], place["canonical"]) == place["hash"]
    if checkpoint is None or not _is_trusted(checkpoint, keys) or checkpoint.organization != body.get("organization"):
        return Proved(event_id, position, _NOT_SIGNED)
    root = bytes.fromhex(checkpoint.root)
    if not fits:
        return Proved(event_id, position, "the event is not the one that was sealed")
    if not proves(own, index=position - 1, size=checkpoint.size, path=path, root=root):
        return Proved(event_id, position, "the event is not in the log that the checkpoint signs")
    return Proved(event_id, position, "", checkpoint.size)


def _check_growth(
    older: Checkpoint | None, newer: Checkpoint | None, path: Sequence[bytes], keys: Sequence[str]
) -> Proved:
    if older is None or newer is None or not (_is_trusted(older, keys) and _is_trusted(newer, keys)):
        return Proved("", older.size if older else 0, _NOT_SIGNED)
    grown = extends(
        old_size=older.size, old_root=bytes.fromhex(older.root), size=newer.size, root=bytes.fromhex(newer.root),
        path=path,
    )  # fmt: skip
    if not grown or older.organization != newer.organization:
        return Proved("", older.size, "the newer log does not begin with the older one")
    return Proved("", older.size, "", newer.size)
