"""A log that an unclean election cuts off under felice's consumer: the same story on real Kafka and on ours."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from cluster import KafkaCluster
from confluent_kafka.admin import AdminClient, NewTopic
from test_same_answers_in_a_cluster import our_cluster

from asking import SILENCE, Asker, new_run
from felice import Consumer, Producer
from felice.errors import LogTruncated
from felice.events import Event, PositionReset
from felice.types import TopicPartition
from felice.wire.messages.elect_leaders import ElectLeadersRequest
from felice.wire.messages.metadata import MetadataRequest

UNCLEAN = 1
LONG = 90.0
"""Seconds until something must have happened: nodes elect a controller, and it notices who is gone."""


class World(NamedTuple):
    """A cluster of three nodes, and what is done to it: nodes 1 and 2 have the topic, and 1 leads."""

    servers: str
    lag: Callable[[str], object]
    """Have node 2 fall behind."""
    lose: Callable[[str], object]
    """Have node 1 vanish, and node 2 come back with what it has."""


def elect(world: World, name: str) -> None:
    """Make node 2 lead with what it has, as soon as the cluster has noticed that node 1 is gone."""
    asked = ElectLeadersRequest.TopicPartitions(topic=name, partitions=[0])
    request = ElectLeadersRequest(election_type=UNCLEAN, topic_partitions=[asked], timeout_ms=5000)
    three = Asker(world.servers.split(",")[2], "elects")
    deadline = time.monotonic() + LONG
    while True:
        three.ask(request, 2)
        answer = three.ask(MetadataRequest(topics=[MetadataRequest.Topic(name=name)]), 12)
        if answer != SILENCE and answer.topics[0].partitions and answer.topics[0].partitions[0].leader_id == 2:
            break
        assert time.monotonic() < deadline, answer
        time.sleep(0.1)  # Kafka tells nobody when it has noticed; one has to ask again
    three.hang_up()


def in_sync(world: World, name: str, nodes: list[int]) -> None:
    """Wait until just these replicas are in sync."""
    three = Asker(world.servers.split(",")[2], "looks")
    deadline = time.monotonic() + LONG
    while True:
        answer = three.ask(MetadataRequest(topics=[MetadataRequest.Topic(name=name)]), 12)
        if answer != SILENCE and [sorted(each.isr_nodes) for each in answer.topics[0].partitions] == [nodes]:
            break
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    three.hang_up()


def until(reading: Consumer[Any, bytes], tp: TopicPartition, true: Callable[[Any], bool]) -> None:
    """Wait until something is true of a partition, as the consumer's engine sees it."""

    async def wait() -> None:
        async with asyncio.timeout(LONG):
            while not true(reading._core.outbox.partitions[tp]):  # noqa: ASYNC110  # nobody tells of it
                await asyncio.sleep(0.01)

    reading._core.engine.run(wait)


def tell(world: World) -> dict[str, Any]:
    """Read four records, lose two of them, and read on, with each policy; return what came of it."""
    name = f"cut-off-{new_run()}"
    tp = TopicPartition(name, 0)
    admin = AdminClient({"bootstrap.servers": world.servers})
    new = NewTopic(name, 1, replica_assignment=[[1, 2]], config={"min.insync.replicas": "1"})
    admin.create_topics([new])[name].result(30)
    in_sync(world, name, [1, 2])
    heard: list[Event] = []
    options: dict[str, Any] = {"partitions": [tp]}

    def consumer(**more: Any) -> Consumer[Any, bytes]:
        return Consumer[Any, bytes](world.servers, **options, **more)

    def read(reading: Consumer[Any, bytes], count: int) -> bytes:
        found: list[bytes] = []
        deadline = time.monotonic() + LONG
        while len(found) < count:
            assert time.monotonic() < deadline, found
            found += [message.value for message in reading.poll(1, max_records=count - len(found))]
        return b"".join(found)

    with (
        Producer(world.servers) as producer,
        consumer(listeners=[heard.append]) as first,
        consumer(offset_reset="latest") as last,
        consumer(offset_reset="error") as strict,
        consumer(offset_reset="error") as behind,
    ):
        for value in (b"a", b"b"):
            producer.send_and_wait(name, value, partition=0)
        # Who has nothing to find out yet when a node freezes is not held up by it.
        for reading in (first, last, strict, behind):
            reading.ready(LONG)
        assert read(behind, 1) == b"a"
        world.lag(name)
        in_sync(world, name, [1])
        for value in (b"c", b"d"):
            producer.send_and_wait(name, value, partition=0)
        before = [read(first, 4), read(last, 4), read(strict, 4)]
        until(behind, tp, lambda partition: partition.fetch_offset == 4)
        world.lose(name)
        elect(world, name)
        for value in (b"e", b"f", b"g"):
            producer.send_and_wait(name, value, partition=0)
        after = [read(first, 3), read(last, 3)]
        with pytest.raises(LogTruncated) as caught:
            strict.poll(LONG)
        error = caught.value
        strict.seek(tp, error.next_offset)
        after.append(read(strict, 3))
        first._core.engine.callbacks.flush(5)
        moved = [
            (event.before, event.after, event.divergent_offset, event.divergent_epoch)
            for event in heard
            if isinstance(event, PositionReset)
        ]
        until(behind, tp, lambda partition: partition.shelf.cut is not None)
        found = b""
        while not found.endswith(b"g"):
            found += read(behind, 1)
        return {
            "before": before,
            "after": after,
            "moved": moved,
            "refused": (error.offset, error.next_offset, error.divergent_offset, error.divergent_epoch),
            "behind": found,
        }


def test_8_the_same_records_are_lost_and_told_of_as_on_real_kafka(kafka3: KafkaCluster) -> None:
    """Row 8: no record that exists is missed or read twice; what is lost is told with the offset and the epoch."""

    def lose(_name: str) -> None:
        kafka3.node(1).kill()
        kafka3.node(2).resume()

    real = World(kafka3.bootstrap_servers, lambda _name: kafka3.node(2).pause(), lose)
    try:
        told = tell(real)
    finally:
        kafka3.node(2).resume()
        kafka3.node(1).start(3)
    with our_cluster() as ours:
        embedded = World(ours.bootstrap_servers, lambda name: ours.shrink_isr(name, 0, 2), lambda _name: ours.kill(1))
        assert tell(embedded) == told
    assert told == {
        "before": [b"abcd", b"abcd", b"abcd"],
        "after": [b"efg", b"efg", b"efg"],
        "moved": [(4, 2, 2, 0)],
        "refused": (4, 2, 2, 0),
        "behind": b"befg",
    }
