"""Statements of the login path and of provisioning: compiled once, and handed to the driver as they are.

Making a statement anew and wrapping its result, as SQLAlchemy does at each execution, costs five times what the
driver's work does: nothing where an owner presses a button, and most of the time where two thousand people sign in at
once. The text never changes, whatever is asked for, so that the database keeps its plan: a list is one parameter.
"""

from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any

from sqlalchemy import BindParameter, ColumnElement, Connection, Table, bindparam, insert, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NullType


class OneOf(ColumnElement[Any]):
    """True where the column's value is in the list that is given under this name when the statement runs."""

    inherit_cache = False
    type = NullType()  # a Boolean would be compared with 1 on SQLite

    def __init__(self, column: ColumnElement[Any], name: str) -> None:
        self.column = column
        self.values: BindParameter[Any] = bindparam(name)


@compiles(OneOf, "postgresql")
def _one_of_postgresql(element: OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    return f"{compiler.process(element.column, **kw)} = ANY({compiler.process(element.values, **kw)})"


@compiles(OneOf, "sqlite")
def _one_of_sqlite(element: OneOf, compiler: SQLCompiler, **kw: Any) -> str:
    column, values = compiler.process(element.column, **kw), compiler.process(element.values, **kw)
    return f"{column} IN (SELECT value FROM json_each({values}))"  # noqa: S608 - a column and a placeholder


@dataclass(frozen=True, slots=True)
class _Compiled:
    """The text for one kind of database, the values that stand in the statement itself, and the order of parameters
    where the driver takes them by position.
    """

    text: str
    constants: Mapping[str, Any]
    order: Sequence[str]

    def parameters(self, values: Mapping[str, Any]) -> Any:
        """Return the values as the driver takes them. By position means SQLite, where a list is a JSON array; on
        PostgreSQL it is a text that the server reads as an array.
        """
        named = {**self.constants, **values} if self.constants else values
        if not self.order:
            lists = {name: _array(value) for name, value in values.items() if type(value) is list}
            return {**named, **lists} if lists else named
        ordered = tuple(map(named.__getitem__, self.order))
        if list not in map(type, ordered):
            return ordered
        return tuple([_json_list(value) if isinstance(value, list) else value for value in ordered])


def _json_list(words: list[str]) -> str:
    return f"[{','.join(map(encode_basestring_ascii, words))}]"  # a fourth of what `json.dumps` takes


def _array(words: list[str]) -> str:
    """Return the list as PostgreSQL writes arrays (8.15.6): a fifth of what psycopg's own way takes."""
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


class Prepared:
    """One statement with named parameters. Values go to the driver as they are: text, whole numbers, lists of text."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}
        self._row: Any = None

    def rows(self, tx: Connection, **values: Any) -> list[Any]:
        """Return the rows as named tuples of what the driver gives."""
        cursor = self._run(tx, values)
        if self._row is None:
            names = [column[0] for column in cursor.description]
            self._row = namedtuple("Row", names)  # type: ignore[misc]  # noqa: PYI024 - names are known now
        return list(map(self._row._make, cursor.fetchall()))

    def run(self, tx: Connection, **values: Any) -> int:
        """Run it and return how many rows it changed."""
        changed: int = self._run(tx, values).rowcount
        return changed

    def run_many(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each row of values."""
        if len(rows) == 1:
            self._run(tx, rows[0])
        elif rows:
            compiled = self._for(tx)
            parameters = [compiled.parameters(row) for row in rows]
            _driven(tx, tx.dialect.do_executemany, compiled.text, parameters)

    def _run(self, tx: Connection, values: Mapping[str, Any]) -> Any:
        compiled = self._for(tx)
        return _driven(tx, tx.dialect.do_execute, compiled.text, compiled.parameters(values))

    def _for(self, tx: Connection) -> _Compiled:
        kind = tx.dialect.name
        if kind not in self._compiled:
            made = self._statement.compile(dialect=tx.dialect)
            constants = {name: value for name, value in made.params.items() if value is not None}
            self._compiled[kind] = _Compiled(str(made), constants, made.positiontup or ())
        return self._compiled[kind]


def _driven(tx: Connection, run: Callable[[Any, str, Any], None], text: str, parameters: Any) -> Any:
    """Return the driver's cursor after the run. Errors are raised as SQLAlchemy would, without the values: those may be
    personal data.
    """
    if not tx.in_transaction():
        tx.begin()
    driver: Any = tx.dialect.loaded_dbapi
    cursor = tx.connection.cursor()
    try:
        run(cursor, text, parameters)
    except driver.Error as error:
        lost = tx.dialect.is_disconnect(error, tx.connection.dbapi_connection, cursor)
        if lost:
            tx.invalidate(error)
        raise DBAPIError.instance(
            text, None, error, driver.Error, connection_invalidated=lost, dialect=tx.dialect
        ) from error
    return cursor


def inserting(table: Table, *, leave_out: Collection[str] = ()) -> Prepared:
    """Return the statement that inserts a row: all columns but those that the database or a later hand fills."""
    names = [column.name for column in table.columns if column.name not in leave_out]
    return Prepared(insert(table).values({name: bindparam(name) for name in names}).inline())


_BEGIN_PART = Prepared(text("SAVEPOINT part"))
_KEEP_PART = Prepared(text("RELEASE SAVEPOINT part"))
_UNDO_PART = Prepared(text("ROLLBACK TO SAVEPOINT part"))


@contextmanager
def undone_by(refusal: type[Exception], tx: Connection) -> Iterator[None]:
    """Undo what is done inside where it ends in this refusal, which goes on; what the transaction did before stays.

    Any other exception is expected to roll back the whole transaction.
    """
    _BEGIN_PART.run(tx)
    try:
        yield
    except refusal:
        _UNDO_PART.run(tx)
        raise
    _KEEP_PART.run(tx)
