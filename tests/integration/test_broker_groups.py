"""Classic groups over sockets: as other people's clients see them, and what happens when nodes or clients fail."""

import asyncio
import gc
import socket
import struct
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from asking import Asker, batch, comparable
from felice.broker import Broker
from felice.errors import ErrorCode
from felice.wire.frames import encode_request
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.join_group import JoinGroupRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from plain_produce import produce

pytestmark = pytest.mark.filterwarnings(r"ignore:\w+_text is deprecated")  # kafka-python, when it is imported

TOPIC, GROUP = "letters", "readers"
PARTITIONS = 6
WISHES = ConsumerProtocolSubscription(topics=[TOPIC]).pack(0)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with a topic."""
    with Broker({TOPIC: PARTITIONS}, configs={"group.min.session.timeout.ms": 1000}) as made:
        yield made
    with warnings.catch_warnings():  # kafka-python forgets to close sockets that connect while it is closed
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def fill(broker: Broker, number: int = 5) -> None:
    """Write some records into each partition."""
    produce(broker, TOPIC, [(index, batch(*[b"letter"] * number)) for index in range(PARTITIONS)])


def owners(broker: Broker) -> set[str]:
    """Return who has partitions, once all of them are had by somebody in a stable group."""
    group = broker.groups[GROUP]
    had = group.owners()
    return set(had.values()) if group.state == "Stable" and len(had) == PARTITIONS else set()


def all_committed(broker: Broker, offset: int) -> bool:
    """Tell whether this is committed of all partitions."""
    offsets = broker.groups[GROUP].offsets
    return [offsets[TOPIC, index].offset for index in range(PARTITIONS) if (TOPIC, index) in offsets] == (
        [offset] * PARTITIONS
    )


# --- clients ---


@contextmanager
def confluent(broker: Broker, **settings: Any) -> Iterator[Any]:
    """A consumer of confluent-kafka in the group, polled by a thread of its own."""
    from confluent_kafka import Consumer

    consumer = Consumer(
        {
            "bootstrap.servers": broker.bootstrap_servers,
            "group.id": GROUP,
            "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 50,
            "heartbeat.interval.ms": 100,
            "log_level": 3,
            **settings,
        }
    )
    consumer.subscribe([TOPIC])
    with polled(lambda: consumer.consume(100, 0.05), consumer.close):
        yield consumer


@contextmanager
def kafka_python(broker: Broker, **settings: Any) -> Iterator[Any]:
    """A consumer of kafka-python in the group, polled by a thread of its own."""
    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        TOPIC,
        bootstrap_servers=broker.bootstrap_servers,
        group_id=GROUP,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=50,
        heartbeat_interval_ms=100,
        **settings,
    )
    consumer.partitions_for_topic(TOPIC)  # a leader that does not know the topic yet assigns nothing
    with polled(lambda: consumer.poll(50), consumer.close):
        yield consumer


@contextmanager
def aiokafka(broker: Broker, **settings: Any) -> Iterator[Any]:
    """A consumer of aiokafka in the group, on a loop of its own."""
    from aiokafka import AIOKafkaConsumer
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor

    ended = threading.Event()

    async def read() -> None:
        consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=broker.bootstrap_servers,
            group_id=GROUP,
            auto_offset_reset="earliest",
            auto_commit_interval_ms=50,
            heartbeat_interval_ms=100,
            partition_assignment_strategy=(RangePartitionAssignor,),
            **settings,
        )
        async with consumer:
            while not ended.is_set():
                await consumer.getmany(timeout_ms=50)

    thread = threading.Thread(target=asyncio.run, args=(read(),))
    thread.start()
    try:
        yield None
    finally:
        ended.set()
        thread.join()


@contextmanager
def polled(poll: Callable[[], object], close: Callable[[], object]) -> Iterator[None]:
    """Poll in a thread, and close at the end."""
    ended = threading.Event()

    def run() -> None:
        while not ended.is_set():
            poll()
        close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


CLIENTS = {"confluent-kafka": confluent, "kafka-python": kafka_python, "aiokafka": aiokafka}


@pytest.mark.parametrize("client", CLIENTS)
def test_three_members_share_partitions_and_commit_what_they_read(client: str, broker: Broker):
    join = CLIENTS[client]
    fill(broker)
    with join(broker), join(broker):
        with join(broker):
            broker.wait_until(lambda: len(owners(broker)) == 3, 20)
            broker.wait_until(lambda: all_committed(broker, 5), 20)
        broker.wait_until(lambda: len(owners(broker)) == 2, 20)
        fill(broker)
        broker.wait_until(lambda: all_committed(broker, 10), 20)
    broker.wait_until(lambda: broker.groups[GROUP].state == "Empty")
    assert broker.groups[GROUP].members == ()
    fill(broker, 3)
    assert broker.lag(GROUP) == {(TOPIC, index): 3 for index in range(PARTITIONS)}
    with pytest.raises(KeyError, match="nobody"):
        broker.lag("nobody")


def test_members_of_different_clients_are_in_one_group(broker: Broker):
    fill(broker)
    with confluent(broker, **{"partition.assignment.strategy": "range"}), kafka_python(broker), aiokafka(broker):
        broker.wait_until(lambda: len(owners(broker)) == 3, 20)
        broker.wait_until(lambda: all_committed(broker, 5), 20)


def test_cooperative_members_keep_what_they_have_when_another_joins(broker: Broker):
    fill(broker)
    sticky = {"partition.assignment.strategy": "cooperative-sticky"}
    with confluent(broker, **sticky):
        broker.wait_until(lambda: len(owners(broker)) == 1, 20)
        first = owners(broker)
        with confluent(broker, **sticky):
            broker.wait_until(lambda: len(owners(broker)) == 2, 20)
            assert first <= owners(broker)
            broker.wait_until(lambda: all_committed(broker, 5), 20)


@pytest.mark.parametrize("client", ["confluent-kafka", "aiokafka"])
def test_a_static_member_that_starts_again_makes_no_new_generation(client: str, broker: Broker):
    join = CLIENTS[client]
    name = "group.instance.id" if client == "confluent-kafka" else "group_instance_id"
    fill(broker)
    with join(broker, **{name: "a"}):
        with join(broker, **{name: "b"}):
            broker.wait_until(lambda: len(owners(broker)) == 2, 20)
            before = broker.groups[GROUP]
        assert {member.instance_id for member in broker.groups[GROUP].members} == {"a", "b"}
        with join(broker, **{name: "b"}):
            broker.wait_until(lambda: len(owners(broker) - set(before.owners().values())) == 1, 20)
            assert broker.groups[GROUP].epoch == before.epoch
            assert len(broker.groups[GROUP].members) == 2


def test_members_go_on_when_the_coordinator_moves():
    with Broker({TOPIC: PARTITIONS}, nodes=3) as broker:
        fill(broker)
        with confluent(broker), aiokafka(broker):
            broker.wait_until(lambda: len(owners(broker)) == 2, 20)
            broker.stop(broker.coordinator(group=GROUP))
            fill(broker)
            broker.wait_until(lambda: all_committed(broker, 10), 30)


# --- admins ---


def test_admins_see_and_change_groups_and_offsets(broker: Broker):
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka.admin import AdminClient

    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 3})
    fill(broker)
    with confluent(broker):
        broker.wait_until(lambda: all_committed(broker, 5), 20)
        listed = admin.list_consumer_groups().result().valid
        assert [(found.group_id, found.state.name, found.type.name) for found in listed] == [
            (GROUP, "STABLE", "CLASSIC")
        ]
        described = admin.describe_consumer_groups([GROUP])[GROUP].result()
        assert described.partition_assignor == "range"
        assert len(described.members[0].assignment.topic_partitions) == PARTITIONS
    broker.wait_until(lambda: broker.groups[GROUP].state == "Empty")
    wanted = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(TOPIC, 0, 2)])
    admin.alter_consumer_group_offsets([wanted])[GROUP].result()
    asked = ConsumerGroupTopicPartitions(GROUP, [TopicPartition(TOPIC, 0), TopicPartition(TOPIC, 1)])
    found = admin.list_consumer_group_offsets([asked])[GROUP].result()
    assert [partition.offset for partition in found.topic_partitions] == [2, 5]
    admin.delete_consumer_groups([GROUP])[GROUP].result()
    assert GROUP not in broker.groups


def test_kafka_pythons_admin_sees_groups_too(broker: Broker):
    from kafka import KafkaAdminClient

    fill(broker)
    with kafka_python(broker):
        broker.wait_until(lambda: all_committed(broker, 5), 20)
        with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)) as admin:
            described = admin.describe_groups([GROUP])
            assert "Stable" in str(described)
            assert "5" in str(admin.list_group_offsets([GROUP]))


def test_a_consumer_can_read_the_offsets_topic(broker: Broker):
    from confluent_kafka import Consumer, TopicPartition

    with Asker(broker.bootstrap_servers, "x") as asker:
        commit(asker, 7)
    index = broker.groups[GROUP].offsets[TOPIC, 0].position
    assert index == 0
    consumer = Consumer({"bootstrap.servers": broker.bootstrap_servers, "group.id": "other", "log_level": 3})
    with closing(consumer):
        everywhere = [TopicPartition("__consumer_offsets", number, 0) for number in range(50)]
        consumer.assign(everywhere)
        message = consumer.poll(10)
        assert message.key() == struct.pack(">hh7sh7si", 1, 7, GROUP.encode(), 7, TOPIC.encode(), 0)
        assert message.value()[:14] == struct.pack(">hqi", 4, 7, -1)


# --- single requests ---


def join_request(member_id: str = "", *, group: str = GROUP) -> JoinGroupRequest:
    """Return the request of a member."""
    return JoinGroupRequest(
        group_id=group,
        session_timeout_ms=10_000,
        rebalance_timeout_ms=60_000,
        member_id=member_id,
        protocol_type="consumer",
        protocols=[JoinGroupRequest.Protocol(name="range", metadata=WISHES)],
    )


def commit(asker: Asker, offset: int) -> int:
    """Commit as nobody in particular, and return the code."""
    asked = OffsetCommitRequest.Partition(partition_index=0, committed_offset=offset, committed_metadata="")
    topic = OffsetCommitRequest.Topic(name=TOPIC, partitions=[asked])
    answer = asker.ask(OffsetCommitRequest(group_id=GROUP, topics=[topic]), 8)
    return int(answer.topics[0].partitions[0].error_code)


def committed(asker: Asker) -> Any:
    """Return what is committed, as an answer."""
    topic = OffsetFetchRequest.Topics(name=TOPIC, partition_indexes=[0])
    return comparable(
        asker.ask(OffsetFetchRequest(groups=[OffsetFetchRequest.Group(group_id=GROUP, topics=[topic])]), 8)
    )


@pytest.fixture
def askers(broker: Broker) -> Iterator[list[Asker]]:
    """Three connections."""
    made = [Asker(broker.bootstrap_servers, "x") for _ in range(3)]
    yield made
    for asker in made:
        asker.hang_up()


def test_three_members_are_a_group_within_50_ms_of_the_last_ones_request(broker: Broker, askers: list[Asker]):
    def attempt(group: str) -> float:
        """Return how long it takes, from the last one's request to the last one's assignment."""
        ids = [askers[0].ask(join_request(group=group), 3).member_id]
        askers[0].ask(SyncGroupRequest(group_id=group, generation_id=1, member_id=ids[0]), 3)
        for asker in askers[1:]:
            ids.append(asker.ask(join_request(group=group), 4).member_id)
        for asker, member_id in zip(askers[:2], ids, strict=False):
            asker.begin(join_request(member_id, group=group), 3)
        broker.wait_until(lambda: len(broker.groups[group].members) == 2)
        start = time.perf_counter()
        askers[2].begin(join_request(ids[2], group=group), 3)
        joined = [asker.finish(JoinGroupRequest, 3) for asker in askers]
        for asker, answer in zip(askers, joined, strict=True):
            shares = [SyncGroupRequest.Assignment(member_id=name, assignment=b"x") for name in ids]
            asker.begin(
                SyncGroupRequest(
                    group_id=group,
                    generation_id=answer.generation_id,
                    member_id=answer.member_id,
                    assignments=shares if answer.members else [],
                ),
                3,
            )
        shares = [asker.finish(SyncGroupRequest, 3).assignment for asker in askers]
        assert shares == [b"x"] * 3
        return time.perf_counter() - start

    assert min(attempt(f"group {number}") for number in range(5)) < 0.05


def test_a_client_that_hangs_up_while_it_waits_is_a_member_until_the_rebalance_is_over(
    broker: Broker, askers: list[Asker]
):
    first = askers[0].ask(join_request(), 3)
    askers[1].begin(join_request(), 3)
    broker.wait_until(lambda: len(broker.groups[GROUP].members) == 2)
    askers[1].hang_up()
    answer = askers[0].ask(join_request(first.member_id), 3)
    assert len(answer.members) == 2
    assert broker.groups[GROUP].state == "CompletingRebalance"
    broker.clock.advance(10)
    assert broker.groups[GROUP].members == ()


def test_members_that_are_silent_are_lost_as_the_brokers_clock_is_advanced(broker: Broker, askers: list[Asker]):
    answer = askers[0].ask(join_request(), 3)
    request = SyncGroupRequest(group_id=GROUP, generation_id=1, member_id=answer.member_id)
    assert askers[0].ask(request, 3).error_code == 0
    beat = HeartbeatRequest(group_id=GROUP, generation_id=1, member_id=answer.member_id)
    for _ in range(3):
        broker.clock.advance(9)
        assert askers[0].ask(beat, 3).error_code == 0
    broker.clock.advance(10)
    assert askers[0].ask(beat, 3).error_code == 25
    assert broker.groups[GROUP].state == "Empty"


def test_offsets_expire_as_the_brokers_clock_is_advanced(broker: Broker, askers: list[Asker]):
    assert commit(askers[0], 7) == 0
    broker.clock.advance(6 * 24 * 3600)
    assert committed(askers[0])["groups"][0]["topics"][0]["partitions"][0]["committed_offset"] == 7
    broker.clock.advance(24 * 3600 + 600)
    assert committed(askers[0])["groups"][0]["topics"][0]["partitions"][0]["committed_offset"] == -1
    assert GROUP not in broker.groups


def test_only_the_coordinator_answers():
    with Broker({TOPIC: 1}, nodes=2) as broker:
        here = broker.coordinator(group=GROUP)
        addresses = broker.nodes
        with Asker(addresses[3 - here], "x") as wrong, Asker(addresses[here], "x") as right:
            assert commit(wrong, 1) == 16
            assert commit(right, 1) == 0
            assert committed(wrong)["groups"][0]["error_code"] == 16
            assert wrong.ask(join_request(), 3).error_code == 16
            assert wrong.ask(join_request("x"), 3).member_id == "x"
            right.ask(join_request(), 3)
            right.begin(join_request(), 3)
            broker.wait_until(lambda: len(broker.groups[GROUP].members) == 2)
            broker.move_coordinator(3 - here, group=GROUP)
            assert right.finish(JoinGroupRequest, 3).error_code == 16
            assert committed(wrong)["groups"][0]["topics"][0]["partitions"][0]["committed_offset"] == 1


def test_many_requests_at_once_on_one_connection_wait_for_a_join_before_them(broker: Broker, askers: list[Asker]):
    askers[0].ask(join_request(), 3)
    frames = b"".join(
        b"".join(encode_request(request, 3, number, "x"))
        for number, request in enumerate((join_request(), HeartbeatRequest(group_id=GROUP, member_id="x")))
    )
    host, port = broker.bootstrap_servers.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as sock:
        sock.sendall(frames)
        broker.wait_until(lambda: len(broker.groups[GROUP].members) == 2)
        broker.clock.advance(60)
        size, correlation = struct.unpack(">ii", sock.recv(8, socket.MSG_WAITALL))
        assert correlation == 0
        sock.recv(size - 4, socket.MSG_WAITALL)
        assert struct.unpack(">ii", sock.recv(8, socket.MSG_WAITALL))[1] == 1


def test_error_faults_strike_groups_before_anything_is_checked(broker: Broker, askers: list[Asker]):
    code = ErrorCode.COORDINATOR_LOAD_IN_PROGRESS
    for api in ("JoinGroup", "SyncGroup", "Heartbeat", "OffsetCommit", "OffsetFetch"):
        broker.faults.error(code, api)
    nameless = JoinGroupRequest(group_id="", session_timeout_ms=1, protocol_type="", protocols=[])
    assert askers[0].ask(nameless, 3).error_code == code
    assert askers[0].ask(SyncGroupRequest(group_id="", protocol_type=None), 5).error_code == code
    assert askers[0].ask(HeartbeatRequest(group_id=""), 3).error_code == code
    missing = OffsetCommitRequest.Topic(name="nothing", partitions=[OffsetCommitRequest.Partition()])
    answer = askers[0].ask(OffsetCommitRequest(group_id=GROUP, topics=[missing]), 8)
    assert answer.topics[0].partitions[0].error_code == code
    assert committed(askers[0])["groups"][0]["error_code"] == code
    assert GROUP not in broker.groups


def test_an_error_fault_for_one_partition_leaves_commits_of_the_others_alone(broker: Broker, askers: list[Asker]):
    broker.faults.error(ErrorCode.REQUEST_TIMED_OUT, "OffsetCommit", topic=TOPIC, partition=1)
    both = [OffsetCommitRequest.Partition(partition_index=index, committed_offset=3) for index in (0, 1)]
    topic = OffsetCommitRequest.Topic(name=TOPIC, partitions=both)
    answer = askers[0].ask(OffsetCommitRequest(group_id=GROUP, topics=[topic]), 8)
    codes = {partition.partition_index: partition.error_code for partition in answer.topics[0].partitions}
    assert codes == {0: 0, 1: ErrorCode.REQUEST_TIMED_OUT}
    assert set(broker.groups[GROUP].offsets) == {(TOPIC, 0)}
