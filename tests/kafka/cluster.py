"""Real Apache Kafka as child processes: one node or three, to be stopped, killed, frozen and started again.

    with KafkaCluster(nodes=3) as kafka:
        name = kafka.create_topic(partitions=4)
        kafka.node(2).kill()

Nothing here is felice's own: what judges the client must not share its mistakes.
"""

import base64
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient, NewTopic
from jars import libraries

HERE = Path(__file__).resolve().parent
JAVA = ("java", "-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1")  # starts in 3 s; benchmarks give other options
START_TIMEOUT = 90.0
STOP_TIMEOUT = 20.0
RACKS = ("north", "south", "west")
RACK_AWARE = "org.apache.kafka.common.replica.RackAwareReplicaSelector"


class KafkaCluster:
    """Some nodes of Apache Kafka on free loopback ports, each broker and controller, in a temporary folder."""

    def __init__(
        self,
        nodes: int = 1,
        overrides: Mapping[str, object] | None = None,
        *,
        racks: Sequence[str] = (),
        java: tuple[str, ...] = JAVA,
    ) -> None:
        """Prepare a cluster; `overrides` are server properties, `racks` the nodes' in turn, `java` the interpreter."""
        self._libs = libraries()
        self._java = (*java, f"-Dlog4j2.configurationFile={HERE / 'log4j2.xml'}", "-cp", f"{self._libs}/*")
        self._folder = Path(tempfile.mkdtemp(prefix="felice-kafka-"))
        self._cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        ports = list(_free_ports(2 * nodes))
        voters = ",".join(f"{i + 1}@127.0.0.1:{ports[2 * i + 1]}" for i in range(nodes))
        self.nodes = [
            Node(
                i + 1,
                ports[2 * i],
                self._folder / f"node-{i + 1}",
                self._java,
                _properties(i + 1, nodes, ports[2 * i], ports[2 * i + 1], voters)
                | ({"broker.rack": racks[i]} if racks else {})
                | dict(overrides or {}),
            )
            for i in range(nodes)
        ]

    @property
    def bootstrap_servers(self) -> str:
        """Every node's address, separated by commas."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def node(self, node_id: int) -> "Node":
        """Give the node of this ID; the first is 1."""
        return self.nodes[node_id - 1]

    def start(self) -> None:
        """Format the data folders, start all nodes, and wait until each answers and sees all the others."""
        try:
            for node in self.nodes:
                node.format(self._cluster_id)
            for node in self.nodes:
                node.launch()
            for node in self.nodes:
                node.wait_ready(len(self.nodes))
        except BaseException:
            print(self.logs(), file=sys.stderr)
            self.close()
            raise

    def close(self) -> None:
        """End every node at once, losing its data, and remove the folder."""
        for node in self.nodes:
            node.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            print(self.logs(), file=sys.stderr)
        self.close()

    def create_topic(self, name: str | None = None, *, partitions: int = 4, **configs: object) -> str:
        """Create a topic (under a new name unless one is given), wait until all partitions have leaders."""
        name = name or f"letters-{uuid.uuid4().hex[:12]}"
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        topic = NewTopic(name, partitions, config={k.replace("_", "."): str(v) for k, v in configs.items()})
        admin.create_topics([topic])[name].result(30)
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            found = admin.list_topics(name, timeout=10).topics[name]
            if len(found.partitions) == partitions and all(p.leader > 0 for p in found.partitions.values()):
                return name
            time.sleep(0.02)  # Kafka tells nobody when a topic is ready; one has to ask again
        raise TimeoutError(f"no leader for every partition of {name} within 30 s")

    def leader(self, topic: str, partition: int) -> int:
        """Give the ID of the node that leads this partition, as the cluster says now."""
        admin = AdminClient({"bootstrap.servers": self.bootstrap_servers})
        return int(admin.list_topics(topic, timeout=10).topics[topic].partitions[partition].leader)

    def tool(self, main_class: str, *arguments: str, timeout: float = 60) -> str:
        """Run one of Kafka's own tools, such as `org.apache.kafka.tools.TopicCommand`, and give what it prints."""
        command = [*self._java, main_class, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
        if done.returncode:
            raise RuntimeError(f"{main_class} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def logs(self, lines: int = 40) -> str:
        """Give the last lines of each node's log."""
        return "\n".join(f"--- node {node.id} ---\n{node.log(lines)}" for node in self.nodes)


class Node:
    """One Kafka process and its data folder. The port stays the same over restarts."""

    def __init__(
        self, node_id: int, port: int, folder: Path, java: tuple[str, ...], properties: dict[str, object]
    ) -> None:
        self.id = node_id
        self.port = port
        self._java = java
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)
        self._log = folder / "node.log"
        self._properties = folder / "server.properties"
        properties["log.dirs"] = folder / "data"
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in properties.items()))

    @property
    def pid(self) -> int | None:
        """The process while it runs, also while frozen."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process else None

    def format(self, cluster_id: str) -> None:
        """Prepare the data folder, as Kafka demands before the first start."""
        # With `=`, because an ID may begin with a hyphen.
        arguments = ["format", f"--cluster-id={cluster_id}", "-c", str(self._properties)]
        command = [*self._java, "kafka.tools.StorageTool", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"formatting node {self.id} failed:\n{done.stdout}{done.stderr}")

    def launch(self) -> None:
        """Start the process and do not wait until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(self._properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the terminal is for the tests, not for Kafka
                preexec_fn=_die_with_parent,
            )

    def wait_ready(self, nodes: int = 1) -> None:
        """Wait until the node answers ApiVersions and knows of as many nodes."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self.pid is None:
                raise RuntimeError(f"Kafka node {self.id} ended while starting:\n{self.log()}")
            if _answers(self.port, nodes):
                return
            time.sleep(0.05)
        raise TimeoutError(f"Kafka node {self.id} is not ready after {START_TIMEOUT:.0f} s:\n{self.log()}")

    def stop(self) -> None:
        """Ask the node to shut down (SIGTERM) and wait for it."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End the node at once (SIGKILL), frozen or not."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Freeze the node (SIGSTOP): its sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)
        if (pid := self.pid) is not None:  # each of its threads runs on until the signal reaches it: wait for all
            os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a frozen node go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def start(self, nodes: int = 1) -> None:
        """Start a node that has ended, on its old data and port; wait until it knows of as many nodes."""
        if self.pid is None:
            self.launch()
        self.wait_ready(nodes)

    def restart(self, nodes: int = 1) -> None:
        """Stop the node and start it again."""
        self.stop()
        self.start(nodes)

    def log(self, lines: int = 40) -> str:
        """Give the last lines of the node's log."""
        if not self._log.exists():
            return ""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._signal(number)
        try:
            self._process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _properties(node_id: int, nodes: int, port: int, controller_port: int, voters: str) -> dict[str, object]:
    replicas = min(nodes, 3)
    return {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "auto.create.topics.enable": "false",
        "num.partitions": 4,
        "default.replication.factor": replicas,
        "min.insync.replicas": max(1, replicas - 1),
        "offsets.topic.replication.factor": replicas,
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": max(1, replicas - 1),
        "transaction.state.log.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": max(1, replicas - 1),
        "group.initial.rebalance.delay.ms": 0,
        "group.consumer.assignment.interval.ms": 0,
        "log.cleaner.dedupe.buffer.size": 1048577,
        # A dead node is noticed in three seconds, so that tests of failover need not wait for nine.
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }


def _answers(port: int, nodes: int) -> bool:
    """Tell whether the node answers ApiVersions (version 0), and Metadata (version 1) with that many brokers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.settimeout(2)
            versions = _ask(connection, struct.pack(">hhih", 18, 0, 1, -1))
            if struct.unpack_from(">ih", versions) != (1, 0):
                return False
            metadata = _ask(connection, struct.pack(">hhihi", 3, 1, 2, -1, 0))
            return struct.unpack_from(">ii", metadata) == (2, nodes)
    except (OSError, struct.error):
        return False


def _ask(connection: socket.socket, request: bytes) -> bytes:
    connection.sendall(struct.pack(">i", len(request)) + request)
    (size,) = struct.unpack(">i", _read(connection, 4))
    return _read(connection, size)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = connection.recv(size - len(data))
        if not piece:
            raise ConnectionResetError("closed in the middle of an answer")
        data += piece
    return data


def _free_ports(count: int) -> Iterator[int]:
    """Give ports that are free now, all below the range from which the system takes ports for outgoing connections:
    otherwise somebody's connection may sit on a node's port when it starts again."""
    with contextlib.ExitStack() as held:
        found = 0
        while found < count:
            probe = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", random.randrange(15_000, 32_000)))
                found += 1
                yield probe.getsockname()[1]


_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def _die_with_parent() -> None:
    """Runs in the child before Java: even when the tests are killed, no node outlives them (Linux only)."""
    if _libc is not None:
        _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() == 1:  # the parent died in between
        os._exit(1)
