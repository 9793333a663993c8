"""The same story on three nodes of real Kafka and of the embedded broker: one goes, and comes back.

What clients are told at each turn is the same, but for wording, identifiers and what Kafka draws by lot.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from cluster import KafkaCluster
from questions.fetch import fetch
from questions.offsets import list_offsets
from test_same_answers_in_a_cluster import our_cluster

from asking import PATIENCE, SILENCE, Asker, batch, comparable, new_run
from felice.wire.messages.alter_partition_reassignments import AlterPartitionReassignmentsRequest as Reassign
from felice.wire.messages.create_partitions import CreatePartitionsRequest
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.describe_topic_partitions import DescribeTopicPartitionsRequest
from felice.wire.messages.elect_leaders import ElectLeadersRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from felice.wire.messages.produce import ProduceRequest

TOPICS = {
    "alone": ([2], 1),
    "pair": ([2, 3], 2),
    "loose": ([2, 3], 1),
    "three": ([2, 3, 1], 2),
}
"""Replicas, and how many must be in sync."""


class Side(NamedTuple):
    """One of the two clusters, and what can be done to it."""

    nodes: dict[int, Asker]
    names: dict[str, str]
    stop: Callable[[int], None]
    start: Callable[[int], object]
    lag: Callable[[bool], None]
    """Let node 3 lag that follows in `pair` and `loose`, or let it go on."""

    def described(self, node: int, kind: str, version: int = 12) -> Any:
        """Ask a node for a topic."""
        asked = [MetadataRequest.Topic(name=self.names[kind])]
        return self.nodes[node].ask(MetadataRequest(topics=asked), version)

    def until(self, node: int, kind: str, right: Callable[[Any], bool]) -> None:
        """Wait until a node tells of a topic's partition what it should: real Kafka tells nobody when it is ready."""
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self.described(node, kind)
            if answer != SILENCE and answer.topics[0].partitions and right(answer.topics[0].partitions[0]):
                return
            assert time.monotonic() < deadline, answer
            time.sleep(0.05)

    def produce(self, node: int, kind: str, acks: int = -1, version: int = 9, timeout_ms: int = 5000) -> Any:
        """Write one record."""
        data = ProduceRequest.PartitionProduceData(index=0, records=batch(b"a"))
        topic = ProduceRequest.TopicProduceData(
            name=self.names[kind], topic_id=self.nodes[node].topic_ids[self.names[kind]], partition_data=[data]
        )
        request = ProduceRequest(acks=acks, timeout_ms=timeout_ms, transactional_id=None, topic_data=[topic])
        return comparable(self.nodes[node].ask(request, version))

    def elect(self, kind: str, how: int) -> Any:
        """Ask for an election."""
        name = self.names.get(kind, kind)
        asked = ElectLeadersRequest.TopicPartitions(topic=name, partitions=[0])
        request = ElectLeadersRequest(election_type=how, topic_partitions=[asked], timeout_ms=5000)
        results = self.nodes[1].ask(request, 2).replica_election_results
        return [comparable(one.partition_result) for one in results]

    def reassign(self, kind: str, replicas: list[int] | None) -> Any:
        """Ask for other replicas."""
        asked = Reassign.ReassignablePartition(partition_index=0, replicas=replicas)
        topic = Reassign.ReassignableTopic(name=self.names[kind], partitions=[asked])
        response = self.nodes[1].ask(Reassign(topics=[topic], timeout_ms=5000), 1).responses[0]
        return comparable(response.partitions)

    def eligible(self, node: int) -> Any:
        """Ask who may lead, of all topics."""
        asked = [DescribeTopicPartitionsRequest.TopicRequest(name=name) for name in sorted(self.names.values())]
        answer = self.nodes[node].ask(DescribeTopicPartitionsRequest(topics=asked), 0)
        return [comparable(topic.partitions) for topic in answer.topics]

    def epochs(self, node: int, kind: str) -> Any:
        """Ask where the first leader epochs ended."""
        return [
            comparable(
                self.nodes[node].ask(
                    OffsetForLeaderEpochRequest(
                        topics=[
                            OffsetForLeaderEpochRequest.OffsetForLeaderTopic(
                                topic=self.names[kind],
                                partitions=[
                                    OffsetForLeaderEpochRequest.OffsetForLeaderPartition(
                                        partition=0, leader_epoch=epoch
                                    )
                                ],
                            )
                        ]
                    ),
                    4,
                )
            )["topics"]
            for epoch in range(4)
        ]

    def create(self, replicas: list[list[int]], factor: int = -1) -> Any:
        """Ask whether a topic could be created."""
        assigned = [
            CreateTopicsRequest.CreatableReplicaAssignment(partition_index=index, broker_ids=nodes)
            for index, nodes in enumerate(replicas)
        ]
        asked = CreateTopicsRequest.CreatableTopic(
            name=new_run(), num_partitions=-1, replication_factor=factor, assignments=assigned
        )
        topic = self.nodes[1].ask(CreateTopicsRequest(topics=[asked], validate_only=True), 7).topics[0]
        return topic.error_code, topic.replication_factor

    def grow(self, kind: str, replicas: list[int]) -> Any:
        """Ask whether a topic could have one more partition."""
        added = CreatePartitionsRequest.CreatePartitionsAssignment(broker_ids=replicas)
        topic = CreatePartitionsRequest.CreatePartitionsTopic(name=self.names[kind], count=2, assignments=[added])
        answer = self.nodes[1].ask(CreatePartitionsRequest(topics=[topic], timeout_ms=5000, validate_only=True), 3)
        return comparable(answer.results)

    def partitions(self, nodes: tuple[int, ...], versions: tuple[int, ...] = (12,)) -> Any:
        """Ask these nodes for all topics' partitions."""
        return [
            comparable(self.described(node, kind, version).topics[0].partitions)
            for node in nodes
            for kind in TOPICS
            for version in versions
        ]

    def read(self, node: int, kind: str, offset: int, **how: Any) -> Any:
        """Read from an offset."""
        return comparable(fetch(self.nodes[node], self.names[kind], (0, offset), **how))

    def await_marks(self) -> None:
        """Wait until each replica knows the high watermark: with real Kafka followers hear of it a little later."""
        deadline = time.monotonic() + PATIENCE
        for kind, (replicas, _) in TOPICS.items():
            ends = set[int]()
            while len(ends) != 1:
                assert time.monotonic() < deadline, (kind, ends)
                time.sleep(0.05)
                found = [self.read(node, kind, 0)["responses"][0]["partitions"][0] for node in replicas]
                ends = {one["high_watermark"] for one in found} | {self.log_end(kind)}

    def log_end(self, kind: str) -> int:
        """Return the offset behind the last record of the leader's log."""
        now = self.described(1, kind).topics[0].partitions[0]
        asked = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition=0, leader_epoch=now.leader_epoch)
        topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic=self.names[kind], partitions=[asked])
        answer = self.nodes[now.leader_id].ask(OffsetForLeaderEpochRequest(topics=[topic]), 4)
        return int(answer.topics[0].partitions[0].end_offset)

    def ends(self, node: int, kind: str) -> Any:
        """Ask for the end of the log."""
        return list_offsets(self.nodes[node], self.names[kind], -1)


