"""The Merkle tree of RFC 9162, held against the recursive definition of its section 2.1.1 and its example, 2.1.5."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.audit.merkle import EMPTY_ROOT, Leaves, Tree, extends, leaf_hash, node_hash, proves

EVENTS = [f"event-{number}".encode() for number in range(7)]
VECTOR = "813bda3a42000f8294b6a954ea83792c2defae65246ef760af9fdd53af7d4638"


def by_definition(entries: list[bytes]) -> bytes:
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + by_definition(entries[:split]) + by_definition(entries[split:])).digest()


def tree_of(entries: list[bytes]) -> Tree:
    tree = Tree()
    for entry in entries:
        tree.push(entry)
    return tree


def test_seven_leaves_give_the_known_root():
    assert tree_of(EVENTS).root().hex() == VECTOR


def test_the_root_of_nothing_is_the_hash_of_nothing():
    assert Tree().root() == EMPTY_ROOT == hashlib.sha256(b"").digest()


def test_every_size_has_the_root_of_the_definition():
    for size in range(70):
        entries = [bytes([number]) for number in range(size)]
        assert tree_of(entries).root() == by_definition(entries), size


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_tree_goes_on_from_its_subtree_roots(before, more):
    entries = [number.to_bytes(2, "big") for number in range(before + more)]
    tree = Tree(before, tree_of(entries[:before]).roots)
    for entry in entries[before:]:
        tree.push(entry)
    assert tree.root() == by_definition(entries)


def test_a_tree_with_too_few_roots_is_refused():
    with pytest.raises(ValueError, match="perfect subtrees"):
        Tree(7, tree_of(EVENTS).roots[:2])


@given(st.data())
def test_a_proof_leads_to_the_root_whatever_came_before_the_file(data):
    size = data.draw(st.integers(1, 130))
    first = data.draw(st.integers(0, size - 1))
    index = data.draw(st.integers(first, size - 1))
    entries = [number.to_bytes(2, "big") for number in range(size)]
    leaves = Leaves(tree_of(entries[:first]).roots, first, [leaf_hash(entry) for entry in entries[first:]])
    path, root = leaves.inclusion_proof(index), by_definition(entries)
    assert proves(entries[index], index=index, size=size, path=path, root=root)
    assert not proves(b"another", index=index, size=size, path=path, root=root)
    assert not proves(entries[index], index=index, size=size, path=[*path, root], root=root)
    assert not proves(entries[index], index=size, size=size, path=path, root=root)
    for other in range(size):
        assert other == index or not proves(entries[index], index=other, size=size, path=path, root=root)


@given(st.data())
def test_a_log_that_has_only_grown_is_proved_by_its_two_roots_and_no_other(data):
    size = data.draw(st.integers(1, 130))
    old = data.draw(st.integers(1, size))
    first = data.draw(st.integers(0, old))
    entries = [number.to_bytes(2, "big") for number in range(size)]
    leaves = Leaves(tree_of(entries[:first]).roots, first, [leaf_hash(entry) for entry in entries[first:]])
    path = leaves.consistency_proof(old)
    known = {"old_size": old, "old_root": by_definition(entries[:old]), "size": size, "root": by_definition(entries)}
    assert extends(**known, path=path)
    assert not extends(**known, path=[*path, known["root"]])
    assert not extends(**{**known, "old_root": by_definition([b"another", *entries[1:old]])}, path=path)
    assert not extends(**{**known, "root": by_definition([*entries[:-1], b"another"])}, path=path)
    if old < size:
        rewritten = [b"another", *entries[1:]]
        forged = Leaves((), 0, [leaf_hash(entry) for entry in rewritten]).consistency_proof(old)
        assert not extends(**{**known, "root": by_definition(rewritten)}, path=forged)
        assert not extends(**known, path=path[:-1])


@pytest.mark.parametrize(
    ("old", "path"),
    [
        (3, ["c", "d", "g", "l"]),
        (4, ["l"]),
        (6, ["i", "j", "k"]),
    ],
)
def test_the_proofs_of_the_standards_own_example(old, path):
    """RFC 9162 2.1.5: seven entries, whose nodes have letters there."""
    leaf = [leaf_hash(event) for event in EVENTS]
    g, h, i = node_hash(leaf[0], leaf[1]), node_hash(leaf[2], leaf[3]), node_hash(leaf[4], leaf[5])
    k = node_hash(g, h)
    named = {"c": leaf[2], "d": leaf[3], "g": g, "i": i, "j": leaf[6], "k": k, "l": node_hash(i, leaf[6])}
    assert Leaves((), 0, leaf).consistency_proof(old) == [named[letter] for letter in path]


def test_what_lies_before_the_file_is_no_beginning_that_it_can_prove():
    leaves = Leaves(tree_of(EVENTS[:3]).roots, 3, [leaf_hash(entry) for entry in EVENTS[3:]])
    for old in (0, 2, 8):
        with pytest.raises(IndexError):
            leaves.consistency_proof(old)
    assert not extends(old_size=0, old_root=EMPTY_ROOT, size=7, root=tree_of(EVENTS).root(), path=[])


def test_an_event_before_the_file_cannot_be_proved_from_it():
    leaves = Leaves(tree_of(EVENTS[:3]).roots, 3, [leaf_hash(entry) for entry in EVENTS[3:]])
    with pytest.raises(IndexError):
        leaves.inclusion_proof(2)
