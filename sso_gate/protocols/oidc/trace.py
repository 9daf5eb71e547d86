"""The names of the checks in the order in which they are made: a connection test prints them with their verdicts."""

from collections.abc import Callable

Passed = Callable[[str], None]

CHECKS = (
    "parameters",
    "state",
    "issuer of the response",
    "answer of the provider",
    "token exchange",
    "ID token",
    "algorithm and type",
    "key",
    "signature",
    "issuer",
    "audience",
    "times",
    "nonce",
    "access token hash",
    "freshness",
    "subject",
    "userinfo",
    "person",
)


def unrecorded(name: str) -> None:
    """Take note of nothing: the recorder of an ordinary login."""
