"""The questions that clients ask all day, as statements made once: who has this name, and the whole list page by page.

Everything else is a statement of its own (`listing.py`): making one costs more than running one of these.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, func, select, tuple_

from sso_gate.scim.filter import Compare, Filter
from sso_gate.storage.prepared import Prepared

ORGANIZATION: BindParameter[str] = bindparam("organization")  # whose rows are looked at: given when a statement runs
VALUE: BindParameter[str] = bindparam("value")  # what a known attribute is compared with


@dataclass(frozen=True, slots=True)
class Known:
    """An indexed column of few rows a value, and the form in which a value of the filter is compared with it."""

    condition: ColumnElement[bool]
    compared: Callable[[str], str] = str


class Ready:
    """The prepared statements of one resource, for any organization.

    `query` reads whole rows, `mine` narrows them to one organization's, `known` are the attributes that are found by
    `eq` at once; lists are ordered by creation and id.
    """

    def __init__(
        self,
        query: Select[Any],
        mine: ColumnElement[bool],
        *,
        identity: ColumnElement[Any],
        created: ColumnElement[Any],
        known: Mapping[str, Known],
    ) -> None:
        order = (created, identity)
        ids = select(identity).where(mine).order_by(*order).limit(bindparam("most"))  # inside an index
        behind = tuple_(*order) > tuple_(bindparam("created"), bindparam("which"))
        self._from = Prepared(query.where(identity.in_(ids.offset(bindparam("skipped")))).order_by(*order))
        self._behind = Prepared(query.where(identity.in_(ids.where(behind))).order_by(*order))
        self._count = Prepared(select(func.count().label("found")).where(mine))
        self._known = {
            name: (Prepared(query.where(mine, one.condition).order_by(*order).limit(bindparam("most"))), one.compared)
            for name, one in known.items()
        }

    def named(self, tx: Connection, organization: str, where: Filter, most: int) -> list[Any] | None:
        """Return the rows that an `eq` alone asks for; None for any other filter, and where there are more."""
        if not isinstance(where, Compare) or where.op != "eq" or not isinstance(where.value, str):
            return None
        statement, compared = self._known.get(where.place.name, (None, str))
        if statement is None:
            return None
        rows = statement.rows(tx, organization=organization, value=compared(where.value), most=most + 1)
        return rows if len(rows) <= most else None

    def page(
        self, tx: Connection, organization: str, *, behind: tuple[Any, str] | None, skipped: int, most: int
    ) -> list[Any]:
        """Return so many rows of the whole list: those behind a place (created, id) in it, or behind so many others."""
        if behind is None:
            return self._from.rows(tx, organization=organization, skipped=skipped, most=most)
        created, which = behind
        return self._behind.rows(tx, organization=organization, created=created, which=which, most=most)

    def count(self, tx: Connection, organization: str) -> int:
        """Return how long the whole list is."""
        return int(self._count.rows(tx, organization=organization)[0].found)
