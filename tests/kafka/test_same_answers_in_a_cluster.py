"""Questions to three nodes of real Kafka and to three of the embedded broker: what those answer that do not lead."""

import time
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import pytest
from cluster import KafkaCluster
from questions.fetch import fetch
from questions.offsets import list_offsets

from asking import PATIENCE, Asker, batch, comparable, new_run
from felice.broker import Broker
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.describe_configs import DescribeConfigsRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest

REPLICAS = {"alone": [2], "shared": [2, 3]}
"""Two topics of one partition: node 2 leads both, node 3 follows one of them, node 1 has nothing to do with either."""

Nodes: TypeAlias = dict[int, Asker]
Question: TypeAlias = Callable[[Nodes, dict[str, str]], Any]
QUESTIONS: dict[str, Question] = {}


def question(ask: Question) -> Question:
    """Add a question; its docstring says what is asked."""
    QUESTIONS[ask.__name__] = ask
    return ask


def set_up(nodes: Nodes, run: str) -> dict[str, str]:
    """Create the topics, with a record in each, and wait until every node has what it is to have of them."""
    names = {kind: f"{kind}-{run}" for kind in REPLICAS}
    for kind, name in names.items():
        assignment = CreateTopicsRequest.CreatableReplicaAssignment(partition_index=0, broker_ids=REPLICAS[kind])
        asked = CreateTopicsRequest.CreatableTopic(
            name=name, num_partitions=-1, replication_factor=-1, assignments=[assignment]
        )
        created = nodes[1].ask(CreateTopicsRequest(topics=[asked]), 7).topics[0]
        assert created.error_code == 0, created
        for node in nodes.values():
            node.topic_ids[name] = created.topic_id
    deadline = time.monotonic() + PATIENCE
    for name in names.values():
        for node in nodes.values():
            while any(topic.error_code or not topic.partitions for topic in described(node, name).topics):
                assert time.monotonic() < deadline, name
                time.sleep(0.02)  # real Kafka tells nobody when it is ready
        while nodes[2].produce(name, batch(b"a")).responses[0].partition_responses[0].error_code:
            assert time.monotonic() < deadline, name
            time.sleep(0.02)
    while not fetch(nodes[3], names["shared"], (0, 0)).responses[0].partitions[0].records:
        assert time.monotonic() < deadline, "node 3 does not follow"
        time.sleep(0.02)
    return names


def described(node: Asker, name: str) -> Any:
    """Ask a node for a topic."""
    return node.ask(MetadataRequest(topics=[MetadataRequest.Topic(name=name)]), 12)


@pytest.fixture(scope="module")
def answers(kafka3: KafkaCluster) -> Iterator[Callable[[str], list[Any]]]:
    """Asks a question by its name of both clusters."""
    run = new_run()
    with Broker(nodes=3, auto_create=False) as ours:
        clusters = [
            {number + 1: Asker(address, run) for number, address in enumerate(servers.split(","))}
            for servers in (kafka3.bootstrap_servers, ours.bootstrap_servers)
        ]
        names = [set_up(nodes, run) for nodes in clusters]
        yield lambda name: [QUESTIONS[name](nodes, known) for nodes, known in zip(clusters, names, strict=True)]
        for nodes in clusters:
            for node in nodes.values():
                node.hang_up()


@question
def metadata(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Every node tells the same of the topics."""
    return [comparable(described(node, name).topics) for node in nodes.values() for name in topics.values()]


@question
def produce(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Who does not lead refuses, and from version 10 on says who does."""
    return [
        comparable(nodes[node].produce(name, batch(b"b"), version=version))
        for node in (1, 3)
        for name in topics.values()
        for version in (8, 9, 10, 13)
    ]


@question
def fetch_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Who has no replica refuses, whatever the epoch, and from version 16 on says who leads."""
    return [
        comparable(fetch(nodes[1], name, (0, 0), version=version, epoch=epoch))
        for name in topics.values()
        for version in (10, 12, 13, 16)
        for epoch in (-1, 0, 5)
    ]


@question
def fetch_from_a_follower(nodes: Nodes, topics: dict[str, str]) -> Any:
    """A follower serves readers that know of followers (KIP-392), and refuses the others and wrong epochs."""
    return [
        comparable(fetch(nodes[3], topics["shared"], (0, offset), version=version, epoch=epoch))
        for version in (9, 10, 11, 12, 16)
        for epoch in (-1, 0, 5)
        for offset in (0, 1)
    ]


@question
def list_offsets_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Offsets are the leader's to tell."""
    return [
        list_offsets(nodes[node], name, -1, -2, epoch=epoch)
        for node in (1, 3)
        for name in topics.values()
        for epoch in (-1, 0, 5)
    ]


@question
def epochs_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """So are the ends of epochs."""

    def look(node: Asker, name: str, current: int) -> Any:
        asked = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
            partition=0, leader_epoch=0, current_leader_epoch=current
        )
        topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=name, partitions=[asked])
        return comparable(node.ask(OffsetForLeaderEpochRequest(topics=[topic]), 4))

    return [look(nodes[node], name, current) for node in (1, 3) for name in topics.values() for current in (-1, 0, 5)]


@question
def delete_records_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """And deleting records."""

    def delete(node: Asker, name: str) -> Any:
        asked = DeleteRecordsRequest.DeleteRecordsPartition(partition_index=0, offset=0)
        topic = DeleteRecordsRequest.DeleteRecordsTopic(name=name, partitions=[asked])
        return comparable(node.ask(DeleteRecordsRequest(topics=[topic], timeout_ms=1000), 2))

    return [delete(nodes[node], name) for node in (1, 2, 3) for name in topics.values()]


@question
def describe_another_broker(nodes: Nodes, topics: dict[str, str]) -> Any:
    """A broker tells its own configuration only."""

    def describe(node: Asker, name: str) -> Any:
        asked = DescribeConfigsRequest.DescribeConfigsResource(
            resource_type=4, resource_name=name, configuration_keys=["fetch.max.bytes"]
        )
        return comparable(node.ask(DescribeConfigsRequest(resources=[asked]), 4))

    return [describe(nodes[node], name) for node in (1, 2) for name in ("1", "2", "")]


@question
def replicas_that_cannot_be(nodes: Nodes, topics: dict[str, str]) -> Any:
    """More replicas than nodes, and assignments of different lengths."""
    created = []
    for replicas, assigned in [(4, []), (-1, [[1, 2], [3]]), (-1, [[1, 4]]), (-1, [[3, 1], [2, 3]])]:
        asked = CreateTopicsRequest.CreatableTopic(
            name=new_run(),
            num_partitions=-1,
            replication_factor=replicas,
            assignments=[
                CreateTopicsRequest.CreatableReplicaAssignment(partition_index=index, broker_ids=on)
                for index, on in enumerate(assigned)
            ],
        )
        topic = nodes[1].ask(CreateTopicsRequest(topics=[asked], validate_only=True), 7).topics[0]
        created.append((topic.error_code, topic.num_partitions, topic.replication_factor))
    return created


@pytest.mark.parametrize("name", QUESTIONS)
def test_same_answer_in_a_cluster(name: str, answers: Callable[[str], list[Any]]) -> None:
    """Three nodes of real Kafka and three of the embedded broker give the same answers."""
    expected, answer = answers(name)
    assert answer == expected, QUESTIONS[name].__doc__
