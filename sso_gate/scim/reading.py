"""One resource, or a page of them, as it was asked for: the same for users and groups."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Connection

from sso_gate.scim.asked import Asked
from sso_gate.scim.caller import Caller
from sso_gate.scim.listing import Source, list_response
from sso_gate.scim.projection import Projection
from sso_gate.scim.rejection import not_there

Resource = dict[str, Any]


class Shown(NamedTuple):
    """One resource in an answer: its id, its ETag, and its JSON as it was asked for, empty where nobody wants it."""

    id: str
    etag: str
    text: str


class Tagged(Protocol):
    """What has an id and an ETag."""

    @property
    def id(self) -> str:
        """What the resource is asked for by."""
        ...

    @property
    def etag(self) -> str:
        """A weak ETag of this version."""
        ...


T = TypeVar("T", bound=Tagged)


@dataclass(frozen=True, slots=True)
class Reader(Generic[T]):
    """How the resources of one type are found and shown, as JSON, in one transaction."""

    name: str
    find: Callable[[Connection, str, str], T | None]
    source: Source[T]
    show: Callable[[Connection, Caller, Sequence[T], Projection], list[str]]

    def shown(self, tx: Connection, caller: Caller, found: T, projection: Projection | None) -> Shown:
        """Return the resource as it was asked for; with no projection there is nothing to show."""
        text = self.show(tx, caller, [found], projection)[0] if projection else ""
        return Shown(found.id, found.etag, text)

    async def get(self, caller: Caller, which: str, projection: Projection) -> Shown:
        """Return the resource as asked for; `Rejected` 404 where the organization has none such."""

        def read(tx: Connection) -> Shown | None:
            found = self.find(tx, caller.organization.id, which)
            return self.shown(tx, caller, found, projection) if found else None

        answer = await caller.runtime.database.read(read)
        if answer is None:
            raise not_there(f"{self.name} {which[:64]}")
        return answer

    async def search(self, caller: Caller, asked: Asked) -> str:
        """Return the ListResponse, as JSON."""

        def read(tx: Connection) -> tuple[str, int]:
            page = self.source.page(tx, caller.organization.id, asked, caller.notes)
            return list_response(self.show(tx, caller, page.found, asked.projection), page, asked), page.looked_at

        response, looked_at = await caller.runtime.database.read(read)
        await caller.note_looked_at(looked_at)
        return response
