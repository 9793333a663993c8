"""`reset` makes the embedded broker what it was at its start."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from asking import SILENCE, Asker, batch
from felice.broker import Broker
from felice.errors import ErrorCode
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.incremental_alter_configs import IncrementalAlterConfigsRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest

METADATA = MetadataRequest(topics=None)


def use(broker: Broker, asker: Asker) -> None:
    """Leave something everywhere."""
    broker.create_topic("more", 3)
    asker.produce("letters", batch(b"a"))
    servers = broker.bootstrap_servers.split(",")
    with Asker(servers[broker.coordinator(transactional_id="a transaction") - 1], "") as coordinator:
        coordinator.transactional_producer("a transaction")
    asked = OffsetCommitRequest.Partition(partition_index=0, committed_offset=1)
    topic = OffsetCommitRequest.Topic(name="letters", partitions=[asked])
    with Asker(servers[broker.coordinator(group="readers") - 1], "") as coordinator:
        coordinator.ask(OffsetCommitRequest(group_id="readers", topics=[topic]), 8)
    set_to = IncrementalAlterConfigsRequest.AlterableConfig(name="retention.ms", config_operation=0, value="1")
    letters = IncrementalAlterConfigsRequest.AlterConfigsResource(
        resource_type=2, resource_name="letters", configs=[set_to]
    )
    asker.ask(IncrementalAlterConfigsRequest(resources=[letters]), 1)
    broker.clock.advance(1000)


def test_everything_is_as_at_the_start() -> None:
    """Topics, records, groups, transactions, configurations, requests, faults, nodes and time."""
    with Broker(topics={"letters": 2}, nodes=3) as broker, Asker(broker.bootstrap_servers, "") as asker:
        first_id, servers, nodes = broker.topic_id("letters"), broker.bootstrap_servers, broker.nodes
        cluster_id = asker.ask(METADATA, 9).cluster_id
        use(broker, asker)
        assert broker.groups
        assert broker.transactions
        broker.faults.error(ErrorCode.UNKNOWN_SERVER_ERROR, "Metadata", times=None)
        broker.faults.freeze(2)
        broker.faults.refuse(1)
        broker.answer("Metadata", lambda request, asked: None)
        broker.add_node()
        broker.stop(3)
        broker.remove_node(2)
        broker.reset()
        assert broker.topics == {"letters": 2}
        assert broker.topic_id("letters") != first_id
        assert broker.records("letters", 0) == []
        assert broker.groups == broker.transactions == {}
        assert (broker.requests.count, list(broker.requests)) == (0, [])
        assert (broker.faults.active, broker.faults.history) == ((), [])
        assert (broker.bootstrap_servers, broker.nodes) == (servers, nodes)
        assert abs(broker.clock.time_ms() - time.time() * 1000) < 60_000
        for server in servers.split(","):
            with Asker(server, "") as other:
                answer = other.ask(METADATA, 9)
                assert {node.node_id for node in answer.brokers} == {1, 2, 3}
                assert answer.cluster_id == cluster_id
        assert broker.add_node() == 4


def test_a_connection_notices() -> None:
    """It is closed, also one that waits; its request is not answered with what is gone, and the next one is."""
    partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)]
    letters = FetchRequest.FetchTopic(topic="letters", partitions=partitions)
    with (
        Broker(topics={"letters": 1}) as broker,
        Asker(broker.bootstrap_servers, "") as asker,
        ThreadPoolExecutor() as pool,
    ):
        answer = pool.submit(asker.ask, FetchRequest(max_wait_ms=30_000, min_bytes=1, topics=[letters]), 11)
        broker.requests.wait_for("Fetch")
        broker.reset()
        assert answer.result(10) == SILENCE
        assert asker.produce("letters", batch(b"a")).responses[0].partition_responses[0].base_offset == 0


def test_producer_ids_are_not_given_again() -> None:
    """A producer that outlives the reset does not share its ID with a new one."""
    with Broker() as broker, Asker(broker.bootstrap_servers, "") as asker:
        given = [asker.producer_id()]
        broker.reset()
        asker.hang_up()
        given.append(asker.producer_id())
        assert given[0] != given[1]


def test_timers_of_before_never_ring() -> None:
    """A transaction that was open does not time out in the next test."""
    with Broker(topics={"letters": 1}) as broker, Asker(broker.bootstrap_servers, "") as asker:
        use(broker, asker)
        broker.reset()
        broker.clock.advance(10_000_000)
        assert broker.topics == {"letters": 1}
        assert broker.groups == broker.transactions == {}


def test_clients_go_on_after_a_reset() -> None:
    """Our own producer, which outlives it, writes to the topic that is there now."""
    from felice import Producer

    with Broker(topics={"letters": 1}) as broker, Producer(broker.bootstrap_servers) as producer:
        producer.send("letters", b"before").result(30)
        broker.reset()
        producer.send("letters", b"after").result(30)
        assert [record.value for record in broker.records("letters", 0)] == [b"after"]


def test_a_reset_takes_about_a_millisecond() -> None:
    """Of a broker that was used; the best of some, with room for a machine that is busy."""
    took = []
    with Broker(topics={"letters": 4}) as broker:
        for _ in range(10):
            with Asker(broker.bootstrap_servers, "") as asker:
                use(broker, asker)
                began = time.perf_counter()
                broker.reset()
                took.append(time.perf_counter() - began)
    print(f"best {min(took) * 1000:.2f} ms, worst {max(took) * 1000:.2f} ms")
    assert min(took) < 0.01


def test_a_broker_that_does_not_run_cannot_be_reset() -> None:
    """It says so."""
    from felice.errors import ClosedError

    with pytest.raises(ClosedError):
        Broker().reset()
