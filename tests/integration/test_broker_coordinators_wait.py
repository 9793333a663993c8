"""Coordinators' answers wait until all replicas in sync have what was written, and nobody is told of it before."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from asking import Asker
from felice.broker import Broker
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from felice.wire.messages.consumer_protocol import ConsumerProtocolSubscription
from felice.wire.messages.delete_groups import DeleteGroupsRequest
from felice.wire.messages.describe_groups import DescribeGroupsRequest
from felice.wire.messages.end_txn import EndTxnRequest
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.messages.join_group import JoinGroupRequest
from felice.wire.messages.leave_group import LeaveGroupRequest
from felice.wire.messages.list_groups import ListGroupsRequest
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.offset_delete import OffsetDeleteRequest
from felice.wire.messages.offset_fetch import OffsetFetchRequest
from felice.wire.messages.sync_group import SyncGroupRequest
from felice.wire.messages.write_txn_markers import WriteTxnMarkersRequest
from felice.wire.schema import Request

GROUP, TOPIC, WRITER = "readers", "letters", "writer"
NOT_AVAILABLE = ErrorCode.COORDINATOR_NOT_AVAILABLE


class Stage:
    """Two nodes; one coordinates, and the other one's replica may lag."""

    def __init__(self, broker: Broker, pool: ThreadPoolExecutor) -> None:
        self.broker = broker
        self.pool = pool
        self.askers: list[Asker] = []
        self.coordinator = broker.coordinator(group=GROUP)
        broker.move_coordinator(self.coordinator, transactional_id=WRITER)

    def asker(self) -> Asker:
        """Return a new connection to the coordinator."""
        self.askers.append(Asker(self.broker.nodes[self.coordinator], "test"))
        return self.askers[-1]

    def ask(self, request: Request[Any], version: int) -> Any:
        """Ask, and return the answer."""
        return self.asker().ask(request, version)

    def begin(self, request: Request[Any], version: int) -> "Future[Any]":
        """Ask something that has to wait; return what gets the answer, when the broker has seen the request."""
        seen = len(self.broker.requests.of(request.api_name))
        answer = self.pool.submit(self.ask, request, version)
        self.broker.requests.wait_for(request.api_name, count=seen + 1)
        self.broker.clock.advance(0)  # behind which the request is handled
        assert not answer.done()
        return answer

    def lag(self, topic: str = "__consumer_offsets") -> None:
        """Let the other node's replica lag."""
        self.broker.pause_replica(topic, 0, 3 - self.coordinator)

    def catch_up(self, topic: str = "__consumer_offsets") -> None:
        """Let it have all."""
        self.broker.grow_isr(topic, 0, 3 - self.coordinator)

    @property
    def committed(self) -> int:
        """What the group is told that it committed."""
        topics = [OffsetFetchRequest.Topics(name=TOPIC, partition_indexes=[0])]
        request = OffsetFetchRequest(groups=[OffsetFetchRequest.Group(group_id=GROUP, topics=topics)])
        return int(self.ask(request, 8).groups[0].topics[0].partitions[0].committed_offset)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """Two nodes, and threads to wait in."""
    configs = {
        "offsets.topic.num.partitions": 1,
        "transaction.state.log.num.partitions": 1,
        "group.initial.rebalance.delay.ms": 0,
    }
    with Broker(nodes=2, topics={TOPIC: 1}, configs=configs) as broker, ThreadPoolExecutor(8) as pool:
        made = Stage(broker, pool)
        yield made
        for asker in made.askers:
            asker.hang_up()


def commit(offset: int) -> OffsetCommitRequest:
    """A commit from outside any generation."""
    partition = OffsetCommitRequest.Partition(partition_index=0, committed_offset=offset)
    return OffsetCommitRequest(
        group_id=GROUP,
        generation_id_or_member_epoch=-1,
        topics=[OffsetCommitRequest.Topic(name=TOPIC, partitions=[partition])],
    )


def code(answer: Any) -> int:
    """The code of a commit's answer."""
    return int(answer.topics[0].partitions[0].error_code)


