"""The people of the story, as the demonstration's identity provider knows them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

DOMAIN = "acme.example"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account at the provider; `protocol` is the connection that their company has them use.

    `note` is an English sentence of `words.py` that says what to expect of them.
    """

    subject: str
    email: str
    name: str
    protocol: Literal["saml", "oidc"]
    groups: tuple[str, ...]
    note: str


ANA = Person("u-1001", f"ana@{DOMAIN}", "Ana Souza", "saml", ("finance",), "Primary Owner: she may add seats")
BRUNO = Person("u-1002", f"bruno@{DOMAIN}", "Bruno Lima", "saml", ("sales",), "Invited: a seat is kept")
CARLA = Person("u-1003", f"carla@{DOMAIN}", "Carla Gómez", "oidc", ("sales",), "Invited: a seat is kept")
DAVI = Person("u-1004", f"davi@{DOMAIN}", "Davi Rocha", "saml", ("support",), "First day at work")
ELENA = Person("u-1005", f"elena@{DOMAIN}", "Elena Ruiz", "oidc", ("support",), "First day at work")

PEOPLE = (ANA, BRUNO, CARLA, DAVI, ELENA)


def person_by_email(people: Iterable[Person], email: str, *, protocol: str) -> Person | None:
    """Return who has this address and uses this protocol, or None."""
    return next((person for person in people if person.email == email and person.protocol == protocol), None)
