"""Coordinators whose log has too few replicas in sync, on three nodes of real Kafka and of the embedded broker."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from cluster import KafkaCluster
from questions.alterations import DELETE, SET, TOPIC, settled
from questions.asked import eventually
from questions.committed import commit, delete, fetch
from questions.consumer_members import Band
from questions.group_admin import delete as delete_groups
from questions.group_admin import describe, listed
from questions.groups import stable
from questions.members import Room
from questions.offsets import list_offsets
from questions.writer import Writer
from test_same_answers_in_a_cluster import our_cluster

from asking import Asker, new_run
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.messages.metadata import MetadataRequest

OFFSETS, TRANSACTIONS = "__consumer_offsets", "__transaction_state"
LEAST = "min.insync.replicas"


class Side(NamedTuple):
    """One of the two clusters, and what can be done to it."""

    run: str
    nodes: dict[int, Asker]
    stop: Callable[[int], None]
    start: Callable[[int], object]

    def described(self, topic: str) -> Any:
        """Ask for a topic's first partition."""
        [found] = self.nodes[1].ask(MetadataRequest(topics=[MetadataRequest.Topic(name=topic)]), 12).topics
        return found.partitions[0]

    def coordinator(self, topic: str) -> int:
        """Return the node that coordinates what is kept in a topic."""
        return int(self.described(topic).leader_id)

    def create(self) -> str:
        """Create a topic of two partitions on all nodes; the one that coordinates transactions leads them."""
        name, leader = f"letters-{self.run}", self.coordinator(TRANSACTIONS)
        replicas = [leader, *({1, 2, 3} - {leader})]
        assigned = [
            CreateTopicsRequest.CreatableReplicaAssignment(partition_index=index, broker_ids=replicas)
            for index in range(2)
        ]
        asked = CreateTopicsRequest.CreatableTopic(
            name=name, num_partitions=-1, replication_factor=-1, assignments=assigned
        )
        [created] = self.nodes[1].ask(CreateTopicsRequest(topics=[asked]), 7).topics
        assert created.error_code == 0, created
        for node in self.nodes.values():
            node.topic_ids[name] = created.topic_id
        eventually(lambda: "'error_code': 0" in str(list_offsets(self.nodes[leader], name, -1)))
        return name

    def await_in_sync(self, number: int, *topics: str) -> None:
        """Wait until so many replicas of topics are in sync."""
        eventually(lambda: all(len(self.described(topic).isr_nodes) == number for topic in topics))


