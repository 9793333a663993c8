"""How share groups stand in `__consumer_offsets` (KIP-932, KIP-1263)."""

from collections.abc import Callable, Collection, Mapping

from felice.broker.groups.assignors import Assignment
from felice.broker.groups.group import Record
from felice.broker.groups.share_member import ShareMember
from felice.broker.groups.share_partitions import SharePartitions, Some
from felice.wire.messages.share_group_records import (
    ShareGroupCurrentMemberAssignmentKey,
    ShareGroupCurrentMemberAssignmentValue,
    ShareGroupMemberMetadataKey,
    ShareGroupMemberMetadataValue,
    ShareGroupMetadataKey,
    ShareGroupMetadataValue,
    ShareGroupStatePartitionMetadataKey,
    ShareGroupStatePartitionMetadataValue,
    ShareGroupTargetAssignmentMemberKey,
    ShareGroupTargetAssignmentMemberValue,
    ShareGroupTargetAssignmentMetadataKey,
    ShareGroupTargetAssignmentMetadataValue,
)

__all__ = [
    "current_record",
    "epoch_record",
    "group_tombstones",
    "member_record",
    "member_tombstones",
    "partitions_record",
    "target_epoch_record",
    "target_record",
]

VERSION = 0
STABLE = 0
"""The only state of members: they never wait for others to give something up."""


def epoch_record(group_id: str, epoch: int, metadata_hash: int) -> Record:
    """Return the record of the group's epoch, and of what its topics look like."""
    value = ShareGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    return ShareGroupMetadataKey(group_id=group_id).pack(), value.pack(VERSION)


def member_record(group_id: str, member: ShareMember) -> Record:
    """Return the record of what a member wants."""
    value = ShareGroupMemberMetadataValue(
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
    )
    return ShareGroupMemberMetadataKey(group_id=group_id, member_id=member.id).pack(), value.pack(VERSION)


def target_epoch_record(group_id: str, epoch: int, time: int) -> Record:
    """Return the record of the target's epoch, and of when it was computed."""
    value = ShareGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=time)
    return ShareGroupTargetAssignmentMetadataKey(group_id=group_id).pack(), value.pack(VERSION)


def target_record(group_id: str, member_id: str, assignment: Assignment) -> Record:
    """Return the record of what a member shall have."""
    entry = ShareGroupTargetAssignmentMemberValue.TopicPartition
    value = ShareGroupTargetAssignmentMemberValue(
        topic_partitions=[entry(topic_id=topic, partitions=sorted(indexes)) for topic, indexes in assignment.items()]
    )
    return ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id).pack(), value.pack(VERSION)


def current_record(group_id: str, member: ShareMember) -> Record:
    """Return the record of what a member has."""
    entry = ShareGroupCurrentMemberAssignmentValue.TopicPartitions
    value = ShareGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=STABLE,
        assigned_partitions=[
            entry(topic_id=topic, partitions=sorted(indexes)) for topic, indexes in member.assigned.items()
        ],
    )
    return ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.id).pack(), value.pack(VERSION)


def partitions_record(group_id: str, partitions: SharePartitions, name_of: Callable[[bytes], str]) -> Record:
    """Return the record of the partitions whose state is kept, or is about to be, or to be dropped."""
    value = ShareGroupStatePartitionMetadataValue(
        initializing_topics=_listed(partitions.initializing),
        initialized_topics=_listed(partitions.initialized),
        deleting_topics=[
            ShareGroupStatePartitionMetadataValue.TopicInfo(topic_id=topic, topic_name=name_of(topic))
            for topic in sorted(partitions.deleting)
        ],
    )
    return ShareGroupStatePartitionMetadataKey(group_id=group_id).pack(), value.pack(VERSION)


def member_tombstones(group_id: str, member_id: str) -> list[Record]:
    """Return the records that forget a member."""
    return [
        (ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id).pack(), None),
        (ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id).pack(), None),
        (ShareGroupMemberMetadataKey(group_id=group_id, member_id=member_id).pack(), None),
    ]


def group_tombstones(group_id: str, member_ids: Collection[str]) -> list[Record]:
    """Return the records that forget a group with its members."""
    return [
        *((ShareGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=one).pack(), None) for one in member_ids),
        *((ShareGroupTargetAssignmentMemberKey(group_id=group_id, member_id=one).pack(), None) for one in member_ids),
        (ShareGroupTargetAssignmentMetadataKey(group_id=group_id).pack(), None),
        *((ShareGroupMemberMetadataKey(group_id=group_id, member_id=one).pack(), None) for one in member_ids),
        (ShareGroupStatePartitionMetadataKey(group_id=group_id).pack(), None),
        (ShareGroupMetadataKey(group_id=group_id).pack(), None),
    ]


def _listed(partitions: Mapping[bytes, Some]) -> list[ShareGroupStatePartitionMetadataValue.TopicPartitionsInfo]:
    """Return partitions topic by topic."""
    return [
        ShareGroupStatePartitionMetadataValue.TopicPartitionsInfo(
            topic_id=topic, topic_name=some.name, partitions=sorted(some.indexes)
        )
        for topic, some in partitions.items()
    ]
