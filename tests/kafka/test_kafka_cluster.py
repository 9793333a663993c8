"""The cluster's side of the client against real Kafka: three nodes, one of which dies, freezes and comes back."""

import asyncio
import time
from collections.abc import Iterator
from random import Random

import pytest
from cluster import KafkaCluster

from felice.clock import SystemClock
from felice.cluster.coordinators import KeyType
from felice.cluster.engine import Engine
from felice.cluster.link import Role
from felice.cluster.metadata import PartitionView
from felice.cluster.router import CONTROLLER, Cluster
from felice.config import ClientConfig
from felice.errors import NetworkError, RequestTimeout
from felice.events import Event, EventBus
from felice.wire.messages.create_topics import CreateTopicsRequest, CreateTopicsResponse
from felice.wire.messages.delete_topics import DeleteTopicsRequest, DeleteTopicsResponse
from felice.wire.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from felice.wire.messages.metadata import MetadataRequest

FAILOVER = 30.0
"""Seconds within which three nodes have another leader; the harness's settings make it a few."""


def soon(seconds: float = 20) -> float:
    return time.monotonic() + seconds


class Client:
    """A cluster, with what the tests ask of it, from the test's thread."""

    def __init__(self, engine: Engine, servers: str, seed: int) -> None:
        self.engine = engine
        self.heard: list[Event] = []
        self.cluster = Cluster(
            ClientConfig(bootstrap_servers=servers, request_timeout=3, connect_timeout=3),
            engine=engine,
            clock=SystemClock(),
            random=Random(seed),
            events=EventBus(lambda listener, event: listener(event), [self.heard.append]),
        )
        engine.run(self.cluster.ready, soon(), timeout=30)

    def want(self, topic: str) -> None:
        self.engine.post(self.cluster.want_topics, [topic])

    def leader(self, topic: str, seconds: float = 20) -> PartitionView:
        return self.engine.run(self.cluster.wait_for_leader, topic, 0, soon(seconds), timeout=seconds + 5)

    def ask_leader(self, topic: str, view: PartitionView) -> int:
        """Ask the leader for the log's end, as a client that believes this view would; return Kafka's code."""
        partition = ListOffsetsRequest.ListOffsetsTopic.ListOffsetsPartition(
            partition_index=0, current_leader_epoch=view.leader_epoch, timestamp=-1
        )
        request = ListOffsetsRequest(
            replica_id=-1, topics=[ListOffsetsRequest.ListOffsetsTopic(name=topic, partitions=[partition])]
        )

        async def ask() -> ListOffsetsResponse:
            return await self.cluster.send(view.leader, request, role=Role.PRODUCE, timeout=3)

        return self.engine.run(ask, timeout=10).topics[0].partitions[0].error_code

    def recover(self, topic: str) -> tuple[PartitionView, float]:
        """Ask the leader until one answers, taking errors as a client does; return who it was, and the seconds."""
        started = time.monotonic()
        while True:
            view = self.leader(topic, FAILOVER)
            try:
                code = self.ask_leader(topic, view)
            except (NetworkError, RequestTimeout):
                code = -1
            if code == 0:
                return view, time.monotonic() - started
            assert time.monotonic() - started < FAILOVER, f"still error {code} from {view}"
            self.engine.post(self.cluster.request_refresh, f"error {code}")
            time.sleep(0.05)

    def close(self) -> None:
        self.engine.run(self.cluster.close, soon(1), timeout=5)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.stop()


@pytest.fixture
def client3(engine: Engine, kafka3: KafkaCluster, seed: int) -> Iterator[Client]:
    made = Client(engine, kafka3.bootstrap_servers, seed)
    yield made
    made.close()


@pytest.fixture
def client(engine: Engine, kafka: KafkaCluster, seed: int) -> Iterator[Client]:
    made = Client(engine, kafka.bootstrap_servers, seed)
    yield made
    made.close()


