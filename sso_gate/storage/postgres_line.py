"""One connection to PostgreSQL, for statements that are prepared on it, of which several travel together.

What psycopg's cursors do for a statement takes as long as the server's own work, and each statement is a way there and
back, BEGIN and COMMIT too. Here what nobody waits for goes with the next one that somebody waits for
(libpq's pipeline mode, PostgreSQL 34.5): a returning person's login takes two ways instead of four. psycopg opens and
closes the connection, and whatever is no prepared statement goes through its cursors.
"""

import itertools
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from psycopg import Connection, InternalError, OperationalError
from psycopg.abc import Buffer
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import InFailedSqlTransaction, error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

T = TypeVar("T")

COMMIT = "COMMIT"
LINE = "line"  # under which a connection's own is found in SQLAlchemy's notes about it
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


@dataclass(slots=True)
class Asked:
    """A statement, and the server's answer to it once it was sent."""

    text: str
    words: Sequence[Buffer | None]
    answer: PGresult | None = None


class Line:
    """What is said on one connection, by one thread at a time."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._pgconn = connection.pgconn
        self._words = Transformer(connection)
        self._names: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        self._waiting: list[Asked] = []
        self._poll = select.poll()

    def later(self, text: str, values: Sequence[Any] = ()) -> Asked:
        """Send this statement together with others, when somebody waits for the answer to one of them, or by `send`.

        Raises:
            psycopg.DataError: a text that PostgreSQL cannot take, such as one with a NUL.
        """
        self._waiting.append(Asked(text, self._words.dump_sequence(values, [PyFormat.TEXT] * len(values))))
        return self._waiting[-1]

    def forget(self) -> None:
        """Never send what waits."""
        self._waiting = []

    def answer(self, asked: Asked) -> PGresult:
        """Return the server's answer to this statement of the transaction under way; raises as `send` does."""
        if asked.answer is None:
            self.send()
        if asked.answer is None:
            raise InternalError("the transaction went wrong before")
        return asked.answer

    def rows(self, answer: PGresult, make: Callable[[Sequence[Any]], T]) -> list[T]:
        """Return the rows of an answer."""
        self._words.set_pgresult(answer)
        return self._words.load_rows(0, answer.ntuples, make)

    def send(self) -> None:
        """Send what waits, in order, and note the server's answers.

        Raises:
            psycopg.Error: the first of them that went wrong, and no later one was run; or the connection is gone.
        """
        going, self._waiting = self._waiting, []
        if not going:
            return
        self._pgconn.enter_pipeline_mode()
        new = [self._prepared_now(one) for one in going]
        self._pgconn.pipeline_sync()
        self._flush()
        answers = self._answers()
        self._pgconn.exit_pipeline_mode()
        wrong = next((answer for answer in answers if answer.status not in _DONE), None)
        if wrong is not None:
            for one in itertools.compress(going, new):  # what was sent behind the one that went wrong was not prepared
                del self._names[one.text]
            raise error_from_result(wrong)
        told = iter(answers)
        for one, is_new in zip(going, new, strict=True):
            if is_new:
                next(told)  # that it was prepared
            one.answer = next(told)
            if one.text == COMMIT and one.answer.command_status != COMMIT.encode():
                raise InFailedSqlTransaction("an error was passed over, and all is rolled back")

    def _prepared_now(self, asked: Asked) -> bool:
        """Say one statement, and return whether the server had to be told what it means."""
        name = self._names.get(asked.text)
        if is_new := name is None:
            name = self._names[asked.text] = b"s%d" % next(self._numbers)
            self._pgconn.send_prepare(name, asked.text.encode())
        self._pgconn.send_query_prepared(name, asked.words)
        return is_new

    def _flush(self) -> None:
        while self._pgconn.flush():
            self._wait(select.POLLIN | select.POLLOUT)
            self._pgconn.consume_input()  # a server that cannot get rid of its answers would listen no more

    def _answers(self) -> list[PGresult]:
        """Return what the server says until it has come to the end of what was sent."""
        answers: list[PGresult] = []
        while (answer := self._next()) and answer.status != ExecStatus.PIPELINE_SYNC:
            answers.append(answer)
            if self._next() is not None:  # the end of this one
                raise InternalError("an answer without an end")
        if answer is None:  # no more is to come, and the end was not seen
            raise OperationalError(self._pgconn.get_error_message())
        return answers

    def _next(self) -> PGresult | None:
        while self._pgconn.is_busy():
            self._wait(select.POLLIN)
            self._pgconn.consume_input()
        return self._pgconn.get_result()

    def _wait(self, events: int) -> None:
        self._poll.register(self._pgconn.socket, events)
        self._poll.poll()
