"""Questions to three nodes of real Kafka and to three of the embedded broker: what those answer that do not lead."""

import base64
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

import pytest
from cluster import RACK_AWARE, RACKS, KafkaCluster
from questions.asked import eventually
from questions.fetch import fetch
from questions.offsets import list_offsets
from questions.share_offsets import Ledger
from questions.share_store import NOT_YET, Store
from questions.writer import Writer, codes, producers

from asking import PATIENCE, Asker, batch, comparable, new_run
from felice.broker import Broker
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.delete_records import DeleteRecordsRequest
from felice.wire.messages.describe_configs import DescribeConfigsRequest
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.list_transactions import ListTransactionsRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from felice.wire.messages.share_acknowledge import ShareAcknowledgeRequest
from felice.wire.messages.share_fetch import ShareFetchRequest

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


def our_cluster(more: Mapping[str, object] = MappingProxyType({})) -> Broker:
    """An embedded cluster that is configured like the real one."""
    configs = {"replica.selector.class": RACK_AWARE, "min.insync.replicas": 2, **more}
    return Broker(nodes=3, racks=RACKS, auto_create=False, configs=configs)


@pytest.fixture(scope="module")
def answers(kafka3: KafkaCluster) -> Iterator[Callable[[str], list[Any]]]:
    """Asks a question by its name of both clusters."""
    run = new_run()
    with our_cluster() as ours:
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
def share_fetch_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Who does not lead hands nothing out, and says at once who does; of what it does not hand out nobody has any."""
    found = []
    for number in (1, 3):
        for version in (1, 2):
            member = f"{number}-{version}"
            named = [
                ShareFetchRequest.FetchTopic(
                    topic_id=nodes[1].topic_ids[name], partitions=[ShareFetchRequest.FetchPartition(partition_index=0)]
                )
                for name in topics.values()
            ]
            for epoch, fetched in ((0, named), (1, [])):
                request = ShareFetchRequest(
                    group_id="sharers", member_id=member, share_session_epoch=epoch, max_wait_ms=5000, min_bytes=1,
                    max_records=10, batch_size=10, topics=fetched,
                )  # fmt: skip
                found.append(told_of_shares(nodes[number].ask(request, version)))
            said = ShareAcknowledgeRequest.AcknowledgementBatch(first_offset=0, last_offset=0, acknowledge_types=[1])
            partition = ShareAcknowledgeRequest.AcknowledgePartition(partition_index=0, acknowledgement_batches=[said])
            asked = [
                ShareAcknowledgeRequest.AcknowledgeTopic(topic_id=topic.topic_id, partitions=[partition])
                for topic in named
            ]
            request = ShareAcknowledgeRequest(group_id="sharers", member_id=member, share_session_epoch=2, topics=asked)
            found.append(told_of_shares(nodes[number].ask(request, version)))
    return found


def told_of_shares(answer: Any) -> Any:
    """Return an answer to a member of a share group, whose topics come in any order."""
    found = comparable(answer)
    found["responses"] = sorted(found["responses"], key=str)
    return found


@question
def share_groups_asked_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Only coordinators have a group's state and all of where it stands; of topics that are named every node tells."""
    topic = topics["alone"]
    group, topic_id = f"{topic}-sharers", nodes[1].topic_ids[topic]
    key = f"{group}:{base64.urlsafe_b64encode(topic_id).decode().rstrip('=')}:0"
    stores = [Store(node, topic_id, group) for node in in_turn(nodes, 2, key)]
    ledgers = [Ledger(node, group) for node in in_turn(nodes, 0, group)]
    eventually(lambda: stores[0].code(stores[0].read()) not in NOT_YET)
    eventually(lambda: ledgers[0].described()["groups"][0]["error_code"] not in NOT_YET)
    answers = [
        [store.initialize(), store.read(), store.summary(), store.write(), store.delete()]
        for store in reversed(stores[:2])
    ]
    answers += [
        [ledger.described(), ledger.alter({topic: {0: 1}}), ledger.delete(topic)] for ledger in reversed(ledgers[:2])
    ]
    ledgers[0].alter({topic: {0: 1}})
    return [*answers, [ledger.described({topic: [0]}) for ledger in ledgers]]


def in_turn(nodes: Nodes, key_type: int, key: str) -> list[Asker]:
    """Return all nodes, the coordinator first."""
    found: list[int] = []

    def known() -> bool:
        request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=[key])
        found[:] = [one.node_id for one in nodes[1].ask(request, 6).coordinators if one.error_code == 0]
        return bool(found)

    eventually(known)
    return [nodes[found[0]], *(node for number, node in nodes.items() if number != found[0])]


