"""Groups that change their kind, and those that may not: the policy, limits, and requests that are refused."""

import asyncio
from collections.abc import Iterator

import pytest

from felice.broker.cluster import Cluster
from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.consumer_heartbeat import heartbeat
from felice.broker.groups.group import Claim, Group
from felice.broker.groups.joining import Applicant
from felice.broker.groups.offsets import Committed
from felice.broker.groups.waiting import WaitingJoin, WaitingSync
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_heartbeat import ConsumerGroupHeartbeatRequest
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from felice.wire.messages.join_group import JoinGroupResponse
from virtual_cluster import virtual_cluster

GROUP, TOPIC = "readers", "letters"
ALL_OF_IT = ConsumerProtocolAssignment(
    assigned_partitions=[ConsumerProtocolAssignment.TopicPartition(topic=TOPIC, partitions=[0, 1])]
)


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop to make futures of; it need not run."""
    made = asyncio.new_event_loop()
    yield made
    made.close()


def made(**settings: object) -> Cluster:
    """A cluster with a topic of two partitions."""
    cluster = virtual_cluster(group_consumer_assignment_interval_ms=0, **settings)
    cluster.create_topic(cluster.plan_topic(TOPIC, 2))
    return cluster


def classic_join(cluster: Cluster, loop: asyncio.AbstractEventLoop) -> JoinGroupResponse:
    """Have a member of the classic protocol join."""
    waiting = WaitingJoin(loop.create_future(), 3)
    subscription = ConsumerProtocolSubscription(topics=[TOPIC]).pack(1)
    applicant = Applicant("", None, "old", "/here", 10_000, 20_000, "consumer", {"range": subscription})
    cluster.groups.for_join(GROUP, create=True).join(applicant, waiting)
    answer: JoinGroupResponse = waiting.future.result()
    return answer


def classic_group(cluster: Cluster, loop: asyncio.AbstractEventLoop, assignment: bytes | None = None) -> str:
    """Have a stable group with one member of the classic protocol; return its ID."""
    answer = classic_join(cluster, loop)
    claim = Claim(answer.member_id, None, answer.generation_id)
    shares = {answer.member_id: ALL_OF_IT.pack(1) if assignment is None else assignment}
    group(cluster).sync(claim, ("consumer", "range"), shares, WaitingSync(loop.create_future()))
    return answer.member_id


def join(cluster: Cluster, name: str = "new", **fields: object) -> int:
    """Have a member of the consumer protocol join; return its epoch."""
    request = ConsumerGroupHeartbeatRequest(
        group_id=GROUP, member_id=name, rebalance_timeout_ms=1000, subscribed_topic_names=[TOPIC], topic_partitions=[]
    )
    for field, value in fields.items():
        setattr(request, field, value)
    return heartbeat(cluster.groups, request, name, "/here").member_epoch


def leave(cluster: Cluster, name: str = "new") -> None:
    """Have it leave."""
    request = ConsumerGroupHeartbeatRequest(group_id=GROUP, member_id=name, member_epoch=-1)
    heartbeat(cluster.groups, request, name, "/here")


def group(cluster: Cluster) -> Group:
    """The group."""
    found = cluster.groups.find(GROUP)
    assert found is not None
    return found


@pytest.mark.parametrize("policy", ["disabled", "downgrade"])
def test_a_policy_may_keep_classic_groups_with_members_as_they_are(loop: asyncio.AbstractEventLoop, policy: str):
    cluster = made(group_consumer_migration_policy=policy)
    classic_group(cluster, loop)
    with pytest.raises(Refused) as refused:
        join(cluster)
    assert (refused.value.code, group(cluster).kind) == (ErrorCode.GROUP_ID_NOT_FOUND, "classic")


@pytest.mark.parametrize("policy", ["disabled", "downgrade", "upgrade", "bidirectional"])
def test_every_policy_lets_empty_groups_change(loop: asyncio.AbstractEventLoop, policy: str):
    cluster = made(group_consumer_migration_policy=policy)
    join(cluster)
    leave(cluster)
    member_id = classic_group(cluster, loop)
    assert group(cluster).kind == "classic"
    group(cluster).leave([(member_id, None)])
    join(cluster)
    assert group(cluster).kind == "consumer"


@pytest.mark.parametrize(("policy", "kind"), [("upgrade", "consumer"), ("bidirectional", "classic")])
def test_the_policy_says_what_is_left_when_the_last_new_member_goes(
    loop: asyncio.AbstractEventLoop, policy: str, kind: str
):
    cluster = made(group_consumer_migration_policy=policy)
    classic_group(cluster, loop)
    join(cluster)
    leave(cluster)
    assert (group(cluster).kind, group(cluster).is_empty) == (kind, False)


def test_members_of_the_classic_protocol_may_be_kept_out(loop: asyncio.AbstractEventLoop):
    cluster = made(group_consumer_migration_policy="disabled")
    join(cluster)
    assert classic_join(cluster, loop).error_code == ErrorCode.INCONSISTENT_GROUP_PROTOCOL


def test_a_silent_new_member_takes_the_group_back_and_what_was_committed_stays(loop: asyncio.AbstractEventLoop):
    """Those who are left go on from the group's epoch, as their generation."""
    cluster = made(group_consumer_min_session_timeout_ms=1000, group_consumer_session_timeout_ms=6000)
    classic_group(cluster, loop)
    group(cluster).offsets.put(TOPIC, 0, Committed(7))
    epoch = join(cluster)
    cluster.clock.advance(6)
    found = group(cluster)
    assert isinstance(found, ClassicGroup)
    assert (found.generation, found.state) == (epoch, "PreparingRebalance")
    assert found.offsets.get(TOPIC, 0) == Committed(7)


def test_who_waits_for_a_generation_is_sent_to_join_again(loop: asyncio.AbstractEventLoop):
    cluster = made()
    old = classic_group(cluster, loop)
    waiting = WaitingJoin(loop.create_future(), 3)
    subscription = ConsumerProtocolSubscription(topics=[TOPIC]).pack(1)
    group(cluster).join(Applicant("", None, "two", "/", 10_000, 20_000, "consumer", {"range": subscription}), waiting)
    assert not waiting.future.done()
    join(cluster)
    assert waiting.future.result().error_code == ErrorCode.REBALANCE_IN_PROGRESS
    assert old in [member.id for member in group(cluster).view().members]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"subscribed_topic_regex": "("}, ErrorCode.INVALID_REGULAR_EXPRESSION),
        ({"member_epoch": 3}, ErrorCode.GROUP_ID_NOT_FOUND),
    ],
)
def test_a_request_that_is_refused_changes_nothing(
    loop: asyncio.AbstractEventLoop, fields: dict[str, object], code: ErrorCode
):
    cluster = made()
    classic_group(cluster, loop)
    before = group(cluster)
    with pytest.raises(Refused) as refused:
        join(cluster, **fields)
    assert refused.value.code is code
    assert (group(cluster), before.state) == (before, "Stable")


def test_what_a_custom_assignor_said_would_be_lost(loop: asyncio.AbstractEventLoop):
    cluster = made()
    classic_group(cluster, loop, ConsumerProtocolAssignment(user_data=b"mine").pack(1))
    with pytest.raises(Refused, match="custom assignor"):
        join(cluster)


def test_a_group_that_is_too_large_is_not_upgraded(loop: asyncio.AbstractEventLoop):
    cluster = made(group_consumer_max_size=1)
    classic_group(cluster, loop)
    with pytest.raises(Refused) as refused:
        join(cluster)
    assert refused.value.code is ErrorCode.GROUP_MAX_SIZE_REACHED
    assert group(cluster).kind == "classic"
