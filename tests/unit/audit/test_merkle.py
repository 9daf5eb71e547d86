"""The Merkle tree of RFC 9162, held against the recursive definition of its section 2.1.1."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sso_gate.audit.merkle import EMPTY_ROOT, Leaves, Tree, leaf_hash, proves

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


@pytest.mark.parametrize("size", range(70))
def test_every_size_has_the_root_of_the_definition(size):
    entries = [bytes([number]) for number in range(size)]
    assert tree_of(entries).root() == by_definition(entries)


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


def test_an_event_before_the_file_cannot_be_proved_from_it():
    leaves = Leaves(tree_of(EVENTS[:3]).roots, 3, [leaf_hash(entry) for entry in EVENTS[3:]])
    with pytest.raises(IndexError):
        leaves.inclusion_proof(2)
