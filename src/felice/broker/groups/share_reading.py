"""A share group out of its records in `__consumer_offsets` (KIP-932)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from felice.broker.groups.assignors import Assignment
from felice.broker.groups.share import ShareGroup
from felice.broker.groups.share_member import ShareMember
from felice.broker.groups.share_partitions import Some
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
from felice.wire.schema import RecordValue

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["ShareKey", "read_share_group"]

ShareKey: TypeAlias = (
    ShareGroupMetadataKey
    | ShareGroupMemberMetadataKey
    | ShareGroupTargetAssignmentMetadataKey
    | ShareGroupTargetAssignmentMemberKey
    | ShareGroupCurrentMemberAssignmentKey
    | ShareGroupStatePartitionMetadataKey
)

Wants: TypeAlias = ShareGroupMemberMetadataValue
Has: TypeAlias = ShareGroupCurrentMemberAssignmentValue
Shall: TypeAlias = ShareGroupTargetAssignmentMemberValue


def read_share_group(
    group_id: str, groups: "Groups", records: Iterable[tuple[ShareKey, RecordValue]]
) -> ShareGroup | None:
    """Return the group, or None where there are no records."""
    group: ShareGroup | None = None
    metadata = ShareGroupMetadataValue()
    wants: dict[str, Wants] = {}
    has: dict[str, Has] = {}
    for record in records:
        group = group or ShareGroup(group_id, groups)
        match record:
            case _, ShareGroupMetadataValue() as value:
                metadata = value
                group.epoch = value.epoch
            case ShareGroupMemberMetadataKey(member_id=member_id), Wants() as value:
                wants[member_id] = value
            case ShareGroupCurrentMemberAssignmentKey(member_id=member_id), Has() as value:
                has[member_id] = value
            case ShareGroupTargetAssignmentMemberKey(member_id=member_id), Shall() as value:
                group.target.assignments[member_id] = _assignment(value.topic_partitions)
            case _, ShareGroupTargetAssignmentMetadataValue() as value:
                group.target.epoch, group.target.time = value.assignment_epoch, value.assignment_timestamp
            case _, ShareGroupStatePartitionMetadataValue() as value:
                _take_partitions(group, value)
    if group is not None:
        for member_id, value in wants.items():
            group.put(_member(member_id, value, has.get(member_id)))
        group.look.recall(group.topics(), metadata.metadata_hash)
    return group


def _take_partitions(group: ShareGroup, value: ShareGroupStatePartitionMetadataValue) -> None:
    """Take in the partitions whose state is kept; what was being asked for counts as asked for now.

    Topics that are not there are left out: a log that has lost records may not tell that they were deleted.
    """
    now, topics = group.clock.time_ms(), group.cluster.topics_by_id
    for listed, known in (
        (value.initializing_topics, group.partitions.initializing),
        (value.initialized_topics, group.partitions.initialized),
    ):
        for entry in listed:
            if entry.topic_id in topics:
                known[entry.topic_id] = Some(entry.topic_name, frozenset(entry.partitions), now)
    group.partitions.deleting.update(entry.topic_id for entry in value.deleting_topics if entry.topic_id in topics)


def _member(member_id: str, wants: Wants, has: Has | None) -> ShareMember:
    """Return a member, by what it wants and what it has."""
    member = ShareMember(
        member_id,
        rack_id=wants.rack_id,
        client_id=wants.client_id,
        client_host=wants.client_host,
        topics=frozenset(wants.subscribed_topic_names),
    )
    if has is None:
        return member
    return member._replace(
        epoch=has.member_epoch,
        previous_epoch=has.previous_member_epoch,
        assigned=_assignment(has.assigned_partitions),
    )


def _assignment(listed: Iterable[Has.TopicPartitions | Shall.TopicPartition]) -> Assignment:
    """Return partitions by topic."""
    return {entry.topic_id: frozenset(entry.partitions) for entry in listed}
