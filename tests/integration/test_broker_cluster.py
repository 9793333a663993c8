"""The virtual cluster: nodes that stop and start, leaders that move."""

import re
import socket
import subprocess
import sys
import textwrap
from typing import Any

import pytest

from asking import SILENCE, Asker, batch
from felice.broker import Broker
from felice.errors import BrokerError, ClosedError, ConfigError, UsageError
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest


def askers(broker: Broker) -> list[Asker]:
    """A connection to each node."""
    return [Asker(address, "test") for address in broker.bootstrap_servers.split(",")]


def hang_up(connections: list[Asker]) -> None:
    """Close them."""
    for connection in connections:
        connection.hang_up()


def test_partitions_are_spread_and_metadata_is_the_same_everywhere() -> None:
    """Each node leads in turn, and each tells the same story."""
    with Broker(topics={"letters": 6}, nodes=3) as broker:
        nodes = askers(broker)
        answers = [node.ask(MetadataRequest(topics=None), 12) for node in nodes]
        assert answers[0] == answers[1] == answers[2]
        assert [partition.leader_id for partition in answers[0].topics[0].partitions] == [1, 2, 3, 1, 2, 3]
        ports = [f"{node.host}:{node.port}" for node in answers[0].brokers]
        assert ports == broker.bootstrap_servers.split(",")
        hang_up(nodes)


def test_only_the_leader_takes_records_and_says_who_it_is() -> None:
    """Another node refuses, and from version 10 on names the leader and where to find it (KIP-951)."""
    with Broker(topics={"letters": 1}, nodes=2) as broker:
        leader, other = askers(broker)
        refused = other.produce("letters", batch(b"a"), version=10)
        result = refused.responses[0].partition_responses[0]
        assert (result.error_code, result.current_leader.leader_id, result.current_leader.leader_epoch) == (6, 1, 0)
        (hint,) = refused.node_endpoints
        assert (hint.node_id, f"{hint.host}:{hint.port}") == (1, broker.bootstrap_servers.split(",")[0])
        assert leader.produce("letters", batch(b"a")).responses[0].partition_responses[0].error_code == 0
        assert not other.produce("letters", batch(b"a"), version=9).node_endpoints
        hang_up([leader, other])


def test_a_leader_that_stops_is_replaced_without_loss() -> None:
    """Another replica leads on with the same records, in a new epoch; the stopped node comes back on its port."""
    with Broker(topics={"letters": 1}, nodes=3) as broker:
        addresses = broker.bootstrap_servers
        nodes = askers(broker)
        nodes[0].produce("letters", batch(b"a"))
        broker.stop(1)
        nodes[0].hang_up()
        assert broker.bootstrap_servers == addresses
        assert (broker.leader("letters", 0), broker.leader_epoch("letters", 0)) == (2, 1)
        host, port = addresses.split(",")[0].split(":")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, int(port)), timeout=5)
        nodes[1].produce("letters", batch(b"b"))
        assert [record.value for record in broker.records("letters", 0)] == [b"a", b"b"]
        topic = nodes[1].ask(MetadataRequest(topics=None), 12).topics[0]
        assert (topic.partitions[0].isr_nodes, topic.partitions[0].offline_replicas) == ([2, 3], [1])
        broker.start(1)
        topic = nodes[0].ask(MetadataRequest(topics=None), 12).topics[0]
        assert (topic.partitions[0].leader_id, sorted(topic.partitions[0].isr_nodes)) == (2, [1, 2, 3])
        hang_up(nodes)


def test_without_another_replica_there_is_no_leader_until_the_node_is_back() -> None:
    """Metadata says so, and afterwards the records are there."""
    with Broker(nodes=2) as broker:
        broker.create_topic("letters", 2, replication_factor=1)
        one, two = askers(broker)
        one.produce("letters", batch(b"a"))
        broker.stop(1)
        one.hang_up()
        partitions = two.ask(MetadataRequest(topics=None), 12).topics[0].partitions
        assert [(partition.error_code, partition.leader_id) for partition in partitions] == [(5, -1), (0, 2)]
        broker.start(1)
        assert broker.leader("letters", 0) == 1
        assert one.produce("letters", batch(b"b")).responses[0].partition_responses[0].base_offset == 1
        hang_up([one, two])