def set_up(side: Side) -> None:
    """Create the topics, and put two records in each."""
    for kind, (replicas, least) in TOPICS.items():
        name = side.names[kind]
        created = (
            side.nodes[1]
            .ask(
                CreateTopicsRequest(
                    topics=[
                        CreateTopicsRequest.CreatableTopic(
                            name=name,
                            num_partitions=-1,
                            replication_factor=-1,
                            assignments=[
                                CreateTopicsRequest.CreatableReplicaAssignment(partition_index=0, broker_ids=replicas)
                            ],
                            configs=[
                                CreateTopicsRequest.CreatableTopicConfig(name="min.insync.replicas", value=str(least))
                            ],
                        )
                    ]
                ),
                7,
            )
            .topics[0]
        )
        assert created.error_code == 0, created
        for node in side.nodes.values():
            node.topic_ids[name] = created.topic_id
    deadline = time.monotonic() + PATIENCE
    for kind in TOPICS:
        for node in side.nodes:
            side.until(node, kind, lambda partition: partition.leader_id == 2)
        for _ in range(2):
            while side.produce(2, kind)["responses"][0]["partition_responses"][0]["error_code"]:
                assert time.monotonic() < deadline
                time.sleep(0.05)


def story(side: Side) -> Iterator[tuple[str, Any]]:
    """Tell what happens, and what is answered."""
    set_up(side)
    yield "who is there", side.partitions((1, 2, 3), (0, 1, 4, 5, 7, 9, 12, 13))
    side.lag(True)
    yield "a follower lags", [side.produce(2, kind, timeout_ms=100) for kind in ("pair", "loose")]
    yield "its readers", [side.ends(2, "pair"), side.read(2, "pair", 2), side.read(2, "loose", 3)]
    side.lag(False)
    side.await_marks()
    yield "it caught up", [side.ends(2, "pair"), side.read(2, "loose", 2)]

    side.stop(2)
    for node in (1, 3):
        for kind in TOPICS:
            side.until(node, kind, lambda partition: partition.leader_id != 2 and 2 not in partition.isr_nodes)
    yield "a node is gone", side.partitions((1, 3), tuple(range(14)))
    yield "who may lead", side.eligible(1)
    yield (
        "nobody leads",
        [
            [side.produce(node, "alone", version=version) for version in (9, 10, 13)]
            + [side.read(node, "alone", 0, version=version) for version in (10, 12, 13, 16)]
            + [side.ends(node, "alone")]
            for node in (1, 3)
        ],
    )
    yield (
        "too few in sync",
        [
            side.produce(3, "pair"),
            side.produce(3, "pair", acks=1),
            side.ends(3, "pair"),
            side.read(3, "pair", 3),
            side.produce(3, "loose"),
            side.ends(3, "loose"),
            side.produce(3, "three"),
            side.produce(1, "three", version=10),
        ],
    )
    yield (
        "new partitions",
        [
            [side.create(replicas) for replicas in ([[2]], [[2, 3]], [[3], [2]], [[9]])],
            [side.create([], factor) for factor in (1, 3, 4)],
            [side.grow("alone", replicas) for replicas in ([2], [3], [9])],
        ],
    )
    yield "elections", [side.elect(kind, how) for kind in ("three", "alone", "pair", "no-such") for how in (0, 1, 2)]
    yield "epochs", [side.epochs(3, kind) for kind in ("pair", "three")]

    side.start(2)
    for kind, (replicas, _) in TOPICS.items():
        for node in (1, 2, 3):
            side.until(node, kind, lambda partition, all_=replicas: sorted(partition.isr_nodes) == sorted(all_))
    for kind in ("pair", "loose"):
        side.until(2, kind, lambda partition: partition.leader_id == 3)
    yield "it is back, and follows", side.partitions((1, 2, 3))
    yield "who may lead then", side.eligible(1)
    side.await_marks()
    yield "all is in sync", [side.ends(3, "pair"), side.read(3, "pair", 3), side.produce(3, "pair")]
    yield "more elections", [side.elect(kind, how) for kind in ("alone", "pair") for how in (1, 0, 0)]
    for node in (1, 2, 3):
        side.until(node, "pair", lambda partition: partition.leader_id == 2)
    side.await_marks()
    yield "it leads again", side.partitions((1, 2, 3))
    yield "what it knows", [side.epochs(2, "pair"), side.ends(2, "pair"), side.produce(3, "pair", version=10)]

    yield "moves that cannot be", [side.reassign("three", nodes) for nodes in ([], [2, 2], [2, 9], [-1], None)]
    for target in ([1, 2, 3], [1, 3], [3, 1], [2, 1]):
        yield f"moving to {target}", side.reassign("three", target)
        for node in (1, 2, 3):
            side.until(
                node,
                "three",
                lambda partition, target=target: (
                    partition.replica_nodes == target and sorted(partition.isr_nodes) == sorted(target)
                ),
            )
        yield (
            f"moved to {target}",
            [comparable(side.described(node, "three").topics[0].partitions) for node in (1, 2, 3)],
        )


