"""Searches everything that can come of a beginning, breadth first, for a world in which a promise is broken."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

World = TypeVar("World", bound=Hashable)


def explore(
    beginning: World, following: Callable[[World], Iterable[World]], broken: Callable[[World], str]
) -> tuple[int, str]:
    """Return how many worlds were seen, and the first broken promise, or an empty text when there is none."""
    seen, todo = {beginning}, deque([beginning])
    while todo:
        world = todo.popleft()
        if promise := broken(world):
            return len(seen), promise
        fresh = set(following(world)) - seen
        seen |= fresh
        todo.extend(fresh)
    return len(seen), ""