@question
def fetch_with_a_rack(nodes: Nodes, topics: dict[str, str]) -> Any:
    """The leader names the replica in the reader's rack, at once, and gives no records."""
    return [
        comparable(fetch(nodes[2], topics["shared"], (0, offset), version=version, rack_id=rack, max_wait_ms=wait))
        for version in (10, 11, 12, 18)
        for rack in ("", *RACKS, "elsewhere")
        for offset, wait in ((0, 0), (1, 10), (2, 0))
    ]


@question
def fetch_with_a_rack_and_epochs(nodes: Nodes, topics: dict[str, str]) -> Any:
    """A wrong leader epoch is refused before; what was read last does not matter to who only sends elsewhere."""
    return [
        comparable(
            fetch(nodes[node], topics["shared"], (0, offset), rack_id="west", epoch=epoch, last_epoch=last, **how)
        )
        for node in (2, 3)
        for epoch in (-1, 0, 5)
        for last in (-1, 0, 5)
        for offset in (0, 1, 2, 99)
        for how in ({}, {"isolation_level": 1})
    ]


@question
def fetch_with_a_rack_in_a_session(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Whom to ask instead is news each time."""
    first = fetch(nodes[2], topics["shared"], (0, 0), rack_id="west", session_epoch=0)
    again = [
        nodes[2].ask(
            FetchRequest(
                max_wait_ms=10, min_bytes=1, rack_id=rack, session_id=first.session_id, session_epoch=epoch, topics=[]
            ),
            12,
        )
        for epoch, rack in ((1, "west"), (2, "west"), (3, "south"), (4, "west"))
    ]
    return comparable([first, *again])


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


def coordinated(nodes: Nodes) -> tuple[Writer, Asker]:
    """A transactional producer at its coordinator, and a node that does not coordinate it."""
    transactional_id = f"tx-{new_run()}"
    request = FindCoordinatorRequest(coordinator_keys=[transactional_id], key_type=1)
    eventually(lambda: not nodes[1].ask(request, 4).coordinators[0].error_code)
    coordinator = nodes[1].ask(request, 4).coordinators[0].node_id
    return Writer(nodes[coordinator], transactional_id), nodes[coordinator % len(nodes) + 1]


@question
def transactions_asked_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """A node that does not coordinate a transactional ID refuses, and lists nothing of it."""
    writer, other = coordinated(nodes)
    name, coordinator = topics["shared"], writer.asker
    opened = writer.add((name, 0))
    writer.asker = other
    answers = [
        *(writer.init(version) for version in range(6)),
        *(writer.add((name, 0), version=version) for version in range(4)),
        *(writer.add_offsets("group", version) for version in range(5)),
        *(writer.end(True, version) for version in range(6)),
        writer.described().error_code,
    ]
    listed = [
        [
            (state.transaction_state, state.transactional_id == writer.id)
            for state in node.ask(ListTransactionsRequest(transactional_id_pattern=writer.id), 2).transaction_states
        ]
        for node in (coordinator, other)
    ]
    writer.asker = coordinator
    return [opened, answers, listed, writer.done(False), writer.state()]


@question
def transactions_over_nodes(nodes: Nodes, topics: dict[str, str]) -> Any:
    """A partition's leader asks the coordinator, on whichever node that is; markers come from there."""
    writer, _ = coordinated(nodes)
    name, coordinator = topics["shared"], writer.asker
    answers = []
    for commit in (True, False):
        writer.asker = nodes[2]
        written = codes(writer.write(name, 0))
        answers += [written[0], producers(nodes[2], name)[0][2][-1][3:4]]
        writer.asker = coordinator
        answers += [writer.done(commit), writer.state()]
    return [*answers, producers(nodes[2], name)[0][2][-1][:4]]


@question
def producers_elsewhere(nodes: Nodes, topics: dict[str, str]) -> Any:
    """Who has no replica tells nothing of a partition's producers, and only who leads it writes markers."""
    writer, _ = coordinated(nodes)
    eventually(lambda: producers(nodes[3], topics["shared"]) == producers(nodes[2], topics["shared"]))
    answers = []
    for node in (1, 3):
        for name in topics.values():
            writer.asker = nodes[node]
            answers += [producers(nodes[node], name), writer.mark(name), codes(writer.write(name, 0))]
    return answers


@pytest.mark.parametrize("name", QUESTIONS)
def test_same_answer_in_a_cluster(name: str, answers: Callable[[str], list[Any]]) -> None:
    """Three nodes of real Kafka and three of the embedded broker give the same answers."""
    expected, answer = answers(name)
    assert answer == expected, QUESTIONS[name].__doc__