def test_a_moved_leader_begins_an_epoch() -> None:
    """The old leader's epoch is fenced, the new one's end can be asked for."""
    with Broker(topics={"letters": 1}, nodes=2) as broker:
        one, two = askers(broker)
        one.produce("letters", batch(b"a", b"b"))
        broker.move_leader("letters", 0, 2)
        two.produce("letters", batch(b"c"))
        assert one.produce("letters", batch(b"d")).responses[0].partition_responses[0].error_code == 6

        def fetch(node: Asker, epoch: int, version: int) -> tuple[int, int]:
            partitions = [
                FetchRequest.FetchPartition(
                    partition=0, fetch_offset=0, partition_max_bytes=1000, current_leader_epoch=epoch
                )
            ]
            request = FetchRequest(topics=[FetchRequest.FetchTopic(topic="letters", partitions=partitions)])
            answer = node.ask(request, version)
            return answer.responses[0].partitions[0].error_code, len(answer.node_endpoints)

        assert fetch(two, 1, 12) == (0, 0)
        assert fetch(two, 0, 12) == (74, 0)  # fenced
        assert fetch(two, 2, 12) == (75, 0)  # unknown
        assert fetch(one, 1, 10) == (6, 0)
        assert fetch(one, 1, 12) == (0, 0)  # a replica in sync serves readers that know of followers (KIP-392)
        asked = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
            partition=0, leader_epoch=0, current_leader_epoch=1
        )
        topics = [OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic="letters", partitions=[asked])]
        ended = two.ask(OffsetForLeaderEpochRequest(topics=topics), 4).topics[0].partitions[0]
        assert (ended.leader_epoch, ended.end_offset) == (0, 2)
        assert [batch[12:16] for batch in broker.batches("letters", 0)] == [b"\0\0\0\0", b"\0\0\0\1"]
        hang_up([one, two])


def test_moving_to_a_node_without_a_replica() -> None:
    """It takes the old leader's place, which then has nothing of the partition; the reader is told who leads."""
    with Broker(nodes=2) as broker:
        broker.create_topic("letters", 1, replication_factor=1)
        one, two = askers(broker)
        broker.move_leader("letters", 0, 2)
        partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)]
        topic_id = broker.topic_id("letters")
        request = FetchRequest(topics=[FetchRequest.FetchTopic(topic_id=topic_id, partitions=partitions)])
        answer = one.ask(request, 16)
        found = answer.responses[0].partitions[0]
        assert (found.error_code, found.current_leader.leader_id, found.current_leader.leader_epoch) == (6, 2, 1)
        assert [hint.node_id for hint in answer.node_endpoints] == [2]
        assert two.ask(request, 16).responses[0].partitions[0].error_code == 0
        hang_up([one, two])


def test_stopping_a_node_closes_its_connections_only() -> None:
    """Clients of the other nodes notice nothing."""
    with Broker(topics={"letters": 1}, nodes=2) as broker:
        one, two = askers(broker)
        assert one.ask(MetadataRequest(topics=[]), 9) != SILENCE
        assert two.ask(MetadataRequest(topics=[]), 9) != SILENCE
        before = two._sock
        broker.stop(1)
        one.hang_up()
        with pytest.raises(ConnectionRefusedError):
            one.ask(MetadataRequest(topics=[]), 9)
        answer = two.ask(MetadataRequest(topics=[]), 9)
        assert two._sock is before
        assert [node.node_id for node in answer.brokers] == [2]
        assert answer.controller_id == 2
        hang_up([one, two])


