"""Text that comes from outside and ends up on documents."""


def printable(value: object, *, at_least: int = 1, at_most: int = 200) -> bool:
    """Whether the value is one line of text of that many characters, without control characters."""
    return isinstance(value, str) and at_least <= len(value) <= at_most and value.isprintable()
