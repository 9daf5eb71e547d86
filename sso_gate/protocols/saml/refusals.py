"""The one way out for a stranger's message that is not accepted."""

from collections.abc import Iterator
from contextlib import contextmanager

from sso_gate.errors import Reason, Refused

MAX_DETAIL_CHARACTERS = 600


@contextmanager
def only_refusals() -> Iterator[None]:
    """Let nothing but `Refused` out: an error of a library is `message_malformed`, whatever the library calls it.

    Details quote strangers, so they leave on one printable line: what is made of them later cannot be steered.
    """
    try:
        yield
    except Refused as error:
        raise Refused(error.reason, _one_line(error.detail)) from error.__cause__
    except Exception as error:
        raise Refused(Reason.MESSAGE_MALFORMED, f"unexpected {type(error).__name__}") from error


def _one_line(text: str) -> str:
    cut = text[:MAX_DETAIL_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in cut)