ENDINGS: dict[str, tuple[Callable[[Stage], object], int, int]] = {
    "it catches up": (Stage.catch_up, 0, 2),
    "time is over": (lambda stage: stage.broker.clock.advance(5), NOT_AVAILABLE, 1),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_commit_waits_for_a_replica_that_lags(stage: Stage, ending: str) -> None:
    """Until it has caught up, or until `offsets.commit.timeout.ms` has passed; it is there, but nobody is told yet."""
    end, error, told = ENDINGS[ending]
    assert (code(stage.ask(commit(1), 8)), stage.committed) == (0, 1)
    stage.lag()
    waiting = stage.begin(commit(2), 8)
    assert stage.committed == 1
    end(stage)
    assert code(waiting.result(10)) == error
    assert stage.committed == told
    if error == NOT_AVAILABLE:
        stage.catch_up()
        assert stage.committed == 2


def test_what_is_refused_need_not_wait(stage: Stage) -> None:
    """Nor does what writes nothing while all is replicated."""
    stage.ask(commit(1), 8)
    stage.lag()
    assert stage.committed == 1
    wrong = commit(2)
    wrong.generation_id_or_member_epoch, wrong.member_id = 7, "nobody"
    assert code(stage.ask(wrong, 8)) == ErrorCode.UNKNOWN_MEMBER_ID
    delete = OffsetDeleteRequest(group_id=GROUP, topics=[OffsetDeleteRequest.Topic(name=TOPIC)])
    assert stage.ask(delete, 0).error_code == 0


def test_deleted_offsets_are_told_until_all_replicas_know(stage: Stage) -> None:
    """The answer to OffsetDelete waits for them."""
    stage.ask(commit(1), 8)
    stage.lag()
    partition = OffsetDeleteRequest.Partition(partition_index=0)
    delete = OffsetDeleteRequest(group_id=GROUP, topics=[OffsetDeleteRequest.Topic(name=TOPIC, partitions=[partition])])
    waiting = stage.begin(delete, 0)
    assert stage.committed == 1
    stage.catch_up()
    assert waiting.result(10).error_code == 0
    assert stage.committed == -1


@pytest.mark.parametrize("ending", ENDINGS)
def test_deleted_groups_are_told_until_all_replicas_know(stage: Stage, ending: str) -> None:
    """The answer to DeleteGroups waits for them; groups that were not deleted keep their own codes."""
    end, error, _ = ENDINGS[ending]
    stage.ask(commit(1), 8)
    stage.lag()
    waiting = stage.begin(DeleteGroupsRequest(groups_names=["nobody", GROUP]), 2)
    [described] = stage.ask(DescribeGroupsRequest(groups=[GROUP]), 6).groups
    assert (described.error_code, described.group_state) == (0, "Empty")
    assert [group.group_id for group in stage.ask(ListGroupsRequest(), 5).groups] == [GROUP]
    assert stage.committed == 1
    end(stage)
    codes = [(result.group_id, result.error_code) for result in waiting.result(10).results]
    assert codes == [("nobody", ErrorCode.GROUP_ID_NOT_FOUND), (GROUP, error)]
    stage.catch_up()
    assert stage.ask(ListGroupsRequest(), 5).groups == []
    assert stage.committed == -1


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_group_is_deleted_while_others_are_in_doubt(stage: Stage, ending: str) -> None:
    """What was written before has to be in sync first."""
    end, error, _ = ENDINGS[ending]
    stage.ask(commit(1), 8)
    stage.lag()
    writing = stage.begin(commit(2), 8)
    waiting = stage.begin(DeleteGroupsRequest(groups_names=[GROUP]), 2)
    end(stage)
    assert (code(writing.result(10)), waiting.result(10).results[0].error_code) == (error, error)
    stage.catch_up()
    assert stage.committed == (2 if error else -1)


def generation(stage: Stage) -> tuple[str, int]:
    """Have a lone member begin a generation; return its ID, and the generation's."""
    protocol = JoinGroupRequest.Protocol(name="range", metadata=ConsumerProtocolSubscription(topics=[TOPIC]).pack(0))
    request = JoinGroupRequest(
        group_id=GROUP,
        session_timeout_ms=30_000,
        rebalance_timeout_ms=30_000,
        protocol_type="consumer",
        protocols=[protocol],
    )
    answer = stage.ask(request, 3)
    return answer.member_id, answer.generation_id


def sync(member_id: str, number: int) -> SyncGroupRequest:
    """The leader's request, with its own assignment."""
    share = SyncGroupRequest.Assignment(member_id=member_id, assignment=b"share")
    return SyncGroupRequest(group_id=GROUP, generation_id=number, member_id=member_id, assignments=[share])


@pytest.mark.parametrize("in_time", [True, False])
def test_an_assignment_is_told_when_all_replicas_have_it(stage: Stage, in_time: bool) -> None:
    """A heartbeat too waits for what was written before it; if they have it too late, all join anew."""
    member_id, number = generation(stage)
    stage.lag()
    beat = HeartbeatRequest(group_id=GROUP, generation_id=number, member_id=member_id)
    assert stage.ask(beat, 4).error_code == 0
    waiting = [stage.begin(sync(member_id, number), 4), stage.begin(beat, 4)]
    if in_time:
        stage.catch_up()
    else:
        stage.broker.clock.advance(5)
    synced, heard = (one.result(10) for one in waiting)
    if in_time:
        assert (bytes(synced.assignment), synced.error_code, heard.error_code) == (b"share", 0, 0)
    else:
        assert (bytes(synced.assignment), synced.error_code, heard.error_code) == (b"", NOT_AVAILABLE, NOT_AVAILABLE)
    assert stage.broker.groups[GROUP].state == ("Stable" if in_time else "PreparingRebalance")


def test_members_that_leave_hear_it_when_all_replicas_know(stage: Stage) -> None:
    """The group's last record says that nobody is left."""
    member_id, number = generation(stage)
    stage.ask(sync(member_id, number), 4)
    stage.lag()
    leaving = [LeaveGroupRequest.MemberIdentity(member_id=member_id)]
    waiting = stage.begin(LeaveGroupRequest(group_id=GROUP, members=leaving), 4)
    stage.catch_up()
    assert waiting.result(10).members[0].error_code == 0


def test_a_member_of_a_consumer_group_waits_too(stage: Stage) -> None:
    """ConsumerGroupDescribe tells what all replicas have."""
    join = ConsumerGroupHeartbeatRequest(
        group_id=GROUP,
        member_id="a",
        member_epoch=0,
        rebalance_timeout_ms=30_000,
        subscribed_topic_names=[TOPIC],
        topic_partitions=[],
    )
    stage.lag()
    waiting = stage.begin(join, 1)
    describe = ConsumerGroupDescribeRequest(group_ids=[GROUP])
    assert stage.ask(describe, 1).groups[0].error_code == ErrorCode.GROUP_ID_NOT_FOUND
    stage.catch_up()
    assert waiting.result(10).member_epoch == 2
    assert [member.member_id for member in stage.ask(describe, 1).groups[0].members] == ["a"]
    stage.lag()
    leave = ConsumerGroupHeartbeatRequest(group_id=GROUP, member_id="a", member_epoch=-1)
    waiting = stage.begin(leave, 1)
    stage.broker.clock.advance(5)
    late = waiting.result(10)
    assert (late.error_code, late.error_message) == (NOT_AVAILABLE, None)


def marker() -> WriteTxnMarkersRequest:
    """A marker from outside."""
    made = WriteTxnMarkersRequest.WritableTxnMarker(
        producer_id=7,
        producer_epoch=0,
        transaction_result=True,
        topics=[WriteTxnMarkersRequest.WritableTxnMarkerTopic(name=TOPIC, partition_indexes=[0])],
        coordinator_epoch=0,
    )
    return WriteTxnMarkersRequest(markers=[made])


def marker_code(answer: Any) -> int:
    """The code of its answer."""
    return int(answer.markers[0].topics[0].partitions[0].error_code)


def test_a_marker_waits_for_a_replica_that_lags(stage: Stage) -> None:
    """Until all in sync have it."""
    broker = stage.broker
    leader = broker.leader(TOPIC, 0)
    with Asker(broker.nodes[leader], "test") as asker:
        broker.pause_replica(TOPIC, 0, 3 - leader)
        waiting = stage.pool.submit(asker.ask, marker(), 1)
        broker.wait_until(lambda: broker.offsets(TOPIC, 0) == (0, 1))
        assert not waiting.done()
        broker.grow_isr(TOPIC, 0, 3 - leader)
        assert marker_code(waiting.result(10)) == 0


def test_a_marker_needs_enough_replicas_in_sync() -> None:
    """As whatever is written with acks=all; nothing is appended where they are too few."""
    with Broker(nodes=2, topics={TOPIC: 1}, configs={"min.insync.replicas": 2}) as broker:
        leader = broker.leader(TOPIC, 0)
        with Asker(broker.nodes[leader], "test") as asker:

            def written() -> int:
                return marker_code(asker.ask(marker(), 1))

            broker.shrink_isr(TOPIC, 0, 3 - leader)
            assert (written(), broker.offsets(TOPIC, 0)) == (ErrorCode.NOT_ENOUGH_REPLICAS, (0, 0))
            broker.grow_isr(TOPIC, 0, 3 - leader)
            assert (written(), broker.offsets(TOPIC, 0)) == (0, (0, 1))


def test_a_transaction_waits_for_as_long_as_it_may_take(stage: Stage) -> None:
    """Its coordinator gives the replicas its timeout."""
    topic = "__transaction_state"
    stage.ask(InitProducerIdRequest(transactional_id=WRITER, transaction_timeout_ms=20_000), 4)
    stage.lag(topic)
    again = stage.begin(InitProducerIdRequest(transactional_id=WRITER, transaction_timeout_ms=10_000), 4)
    stage.catch_up(topic)
    given = again.result(10)
    assert (given.error_code, given.producer_epoch) == (0, 1)
    stage.lag(topic)
    end = EndTxnRequest(
        transactional_id=WRITER, producer_id=given.producer_id, producer_epoch=given.producer_epoch, committed=False
    )
    ending = stage.begin(end, 5)
    stage.broker.clock.advance(9)
    assert not ending.done()
    stage.broker.clock.advance(1)
    assert ending.result(10).error_code == NOT_AVAILABLE
    assert stage.broker.transactions[WRITER].state == "PrepareAbort"
    stage.catch_up(topic)
    assert stage.broker.transactions[WRITER].state == "CompleteAbort"
