"""ShareGroupDescribe: state, epochs and members of share groups (KIP-932)."""

from functools import partial
from typing import TypeAlias

from felice.broker.call import Call, Handler, no_partitions
from felice.broker.features import SHARE_GROUPS
from felice.broker.groups.share import ASSIGNOR
from felice.broker.groups.share_member import ShareMember
from felice.broker.handlers.assigned_groups import check_topics, describe_all
from felice.broker.refusal import Refused
from felice.wire.messages.share_group_describe import ShareGroupDescribeRequest, ShareGroupDescribeResponse

__all__ = ["HANDLER"]

Described: TypeAlias = ShareGroupDescribeResponse.DescribedGroup


def _handle(call: Call, request: ShareGroupDescribeRequest) -> ShareGroupDescribeResponse:
    """Describe groups one by one."""
    try:
        call.check_faults(None)
        call.cluster.features.check(SHARE_GROUPS)
    except Refused as refused:
        groups = [Described(group_id=group_id, error_code=refused.code) for group_id in request.group_ids]
    else:
        groups = describe_all(
            call, request.group_ids, request.include_authorized_operations, Described, partial(_describe, call)
        )
    return ShareGroupDescribeResponse(groups=groups)


def _describe(call: Call, group_id: str) -> Described:
    """Describe one group; a group of another kind is as good as none."""
    group = call.cluster.groups.share(group_id)
    described = Described(
        group_id=group.id,
        group_state=group.state,
        group_epoch=group.epoch,
        assignment_epoch=group.target.epoch,
        assignor_name=ASSIGNOR,
        members=[_member(call, member) for member in group.members.values()],
    )
    check_topics(
        call, (topic.topic_name for member in described.members for topic in member.assignment.topic_partitions)
    )
    return described


def _member(call: Call, member: ShareMember) -> Described.Member:
    """Describe a member."""
    topics = call.cluster.topics_by_id
    return Described.Member(
        member_id=member.id,
        rack_id=member.rack_id,
        member_epoch=member.epoch,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        assignment=Described.Member.Assignment(
            topic_partitions=[
                Described.Member.Assignment.TopicPartitions(
                    topic_id=topic, topic_name=topics[topic].name, partitions=sorted(indexes)
                )
                for topic, indexes in member.assigned.items()
                if topic in topics
            ]
        ),
    )


HANDLER = Handler(_handle, no_partitions)