def test_the_same_story(kafka3: KafkaCluster) -> None:
    """A node lags, goes, comes back and leads again; partitions move."""
    run = new_run()
    names = {kind: f"{kind}-{run}" for kind in TOPICS}

    def connections(servers: str) -> dict[int, Asker]:
        return {number + 1: Asker(address, run) for number, address in enumerate(servers.split(","))}

    with our_cluster() as ours:

        def lag(lagging: bool) -> None:
            for kind in ("pair", "loose"):
                (ours.pause_replica if lagging else ours.grow_isr)(names[kind], 0, 3)

        real = Side(
            connections(kafka3.bootstrap_servers),
            names,
            lambda number: kafka3.node(number).stop(),
            lambda number: kafka3.node(number).start(3),
            lambda lagging: kafka3.node(3).pause() if lagging else kafka3.node(3).resume(),
        )
        embedded = Side(connections(ours.bootstrap_servers), names, ours.stop, ours.start, lag)
        try:
            turns = list(zip(story(real), story(embedded), strict=True))
        finally:
            kafka3.node(3).resume()
            kafka3.node(2).start(3)
            for side in (real, embedded):
                for node in side.nodes.values():
                    node.hang_up()
    assert {turn: answer for _, (turn, answer) in turns} == {turn: expected for (turn, expected), _ in turns}