def test_metadata_creates_topics_that_are_missing() -> None:
    """Its answer does not know them yet, and where they cannot be created it never does; coordinators' topics too."""
    internal = ["__consumer_offsets", "__transaction_state", "__share_group_state"]
    names = ["a.b", "a_b", "bad/name", *internal]
    request = MetadataRequest(topics=[MetadataRequest.Topic(name=name) for name in names])
    configs = {"offsets.topic.num.partitions": 3}
    with Broker(configs=configs) as broker, Asker(broker.bootstrap_servers, "test") as asker:
        before = {topic.name: topic.error_code for topic in asker.ask(request, 12).topics}
        assert before == dict.fromkeys(names, 3) | {"bad/name": 17}
        topics = {topic.name: topic for topic in asker.ask(request, 12).topics}
        assert {name for name, topic in topics.items() if topic.error_code == 0} == {"a.b", *internal}
        assert (topics["a_b"].error_code, topics["bad/name"].error_code) == (3, 17)
        assert {name for name, topic in topics.items() if topic.is_internal} == set(internal)
        assert len(topics["__consumer_offsets"].partitions) == 3


def test_what_cannot_be_is_refused() -> None:
    """Nodes, topics and options that are not there are named."""
    with pytest.raises(ConfigError, match="nodes"):
        Broker(nodes=0)
    with pytest.raises(ConfigError, match=r"message\.maximum"):
        Broker(configs={"message.maximum": 1})
    with pytest.raises(ConfigError, match=r"did you mean group\.initial\.rebalance\.delay\.ms"):
        Broker(configs={"group.initial.rebalance.delay": 0})
    with Broker(topics={"letters": 1}) as broker:
        with pytest.raises(UsageError, match="node 2"):
            broker.stop(2)
        with pytest.raises(BrokerError, match=r"UNKNOWN_TOPIC_OR_PARTITION.*there is no topic 'diaries'"):
            broker.records("diaries", 0)
        with pytest.raises(BrokerError, match="topic 'letters' has partitions 0 to 0, and no 1"):
            broker.move_leader("letters", 1, 1)
        with pytest.raises(BrokerError, match="TOPIC_ALREADY_EXISTS"):
            broker.create_topic("letters")
        with pytest.raises(BrokerError, match="INVALID_TOPIC_EXCEPTION"):
            broker.create_topic("not a name")


@pytest.mark.parametrize(
    "wrong", [{"topics": ["letters"]}, {"topics": {"letters": "4"}}, {"nodes": "3"}, {"port": "9092"}], ids=str
)
def test_what_is_of_a_wrong_type_is_refused_by_name(wrong: dict[str, Any]) -> None:
    """And the value is shown."""
    (name, value), *_ = wrong.items()
    with pytest.raises(ConfigError, match=f"^{name}={re.escape(repr(value))}: give "):
        Broker(**wrong)


def test_a_broker_that_is_over_says_so() -> None:
    """It is told from one that has not begun."""
    broker = Broker()
    with pytest.raises(ClosedError, match=r"is not running \(use it in a with statement"):
        broker.records("letters", 0)
    with broker:
        pass
    with pytest.raises(ClosedError, match=r"was closed, and its records are gone \(make a new one\)"):
        broker.records("letters", 0)


def test_a_seed_makes_identifiers_repeatable() -> None:
    """The same seed gives the same cluster and topic IDs."""
    ids = []
    for _ in range(2):
        with Broker(topics={"letters": 1}, seed=7) as broker:
            ids.append(broker.topic_id("letters"))
    assert ids[0] == ids[1]


def test_a_busy_port_is_named() -> None:
    """A port that somebody has cannot be had."""
    with Broker() as first:
        port = int(first.bootstrap_servers.split(":")[1])
        with pytest.raises(OSError, match=str(port)):
            Broker(port=port).start()


def test_row_42_a_forked_child_is_told_and_leaves_the_broker_to_its_parent() -> None:
    """Nothing in the child waits, and what it closes on its way out is not the parent's."""
    script = """
        import os, time
        from felice.broker import Broker
        from felice.errors import ClosedError

        with Broker(topics={"letters": 2}) as broker:
            child = os.fork()
            if child == 0:
                started = time.monotonic()
                try:
                    broker.topics
                except ClosedError as error:
                    print("child:", error, flush=True)
                broker.close()
                os._exit(0 if time.monotonic() - started < 5 else 3)
            assert os.waitpid(child, 0)[1] == 0
            print("parent:", broker.topics, flush=True)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=60, check=False
    )
    child, parent = done.stdout.splitlines()
    assert child.startswith("child: the embedded broker does not run in this process")
    assert (parent, done.stderr) == ("parent: {'letters': 2}", "")
