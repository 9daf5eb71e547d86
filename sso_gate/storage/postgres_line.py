"""One connection to PostgreSQL, for statements that are prepared on it, of which several travel together.

What psycopg's cursors do for a statement takes as long as the server's own work, and each statement is a way there and
back, BEGIN and COMMIT too. Here what nobody waits for goes with the next one that somebody waits for
(libpq's pipeline mode, PostgreSQL 34.5): a returning person's login takes two ways instead of four. psycopg opens and
closes the connection, and whatever is no prepared statement goes through its cursors.
"""

import itertools
import select
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from psycopg import Connection, InternalError, OperationalError
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

Words = Sequence[bytes | None]
T = TypeVar("T")

LINE = "line"  # under which a connection's own is found in SQLAlchemy's notes about it
_DONE = (ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK)


class Line:
    """What is said on one connection, by one thread at a time."""

    def __init__(self, connection: Connection[Any]) -> None:
        self._pgconn = connection.pgconn
        self._reader = Transformer(connection)
        self._names: dict[str, bytes] = {}
        self._numbers = itertools.count(1)
        self._waiting: list[tuple[str, Words]] = []
        self._poll = select.poll()

    def later(self, text: str, words: Words = ()) -> None:
        """Send this statement with the next one that is asked, or with `send`."""
        self._waiting.append((text, words))

    def forget(self) -> None:
        """Never send what waits."""
        self._waiting = []

    def ask(self, text: str, words: Words) -> PGresult:
        """Return the server's answer to this statement, which goes with whatever waits and after it.

        Raises:
            psycopg.Error: the first of them that went wrong, and no later one was run; or the connection is gone.
        """
        self.later(text, words)
        return self.send()[-1]

    def rows(self, answer: PGresult, make: Callable[[Sequence[Any]], T]) -> list[T]:
        """Return the rows of an answer."""
        self._reader.set_pgresult(answer)
        return self._reader.load_rows(0, answer.ntuples, make)

    def send(self) -> list[PGresult]:
        """Send what waits and return the server's answers, the last one last; raises as `ask` does."""
        going, self._waiting = self._waiting, []
        if not going:
            return []
        self._pgconn.enter_pipeline_mode()
        new = [text for text, words in going if self._prepared_now(text, words)]
        self._pgconn.pipeline_sync()
        self._flush()
        answers = self._answers()
        self._pgconn.exit_pipeline_mode()
        wrong = next((answer for answer in answers if answer.status not in _DONE), None)
        if wrong is not None:
            for text in new:  # what was sent behind the one that went wrong was not prepared
                del self._names[text]
            raise error_from_result(wrong)
        return answers

    def _prepared_now(self, text: str, words: Words) -> bool:
        """Say one statement, and return whether the server had to be told what it means."""
        name = self._names.get(text)
        if is_new := name is None:
            name = self._names[text] = b"s%d" % next(self._numbers)
            self._pgconn.send_prepare(name, text.encode())
        self._pgconn.send_query_prepared(name, words)
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
