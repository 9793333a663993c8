"""The two that are judged: real Apache Kafka and the embedded broker, each started fresh, alike in what suites ask."""

import importlib.metadata
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from judges.cache import LOGS, ROOT, distribution
from judges.process import Child

READY_TIMEOUT = 30.0

SETTINGS = {
    "auto.create.topics.enable": "true",
    "num.partitions": "4",
    "offsets.topic.num.partitions": "1",
    "transaction.state.log.num.partitions": "1",
    # Short, but not nothing: suites suppose that members who join at once are of one generation.
    "group.initial.rebalance.delay.ms": "100",
    # Without one Kafka refuses to keep access control entries.
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "log.retention.ms": "-1",  # suites write records of 1970, and look for them after Kafka's first round of cleaning
}
"""What both are started with, and what suites suppose of a broker."""

RACKED = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
"""What several nodes are started with besides, each in a rack of its own."""

# Suites come without names and add entries as they go: whoever no entry speaks of may do everything. Several nodes
# do not even find together otherwise, for they come without names too.
PERMISSIVE = {"allow.everyone.if.no.acl.found": "true"}
NAMELESS = {"super.users": "User:ANONYMOUS"}


def racks(nodes: int) -> list[str]:
    """Name a rack for each of several nodes, as librdkafka's suite knows them; none for one alone."""
    return [f"RACK{number + 1}" for number in range(nodes)] if nodes > 1 else []


class Contestant(Protocol):
    """One that is judged."""

    name: str

    def version(self) -> str:
        """Give what is judged, in a few words."""

    def start(self, settings: Mapping[str, str] | None = None, *, nodes: int = 1) -> AbstractContextManager[str]:
        """Start fresh, with `settings` over the usual ones; give the addresses of the nodes."""


class Kafka:
    """Apache Kafka, each node broker and controller."""

    name = "kafka"

    def version(self) -> str:
        """Read the version off the jar."""
        (jar,) = (distribution() / "libs").glob("kafka-server-[0-9]*.jar")
        return f"Apache Kafka {jar.stem.removeprefix('kafka-server-')}"

    @contextmanager
    def start(self, settings: Mapping[str, str] | None = None, *, nodes: int = 1) -> Iterator[str]:
        """Start it on empty data folders; its log is kept under `.cache/judges/logs`."""
        distribution()
        sys.path.insert(0, str(ROOT / "tests" / "kafka"))
        from cluster import KafkaCluster  # type: ignore[import-not-found]

        several = {**RACKED, **NAMELESS} if nodes > 1 else {}
        options = {**SETTINGS, **PERMISSIVE, **several, **(settings or {})}
        with KafkaCluster(nodes, options, racks=racks(nodes)) as cluster:
            try:
                yield cluster.bootstrap_servers
            finally:
                LOGS.mkdir(parents=True, exist_ok=True)
                (LOGS / "broker-kafka.log").write_text(cluster.logs(5000))


class Felice:
    """The embedded broker as a process of its own, as programs in any language start it."""

    name = "felice"

    def version(self) -> str:
        """Give felice's version."""
        return f"felice {importlib.metadata.version('felice')}"

    @contextmanager
    def start(self, settings: Mapping[str, str] | None = None, *, nodes: int = 1) -> Iterator[str]:
        """Start it by its command; its log is kept under `.cache/judges/logs`."""
        LOGS.mkdir(parents=True, exist_ok=True)
        log = LOGS / "broker-felice.log"
        log.unlink(missing_ok=True)
        options = {**SETTINGS, **PERMISSIVE, **(RACKED if nodes > 1 else {}), **(settings or {})}
        configs = [f"--config={key}={value}" for key, value in options.items()]
        configs += [f"--rack={rack}" for rack in racks(nodes)]
        with tempfile.TemporaryDirectory() as folder:
            ready = Path(folder) / "ready"
            command = [sys.executable, "-m", "felice.broker", "--port=0", f"--nodes={nodes}", f"--ready-file={ready}"]
            with Child([*command, *configs], log=log) as broker:
                deadline = time.monotonic() + READY_TIMEOUT
                while not ready.exists():
                    if broker.returncode is not None or time.monotonic() > deadline:
                        raise RuntimeError(f"the embedded broker did not start:\n{log.read_text()}")
                    time.sleep(0.01)
                yield ready.read_text().strip()
                if broker.returncode is not None:
                    raise RuntimeError(f"the embedded broker ended by itself:\n{log.read_text()[-2000:]}")


CONTESTANTS: tuple[Contestant, ...] = (Kafka(), Felice())
