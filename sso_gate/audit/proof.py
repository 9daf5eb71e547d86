"""Proof that one event is in a log whose checkpoint is known, without showing any other event.

Source: RFC 9162 2.1.3 (inclusion proofs).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sso_gate.audit.chain import link
from sso_gate.audit.checkpoint import is_signed, read_checkpoint
from sso_gate.audit.merkle import Leaves, leaf_hash, proves
from sso_gate.errors import NotFound


def prove(lines: Iterable[str], event_id: str) -> dict[str, Any]:
    """Return the proof of one event as JSON, made from a whole export.

    Raises:
        NotFound: the export does not hold the event, or is only a part.
    """
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
    if wanted is None or checkpoint is None:
        raise NotFound(f"the export does not hold {event_id}")
    leaves = Leaves(tuple(bytes.fromhex(root) for root in head["roots"]), head["first"] - 1, hashes)
    path = leaves.inclusion_proof(wanted["pos"] - 1)
    return {"proof": {"v": 1, "event": wanted, "path": [node.hex() for node in path], "checkpoint": checkpoint}}


@dataclass(frozen=True, slots=True)
class Proved:
    """The result for one proof: `problem` is empty when the event was in the log that the checkpoint signs."""

    event: str
    position: int
    problem: str


def check(found: Any, *, keys: Sequence[str]) -> Proved:
    """Return whether a proof holds against the signed checkpoint in it, with the expected public keys alone."""
    try:
        proof = found["proof"]
        place, path = proof["event"], [bytes.fromhex(node) for node in proof["path"]]
        checkpoint = read_checkpoint(proof["checkpoint"])
        body = json.loads(place["canonical"])
        event_id, position, own = str(body["id"]), int(place["pos"]), bytes.fromhex(place["hash"])
        fits = link(place["prev"], place["canonical"]) == place["hash"]
    except (KeyError, TypeError, ValueError):
        return Proved("", 0, "it cannot be read")
    signed = checkpoint is not None and any(is_signed(checkpoint, key) for key in keys)
    if checkpoint is None or not signed or checkpoint.organization != body.get("organization"):
        return Proved(event_id, position, "the checkpoint is not signed by an expected key")
    root = bytes.fromhex(checkpoint.root)
    if not fits:
        return Proved(event_id, position, "the event is not the one that was sealed")
    if not proves(own, index=position - 1, size=checkpoint.size, path=path, root=root):
        return Proved(event_id, position, "the event is not in the log that the checkpoint signs")
    return Proved(event_id, position, "")
