"""A Kafka cluster as a portable test sees it: addresses, and topics of its own."""

import contextlib
import random
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from felice.broker import Broker
from felice.clock import SystemClock
from felice.cluster.engine import Engine
from felice.cluster.router import CONTROLLER, Cluster
from felice.config import ClientConfig
from felice.errors import BrokerError, ErrorCode, FeliceError
from felice.events import EventBus
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest

__all__ = ["ClusterUnderTest", "EmbeddedCluster", "RealCluster"]

PATIENCE = 30.0
"""Seconds within which a real cluster must have created a topic."""
FIRST_PATIENCE = 10.0
"""Seconds within which it must answer at all."""


class ClusterUnderTest(Protocol):
    """What the fixture `felice_cluster` gives."""

    @property
    def bootstrap_servers(self) -> str:
        """Addresses for clients."""
        ...

    @property
    def broker(self) -> Broker | None:
        """The embedded broker; None on a real cluster."""
        ...

    def topic(self, name: str, partitions: int = 1) -> str:
        """Return the real name of the test's topic `name`, which is created when it is first asked for."""
        ...


class EmbeddedCluster:
    """The embedded broker: the test has it for itself, so topics have the names that it gives them."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    @property
    def bootstrap_servers(self) -> str:
        """Addresses for clients."""
        return self.broker.bootstrap_servers

    def topic(self, name: str, partitions: int = 1) -> str:
        """Return the name itself; a topic that is not there yet is created."""
        if name not in self.broker.topics:
            self.broker.create_topic(name, partitions)
        return name


class RealCluster:
    """A cluster that others use too: each test's topics get names of their own, and are deleted at its end."""

    broker = None

    def __init__(self, bootstrap_servers: str) -> None:
        self.bootstrap_servers = bootstrap_servers
        self._made: dict[str, str] = {}
        self._engine = Engine.current()
        self._clock = SystemClock()
        self._cluster: Cluster | None = None

    def connect(self) -> None:
        """Find the cluster, or raise why not."""

        async def ready(cluster: Cluster) -> None:
            await cluster.ready(self._clock.monotonic() + FIRST_PATIENCE)

        self._run(ready)

    def topic(self, name: str, partitions: int = 1) -> str:
        """Return the name under which the topic is there, with a leader for each partition."""
        if name not in self._made:
            unique = f"{name}-{secrets.token_hex(4)}"
            self._run(lambda cluster: self._create(cluster, unique, partitions))
            self._made[name] = unique
        return self._made[name]

    def close(self) -> None:
        """Delete the topics; one that cannot be deleted is left, for a test must not fail of it."""
        try:
            if self._made:
                with contextlib.suppress(FeliceError):
                    self._run(self._delete)
        finally:
            cluster, self._cluster = self._cluster, None
            if cluster is not None:
                self._engine.run(cluster.close, self._clock.monotonic() + 1.0)

    def _run(self, work: Callable[[Cluster], Coroutine[Any, Any, None]]) -> None:
        """Do something with the cluster, on the engine."""

        async def run() -> None:
            if self._cluster is None:
                self._cluster = Cluster(
                    ClientConfig(bootstrap_servers=self.bootstrap_servers, client_id="felice-testing"),
                    engine=self._engine,
                    clock=self._clock,
                    random=random.Random(),
                    events=EventBus(self._engine.callbacks.offer, ()),
                )
                await self._cluster.start()
            await work(self._cluster)

        self._engine.run(run, timeout=2 * PATIENCE)

    async def _create(self, cluster: Cluster, name: str, partitions: int) -> None:
        """Create one topic and wait until it can be used."""
        deadline = self._clock.monotonic() + PATIENCE
        topic = CreateTopicsRequest.CreatableTopic(name=name, num_partitions=partitions, replication_factor=-1)
        request = CreateTopicsRequest(topics=[topic], timeout_ms=int(PATIENCE * 1000))
        answer = await cluster.call(request, node=CONTROLLER, deadline=deadline)
        for made in answer.topics:
            if made.error_code not in (ErrorCode.NONE, ErrorCode.TOPIC_ALREADY_EXISTS):
                raise BrokerError(made.error_code, f"creating topic {name}", broker_message=made.error_message)
        for partition in range(partitions):
            await cluster.wait_for_leader(name, partition, deadline)

    async def _delete(self, cluster: Cluster) -> None:
        """Delete all topics that were made."""
        names = list(self._made.values())

        def request(version: int) -> DeleteTopicsRequest:
            if version < 6:
                return DeleteTopicsRequest(topic_names=names, timeout_ms=10_000)
            states = [DeleteTopicsRequest.DeleteTopicState(name=name) for name in names]
            return DeleteTopicsRequest(topics=states, timeout_ms=10_000)

        deadline = self._clock.monotonic() + 10.0
        await cluster.call(request, api=DeleteTopicsRequest, node=CONTROLLER, deadline=deadline)
