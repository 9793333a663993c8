"""ConsumerGroupDescribe: state, epochs and members of consumer groups (KIP-848)."""

from collections.abc import Iterator
from functools import partial
from typing import TypeAlias

from felice.broker.call import Call, Handler, no_partitions
from felice.broker.groups.assignors import Assignment
from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_member import ConsumerMember
from felice.broker.handlers.assigned_groups import check_topics, describe_all
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.consumer_group_describe import ConsumerGroupDescribeRequest, ConsumerGroupDescribeResponse

__all__ = ["HANDLER"]

CLASSIC, CONSUMER = 0, 1

Described: TypeAlias = ConsumerGroupDescribeResponse.DescribedGroup


def _handle(call: Call, request: ConsumerGroupDescribeRequest) -> ConsumerGroupDescribeResponse:
    """Describe groups one by one."""
    return ConsumerGroupDescribeResponse(
        groups=describe_all(
            call, request.group_ids, request.include_authorized_operations, Described, partial(_describe, call)
        )
    )


def _describe(call: Call, group_id: str) -> Described:
    """Describe one group; a group of another kind is as good as none."""
    group = call.cluster.groups.replicated(group_id)
    if group is None:
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} not found.")
    if not isinstance(group, ConsumerGroup):
        raise Refused(ErrorCode.GROUP_ID_NOT_FOUND, f"Group {group_id} is not a consumer group.")
    described = Described(
        group_id=group.id,
        group_state=group.state,
        group_epoch=group.epoch,
        assignment_epoch=group.target.epoch,
        assignor_name=group.assignor,
        members=[_member(call, group, member) for member in group.members.values()],
    )
    check_topics(call, _assigned(described))
    return described


def _assigned(described: Described) -> Iterator[str]:
    """Give the topics that members have or shall have."""
    for member in described.members:
        for assignment in (member.assignment, member.target_assignment):
            for topic in assignment.topic_partitions:
                yield topic.topic_name


def _member(call: Call, group: ConsumerGroup, member: ConsumerMember) -> Described.Member:
    """Describe a member: what it has, with what it has yet to give up, and what it shall have."""
    present: dict[bytes, list[int]] = {}
    for topic, index in member.partitions():
        present.setdefault(topic, []).append(index)
    return Described.Member(
        member_id=member.id,
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        subscribed_topic_regex=member.regex,
        assignment=_assignment(call, {topic: frozenset(indexes) for topic, indexes in present.items()}),
        target_assignment=_assignment(call, group.target.of(member.id)),
        member_type=CONSUMER if member.classic is None else CLASSIC,
    )


def _assignment(call: Call, partitions: Assignment) -> Described.Member.Assignment:
    """Describe partitions of topics that exist."""
    topics = call.cluster.topics_by_id
    return Described.Member.Assignment(
        topic_partitions=[
            Described.Member.Assignment.TopicPartitions(
                topic_id=topic, topic_name=topics[topic].name, partitions=sorted(indexes)
            )
            for topic, indexes in partitions.items()
            if topic in topics
        ]
    )


HANDLER = Handler(_handle, no_partitions)