def test_row_1_and_2_a_killed_leader_is_replaced_and_used_again(client3: Client, kafka3: KafkaCluster) -> None:
    topic = kafka3.create_topic(partitions=1)
    client3.want(topic)
    first, _ = client3.recover(topic)
    node = kafka3.node(first.leader)
    node.kill()
    try:
        second, seconds = client3.recover(topic)
        assert second.leader != first.leader
        assert second.leader_epoch > first.leader_epoch
        print(f"another leader answered after {seconds:.1f} s")
    finally:
        node.start(3)

    async def again() -> None:
        answer = await client3.cluster.call(MetadataRequest(topics=[]), node=first.leader, deadline=soon(30))
        assert len(answer.brokers) == 3

    client3.engine.run(again, timeout=40)
    assert client3.cluster.health.state in ("up", "degraded")


def test_row_11_a_frozen_leader_is_given_up_within_the_request_timeout(client3: Client, kafka3: KafkaCluster) -> None:
    """SIGSTOP: its kernel goes on accepting and acknowledging, and nothing answers."""
    topic = kafka3.create_topic(partitions=1)
    client3.want(topic)
    first, _ = client3.recover(topic)
    node = kafka3.node(first.leader)
    node.pause()
    try:
        started = time.monotonic()
        with pytest.raises(RequestTimeout):
            client3.ask_leader(topic, first)
        assert time.monotonic() - started < 5
        second, seconds = client3.recover(topic)
        assert second.leader != first.leader
        print(f"another leader answered after {seconds:.1f} s")
    finally:
        node.resume()
        node.wait_ready(3)


def test_row_4_and_5_a_recreated_topic_is_noticed(client: Client, kafka: KafkaCluster) -> None:
    topic = kafka.create_topic(partitions=1)
    client.want(topic)
    client.leader(topic)
    cluster = client.cluster
    before = cluster.metadata.topic(topic)
    assert before is not None

    async def recreate() -> None:
        state = DeleteTopicsRequest.DeleteTopicState(name=topic)
        gone: DeleteTopicsResponse = await cluster.call(
            DeleteTopicsRequest(topics=[state], timeout_ms=5000), node=CONTROLLER, deadline=soon()
        )
        assert gone.responses[0].error_code == 0
        asked = CreateTopicsRequest.CreatableTopic(name=topic, num_partitions=2, replication_factor=1)
        while True:
            made: CreateTopicsResponse = await cluster.call(
                CreateTopicsRequest(topics=[asked], timeout_ms=5000), node=CONTROLLER, deadline=soon()
            )
            if made.topics[0].error_code != 36:  # the old one is still going
                assert made.topics[0].error_code == 0
                break
        while cluster.metadata.topic_name(before.topic_id) is not None:
            cluster.request_refresh("the topic was made anew")
            await cluster._refresher.turn(soon())

    client.engine.run(recreate, timeout=40)
    after = cluster.metadata.topic(topic)
    assert after is not None
    assert after.topic_id != before.topic_id
    assert len(after.partitions) == 2


def test_a_coordinator_is_found(client: Client) -> None:
    async def find() -> int:
        return await client.cluster.coordinator("post", KeyType.GROUP, soon(30))

    assert client.engine.run(find, timeout=40) == 1


def test_features_and_versions_are_known(client: Client) -> None:
    async def look() -> tuple[dict[int, tuple[int, int]], dict[str, int]]:
        await client.cluster.send(1, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=5)
        connection = client.cluster._links.get(1, Role.CONTROL).live
        assert connection is not None
        assert connection.versions is not None
        return connection.versions.ranges, connection.versions.features

    ranges, features = client.engine.run(look, timeout=10)
    assert ranges[3] == (0, 13)
    assert ranges[0][1] == 13
    assert features["metadata.version"] > 0


def test_many_requests_in_flight_come_back_in_order(client: Client) -> None:
    async def storm() -> int:
        asks = [client.cluster.send(1, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=10) for _ in range(500)]
        return sum(len(answer.brokers) for answer in await asyncio.gather(*asks))

    assert client.engine.run(storm, timeout=30) == 500
