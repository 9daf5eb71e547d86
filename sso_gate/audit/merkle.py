"""Merkle trees over a list that only grows: the root of any prefix, and proofs that one entry, or a prefix, is in it.

Source: RFC 9162 2.1 (hashing: 2.1.1, inclusion proofs: 2.1.3, consistency: 2.1.4). Entries and nodes are bytes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Return the hash of one entry as a leaf. Source: RFC 9162 2.1.1."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of a node over its two children. Source: RFC 9162 2.1.1."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree of `size` entries, kept as the roots of its perfect subtrees: as many as size has one-bits."""

    __slots__ = ("_roots", "size")

    def __init__(self, size: int = 0, roots: Sequence[bytes] = ()) -> None:
        if len(roots) != size.bit_count():
            raise ValueError(f"a tree of {size} entries has {size.bit_count()} perfect subtrees, not {len(roots)}")
        self.size = size
        self._roots = list(roots)

    def push(self, entry: bytes) -> None:
        """Put one entry at the end."""
        node, full = leaf_hash(entry), self.size
        while full & 1:
            node = node_hash(self._roots.pop(), node)
            full >>= 1
        self._roots.append(node)
        self.size += 1

    @property
    def roots(self) -> tuple[bytes, ...]:
        """The roots of the perfect subtrees, largest first; with `size` they are the whole state."""
        return tuple(self._roots)

    def root(self) -> bytes:
        """Return the Merkle tree hash; of no entries, the hash of nothing."""
        if not self._roots:
            return EMPTY_ROOT
        *left, node = self._roots
        for sibling in reversed(left):
            node = node_hash(sibling, node)
        return node


@dataclass(frozen=True, slots=True)
class Leaves:
    """The entries of a tree as leaf hashes, those before `first` only as the roots of their perfect subtrees."""

    before: tuple[bytes, ...]
    first: int
    hashes: Sequence[bytes]

    @property
    def size(self) -> int:
        """How many entries the tree has."""
        return self.first + len(self.hashes)

    def inclusion_proof(self, index: int) -> list[bytes]:
        """Return the siblings on the way from a leaf to the root, lowest first. Source: RFC 9162 2.1.3.1."""
        if not self.first <= index < self.size:
            raise IndexError(index)
        return self._path(index, 0, self.size)

    def consistency_proof(self, size: int) -> list[bytes]:
        """Return the nodes by which the tree of the first `size` entries is seen to be the beginning of this one.

        Raises:
            IndexError: none, more than there are, or fewer than lie before `first`. Source: RFC 9162 2.1.4.1.
        """
        if not max(self.first, 1) <= size <= self.size:
            raise IndexError(size)
        return self._beginning(size, 0, self.size, is_known=True)

    def _beginning(self, size: int, start: int, stop: int, *, is_known: bool) -> list[bytes]:
        """`is_known`: what begins at `start` is the whole of the older tree, whose root the reader has."""
        if size == stop:
            return [] if is_known else [self._root(start, stop)]
        middle = start + _largest_power_below(stop - start)
        if size <= middle:
            return [*self._beginning(size, start, middle, is_known=is_known), self._root(middle, stop)]
        return [*self._beginning(size, middle, stop, is_known=False), self._root(start, middle)]

    def _path(self, index: int, start: int, stop: int) -> list[bytes]:
        if stop - start == 1:
            return []
        middle = start + _largest_power_below(stop - start)
        if index < middle:
            return [*self._path(index, start, middle), self._root(middle, stop)]
        return [*self._path(index, middle, stop), self._root(start, middle)]

    def _root(self, start: int, stop: int) -> bytes:
        """The root over a range. One that ends before `first` is a whole perfect subtree of what lies there: splits
        fall on the same powers of two.
        """
        if stop <= self.first:
            return self.before[_subtree_starts(self.first).index(start)]
        if stop - start == 1:
            return self.hashes[start - self.first]
        middle = start + _largest_power_below(stop - start)
        return node_hash(self._root(start, middle), self._root(middle, stop))


def _largest_power_below(number: int) -> int:
    return 1 << ((number - 1).bit_length() - 1)


def _subtree_starts(size: int) -> list[int]:
    starts, at = [], 0
    for bit in reversed(range(size.bit_length())):
        if size >> bit & 1:
            starts.append(at)
            at += 1 << bit
    return starts


def proves(entry: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Return whether the path leads from the entry at `index` to this root. Source: RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    at, last, node = index, size - 1, leaf_hash(entry)
    for sibling in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            node = node_hash(sibling, node)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and node == root


def extends(*, old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> bool:
    """Return whether the path shows that the tree of `size` begins with the one of `old_size`.

    Source: RFC 9162 2.1.4.2.
    """
    if not 0 < old_size <= size:
        return False
    if old_size == size:
        return not path and old_root == root
    nodes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not nodes:
        return False
    at, last = old_size - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            older, newer = node_hash(node, older), node_hash(node, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node_hash(newer, node)
        at, last = at >> 1, last >> 1
    return last == 0 and older == old_root and newer == root
