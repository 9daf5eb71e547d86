"""What a refused message must leave alone, as SQL and Redis have it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from sso_gate.embedded.endpoint import possible_sockets
from tests.integration.gate import RunningGate

EXPIRING_MILLISECONDS = 5_000
_ROLES = "SELECT group_concat(id || ' ' || role || ' ' || state, ';') FROM (SELECT * FROM member ORDER BY id)"


@dataclass(frozen=True, slots=True)
class Rows:
    """What a refused message must not change, and the audit events, of which it adds one."""

    members: int
    identities: int
    seats: int
    entries: int
    roles: str
    events: int


@dataclass(frozen=True, slots=True)
class Keys:
    """The sessions that live and the logins under way, with all that is remembered of them."""

    sessions: frozenset[str]
    pending: dict[str, str]

    def lost(self, now: Keys) -> int:
        """Return how many of these logins are gone or changed."""
        return sum(now.pending.get(key) != value for key, value in self.pending.items())


class Record:
    """The stores of a running gate, read beside it."""

    def __init__(self, gate: RunningGate) -> None:
        """Find them in its data folder, or where its settings say."""
        self._folder = gate.folder / "var"
        self._database: sqlite3.Connection | None = None
        url = gate.settings.get("REDIS_URL")
        socket = next((path for path in possible_sockets(self._folder / "valkey") if path.exists()), None)
        self._redis: Any = (
            redis.Redis.from_url(url, decode_responses=True)
            if url
            else redis.Redis(unix_socket_path=str(socket), decode_responses=True)
        )

    def rows(self) -> Rows:
        # That a threshold of the seats was passed is recorded besides, by whoever passed it or some time later.
        tables = ("member", "identity", "seat_entry", "audit_event WHERE action <> 'seat.threshold'")
        with closing(self.connect()) as connection:
            counted = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
            used = connection.execute("SELECT sum(used) FROM seat_pool").fetchone()[0]
            roles = connection.execute(_ROLES).fetchone()[0]
        return Rows(counted[0], counted[1], used, counted[2], roles, counted[3])

    def forget_floods(self) -> None:
        """Keep what was counted from being recorded, when its minute is over, while another attack is looked at."""
        for name in list(self._redis.scan_iter(match="*:floods", count=10_000)):
            self._redis.delete(name)

    def keys(self) -> Keys:
        """Return what Redis knows, without logins whose time is up."""
        found = list(self._redis.scan_iter(match="*:session:*", count=10_000))
        # Room that was made for one (`{}`) opens nothing, and runs out within a minute.
        rooms = self._redis.mget(found) if found else []
        sessions = frozenset(name for name, text in zip(found, rooms, strict=True) if text not in (None, "{}"))
        names = list(self._redis.scan_iter(match="*:pending:*", count=10_000))
        with self._redis.pipeline(transaction=False) as asked:
            for name in names:
                asked.get(name).pttl(name)
            told = asked.execute()
        living = zip(names, told[::2], told[1::2], strict=True)
        return Keys(sessions, {name: text for name, text, left in living if left > EXPIRING_MILLISECONDS})

    def connect(self) -> sqlite3.Connection:
        """Return a connection to the gate's database that can change nothing."""
        path = next(Path(self._folder).glob("*.db"))
        return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)

    def close(self) -> None:
        self._redis.close()
