"""Statements of the login path and of provisioning: compiled once, and handed to the driver as they are.

Making a statement anew and wrapping its result, as SQLAlchemy does at each execution, costs five times what the
driver's work does: nothing where an owner presses a button, and most of the time where two thousand people sign in at
once. The text never changes, whatever is asked for, so that the database keeps its plan: a list is one parameter.
"""

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii
from typing import Any, TypeVar, cast

import psycopg
from psycopg.pq.abc import PGresult
from sqlalchemy import BindParameter, ColumnElement, Connection, Table, bindparam, insert, text
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import NullType

from sso_gate.storage.postgres_line import LINE, Asked, Line

T = TypeVar("T")


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
class _OnSqlite:
    """The text for SQLite, the values that stand in the statement itself, and the order of all of them."""

    text: str
    constants: Mapping[str, Any]
    order: Sequence[str]

    def ask(self, tx: Connection, values: Mapping[str, Any]) -> Any:
        return self._run(tx, tx.dialect.do_execute, self._parameters(values))

    def columns(self, _tx: Connection, cursor: Any) -> list[str]:
        return [column[0] for column in cursor.description]

    def rows(self, _tx: Connection, cursor: Any, make: Callable[[Sequence[Any]], T]) -> list[T]:
        return list(map(make, cursor.fetchall()))

    def changed(self, _tx: Connection, cursor: Any) -> int:
        return cast("int", cursor.rowcount)

    def later(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        if len(rows) == 1:
            self.ask(tx, rows[0])
        else:
            self._run(tx, tx.dialect.do_executemany, [self._parameters(row) for row in rows])

    def _run(self, tx: Connection, run: Callable[[Any, str, Any], None], parameters: Any) -> Any:
        """Return the driver's cursor after the run."""
        cursor = tx.connection.cursor()
        try:
            run(cursor, self.text, parameters)
        except sqlite3.Error as error:
            raise as_sqlalchemy(tx, self.text, error, cursor) from error
        return cursor

    def _parameters(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        return _in_order(self, values, _json_list)


@dataclass(frozen=True, slots=True)
class _OnPostgres:
    """The same for PostgreSQL, where statements travel together."""

    text: str
    constants: Mapping[str, Any]
    order: Sequence[str]

    def ask(self, tx: Connection, values: Mapping[str, Any]) -> Asked:
        try:
            return line_of(tx).later(self.text, _in_order(self, values, _array))
        except psycopg.Error as error:
            raise as_sqlalchemy(tx, self.text, error) from error

    def columns(self, tx: Connection, asked: Asked) -> list[str]:
        answer = self._answer(tx, asked)
        return [(answer.fname(at) or b"").decode() for at in range(answer.nfields)]

    def rows(self, tx: Connection, asked: Asked, make: Callable[[Sequence[Any]], T]) -> list[T]:
        return line_of(tx).rows(self._answer(tx, asked), make)

    def changed(self, tx: Connection, asked: Asked) -> int:
        return self._answer(tx, asked).command_tuples or 0

    def later(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        for row in rows:
            self.ask(tx, row)

    def _answer(self, tx: Connection, asked: Asked) -> PGresult:
        try:
            return line_of(tx).answer(asked)
        except psycopg.Error as error:
            raise as_sqlalchemy(tx, self.text, error) from error


def _in_order(
    on: _OnSqlite | _OnPostgres, values: Mapping[str, Any], listed: Callable[[list[str]], str]
) -> tuple[Any, ...]:
    """Return the values that were given and the constants, as the text names them; lists as this writes them."""
    named = {**on.constants, **values} if on.constants else values
    ordered = tuple(map(named.__getitem__, on.order))
    if list not in map(type, ordered):
        return ordered
    return tuple([listed(value) if isinstance(value, list) else value for value in ordered])


def _json_list(words: list[str]) -> str:
    return f"[{','.join(map(encode_basestring_ascii, words))}]"  # a fourth of what `json.dumps` takes


def _array(words: list[str]) -> str:
    """Return the list as PostgreSQL writes arrays (8.15.6); psycopg's own takes ten times as long."""
    quoted = [word.replace("\\", "\\\\").replace('"', '\\"') for word in words]
    return '{"' + '","'.join(quoted) + '"}' if quoted else "{}"


class Prepared:
    """One statement with named parameters. Values go to the server as they are: text, whole numbers, lists of text."""

    def __init__(self, statement: Any) -> None:
        self._statement = statement
        self._compiled: dict[str, _OnSqlite | _OnPostgres] = {}
        self._row: Any = None

    def rows(self, tx: Connection, **values: Any) -> list[Any]:
        """Return the rows as named tuples of what the driver gives."""
        return self.asking(tx, **values)()

    def asking(self, tx: Connection, **values: Any) -> Callable[[], list[Any]]:
        """Ask, and return what returns the rows, once. On PostgreSQL the question goes with the next one whose answer
        is waited for: several can go together.
        """
        on = self._for(tx)
        asked = on.ask(tx, values)

        def rows() -> list[Any]:
            if self._row is None:
                self._row = namedtuple("Row", on.columns(tx, asked))  # type: ignore[misc]  # noqa: PYI024 - names are known now
            return on.rows(tx, asked, self._row._make)

        return rows

    def run(self, tx: Connection, **values: Any) -> int:
        """Run it and return how many rows it changed."""
        on = self._for(tx)
        return on.changed(tx, on.ask(tx, values))

    def later(self, tx: Connection, **values: Any) -> None:
        """Run it before any other statement. On PostgreSQL it is sent, and may fail, with the next one whose answer is
        waited for, at the latest with the commit.
        """
        self._for(tx).later(tx, [values])

    def run_many(self, tx: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each row of values, as `later` does."""
        if rows:
            self._for(tx).later(tx, rows)

    def _for(self, tx: Connection) -> _OnSqlite | _OnPostgres:
        kind = tx.dialect.name
        if kind not in self._compiled:
            dialect, chosen = (tx.dialect, _OnSqlite) if kind == "sqlite" else (_NUMBERED, _OnPostgres)
            made = self._statement.compile(dialect=dialect)
            constants = {name: value for name, value in made.params.items() if value is not None}
            self._compiled[kind] = chosen(str(made), constants, made.positiontup or ())
        return self._compiled[kind]


_NUMBERED = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]  # as the server wants it


def line_of(tx: Connection) -> Line:
    """Return what speaks on this transaction's connection to PostgreSQL."""
    return cast("Line", tx.info[LINE])


def as_sqlalchemy(tx: Connection, text: str, error: Any, cursor: Any = None) -> DBAPIError:
    """Return the driver's error as SQLAlchemy would raise it, without the values: those may be personal data."""
    driver: Any = tx.dialect.loaded_dbapi
    lost = tx.dialect.is_disconnect(error, tx.connection.dbapi_connection, cursor)
    if lost:
        if not tx.in_transaction():
            tx.begin()  # in SQLAlchemy's books, or what follows would be run on a new connection, in no transaction
        tx.invalidate(error)
    made = DBAPIError.instance(text, None, error, driver.Error, connection_invalidated=lost, dialect=tx.dialect)
    return cast("DBAPIError", made)


def inserting(table: Table, *, leave_out: Collection[str] = ()) -> Prepared:
    """Return the statement that inserts a row: all columns but those that the database or a later hand fills."""
    names = [column.name for column in table.columns if column.name not in leave_out]
    return Prepared(insert(table).values({name: bindparam(name) for name in names}).inline())


_BEGIN_PART = Prepared(text("SAVEPOINT part"))
_UNDO_PART = Prepared(text("ROLLBACK TO SAVEPOINT part"))


@contextmanager
def undone_by(refusal: type[Exception], tx: Connection) -> Iterator[None]:
    """Undo what is done inside where it ends in this refusal, which goes on; what the transaction did before stays.

    Any other exception is expected to roll back the whole transaction. Once in a transaction: the commit ends the part.
    """
    _BEGIN_PART.later(tx)
    try:
        yield
    except refusal:
        _UNDO_PART.later(tx)
        raise
