"""The open lines to one Redis server, each for one command at a time.

redis-py opens them: TLS, login, database, and Sentinel's word on which server leads. From then on bytes go between the
event loop and hiredis' parser: redis-py's own pool, streams and client cost several times what a command does (metrics,
buffers and events that nobody asks for), and a login has several commands.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import hiredis
from redis.asyncio.connection import DefaultParser
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import InvalidResponse, ReadOnlyError, RedisError, ResponseError

_NOTHING_YET: Any = object()


class Lines:
    """The lines to the server that redis-py's pool leads to."""

    def __init__(self, pool: Any, *, seconds: float) -> None:
        self._pool = pool
        self._seconds = seconds
        self._made: list[_Line] = []
        self._idle: list[_Line] = []

    async def ask(self, words: Sequence[str | int]) -> Any:
        """Return the server's answer to one command, which is sent once, whatever happens.

        Raises:
            redis.exceptions.RedisError: the server's own refusal, or the line broke.
            OSError: no answer in time (`TimeoutError`), or no line.
        """
        line = self._idle.pop() if self._idle else self._make()
        try:
            if not line.is_open:
                async with asyncio.timeout(self._seconds):
                    await line.open()
            answer = await line.ask(words, self._seconds)
        except BaseException as error:
            await self._after(line, error)
            raise
        self._idle.append(line)
        return answer

    async def _after(self, line: "_Line", error: BaseException) -> None:
        """Keep the line if the server answered on it, and end it otherwise."""
        if not isinstance(error, ResponseError) or isinstance(error, ReadOnlyError):
            # After a fail-over the others lead to the wrong server too.
            others = self._idle if isinstance(error, RedisError | OSError) else []
            for one in (line, *others):
                await one.close(wait=False)
        self._idle.append(line)

    def _make(self) -> "_Line":
        self._made.append(_Line(self._pool.make_connection()))
        return self._made[-1]

    async def close(self) -> None:
        """Close them all, also those that wait for an answer."""
        for line in self._made:
            await line.close(wait=True)


class _Line:
    """One connection of redis-py, and who speaks on it once it is open."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._speaker: _Speaker | None = None

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._speaker is not None and self._speaker.is_open

    async def open(self) -> None:
        """Return when the server has taken the login and the database."""
        await self.close(wait=False)  # what is left of one that the server has ended
        await self._connection.connect()
        if await self._connection.can_read():
            raise Lost("the server speaks unasked")
        self._speaker = _Speaker(self._connection._writer.transport)  # redis-py keeps it to itself

    def ask(self, words: Sequence[str | int], seconds: float) -> "asyncio.Future[Any]":
        """Return the answer to come: an error where there is none after so many seconds."""
        return cast("_Speaker", self._speaker).ask(words, seconds)

    async def close(self, *, wait: bool) -> None:
        """End it; with `wait` return when it has ended."""
        self._speaker = None
        await self._connection.disconnect(nowait=not wait)


class _Speaker(asyncio.Protocol):
    """Sends a command and hands out what comes back. Whatever comes unasked ends the connection."""

    def __init__(self, transport: Any) -> None:
        self.is_open = True
        self._transport = transport
        self._replies = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=DefaultParser.parse_error,
            encoding="utf-8",
            notEnoughData=_NOTHING_YET,
        )
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._before = transport.get_protocol()  # `disconnect` waits for it
        transport.set_protocol(self)

    def ask(self, words: Sequence[str | int], seconds: float) -> "asyncio.Future[Any]":
        self._waiter = waiter = self._loop.create_future()
        # One timer that is nearly always taken back: a timeout of asyncio at every step costs as much as the step.
        self._timer = self._loop.call_later(seconds, self._end, TimeoutError("no answer"))
        self._transport.write(hiredis.pack_command(words))  # type: ignore[arg-type]  # its stub takes one word alone
        return waiter

    def data_received(self, data: bytes) -> None:
        self._replies.feed(data)
        try:
            reply = self._replies.gets()
            while isinstance(reply, hiredis.PushNotification):
                reply = self._replies.gets()
        except RedisError as error:
            self._end(error)
            return
        if reply is not _NOTHING_YET:
            self._answered(reply)

    def _answered(self, reply: Any) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or self._replies.has_data():
            self._end(Lost("the server speaks unasked"))
        if waiter is None or waiter.done():
            return
        cast("asyncio.TimerHandle", self._timer).cancel()
        if isinstance(reply, RedisError):
            waiter.set_exception(reply)
        else:
            waiter.set_result(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(Lost("the connection was closed"))
        self._before.connection_lost(exc)

    def _end(self, why: Exception) -> None:
        """End the connection now: whoever waits for its answer learns that none will come."""
        self.is_open = False
        if self._timer:
            self._timer.cancel()
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(why)
        self._transport.abort()