def story(side: Side) -> Iterator[tuple[str, Any]]:
    """Tell what happens, and what is answered."""
    for key_type in (0, 1):  # with which the topics are made
        find = FindCoordinatorRequest(coordinator_keys=["first"], key_type=key_type)
        eventually(lambda find=find: not side.nodes[1].ask(find, 4).coordinators[0].error_code)  # type: ignore[misc]
    groups, transactions = side.nodes[side.coordinator(OFFSETS)], side.nodes[side.coordinator(TRANSACTIONS)]
    topic = side.create()
    run = side.run
    with Room(groups, f"present-{run}") as room, Room(groups, f"waiting-{run}") as waiting:
        band, writer = Band(groups, f"band-{run}"), Writer(transactions, f"writer-{run}")
        lone, gone, staged, spare, kept = (f"{name}-{run}" for name in ("lone", "gone", "staged", "spare", "kept"))

        def deleted(group: str) -> list[Any]:
            """Delete a group, and ask for it."""
            return [
                delete_groups(groups, group), describe(groups, group), listed(groups, [group]),
                fetch(groups, group, {topic: [0]}),
            ]  # fmt: skip

        eventually(lambda: "'error_code': 0" in str(commit(groups, lone, (topic, 0))))
        yield "commits", [commit(groups, group, (topic, 0)) for group in (lone, gone, spare, kept)]
        members = [room.member(), room.member()]
        yield "a classic group", stable(room, *members)
        leader, follower = waiting.member(), waiting.member()
        stable(waiting, leader)
        yield "a consumer group", [band.join("a", topic), band.settle("a")]
        yield "a transaction", [writer.add((topic, 0)), writer.write(topic, 0, version=11)]

        follower.begin_to_join()  # so that a new generation has begun, and its leader has yet to assign
        waiting.wait_for("PreparingRebalance", 2)
        leader.begin_to_join()
        leader.joined(), follower.joined()
        for name in (OFFSETS, TRANSACTIONS, topic):
            settled(side.nodes[1], TOPIC, name, (LEAST, SET, "3"))
        out = ({1, 2, 3} - {side.coordinator(OFFSETS), side.coordinator(TRANSACTIONS)}).pop()
        asker = side.nodes[1 if out != 1 else 2]
        side.stop(out)
        side = side._replace(nodes={1: asker})
        side.await_in_sync(2, OFFSETS, TRANSACTIONS, topic)

        yield "nothing was written yet", [members[0].beat(), band.beat("a"), fetch(groups, lone, {topic: [0]})]
        yield "a group that is deleted", deleted(spare)
        yield "commits are in doubt", [commit(groups, group, (topic, 0), offset=9) for group in (lone, staged)]
        yield "what is told of them", [fetch(groups, group, {topic: [0]}) for group in (lone, staged)]
        yield "what is deleted too", [delete(groups, gone, (topic, 0)), fetch(groups, gone, {topic: [0]})]
        yield "a group that is to be deleted", deleted(kept)
        with Room(groups, f"fresh-{run}") as fresh:
            yield "a classic group begins", fresh.member().enter()
        yield "members in doubt", [member.beat() for member in members]
        follower.begin_to_sync()
        yield "an assignment in doubt", [leader.sync(leader, follower), follower.synced(), waiting.state()]
        yield "a consumer group", [band.join("b", topic), band.beat("a"), band.leave("a"), band.described()]
        fresh_band = Band(groups, f"fresh-band-{run}")
        yield "a new consumer group", [fresh_band.join("a", topic), fresh_band.described()]
        new = InitProducerIdRequest(transactional_id=f"new-{run}", transaction_timeout_ms=10_000)
        yield "transactions stay", [
            transactions.ask(new, 4).error_code, writer.add((topic, 0)), writer.add((topic, 1)),
            writer.add_offsets(lone), writer.end(version=4), writer.init()[1]["error_code"],
            writer.described().transaction_state, len(writer.described().topics[0].partitions), writer.mark(topic),
        ]  # fmt: skip

        settled(asker, TOPIC, TRANSACTIONS, (LEAST, SET, "2"))
        yield "markers wait", [writer.end(version=4), writer.described().transaction_state, writer.add((topic, 1))]
        side.start(out)
        side.await_in_sync(3, OFFSETS, TRANSACTIONS, topic)
        yield "markers are written", writer.state()
        for name in (OFFSETS, TRANSACTIONS):
            settled(asker, TOPIC, name, (LEAST, DELETE, None))
        yield "what was in doubt is there", [
            fetch(groups, group, {topic: [0]}) for group in (lone, staged, gone, spare, kept)
        ]  # fmt: skip
        yield "the consumer group goes on", [
            band.beat("a")["error_code"], [member["member_id"] for member in band.described()["members"]],
            fresh_band.described()["members"],
        ]  # fmt: skip


def test_too_few_replicas_in_sync(kafka_libs: Path) -> None:
    """Groups go on, but are told that it is in doubt, until the replicas are in sync again; transactions stay."""
    run = new_run()

    def connections(servers: str) -> dict[int, Asker]:
        return {number + 1: Asker(address, run) for number, address in enumerate(servers.split(","))}

    patience: dict[str, object] = {"offsets.commit.timeout.ms": 300}
    configs = patience | {"offsets.topic.num.partitions": 1, "transaction.state.log.num.partitions": 1}
    with KafkaCluster(3, patience) as kafka3, our_cluster(configs) as ours, ExitStack() as after:
        real = Side(
            run,
            connections(kafka3.bootstrap_servers),
            lambda number: kafka3.node(number).stop(),
            lambda number: kafka3.node(number).start(3),
        )
        embedded = Side(run, connections(ours.bootstrap_servers), ours.stop, ours.start)
        for side in (real, embedded):
            for node in side.nodes.values():
                after.callback(node.hang_up)
        turns = list(zip(story(real), story(embedded), strict=True))
    assert {turn: answer for _, (turn, answer) in turns} == {turn: expected for (turn, expected), _ in turns}
