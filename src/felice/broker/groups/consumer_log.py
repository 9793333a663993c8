"""How consumer groups stand in `__consumer_offsets` (KIP-848, KIP-1101, KIP-1251)."""

from collections.abc import Collection, Iterable

from felice.broker.groups.assignors import Assignment
from felice.broker.groups.consumer_member import ConsumerMember, Held
from felice.broker.groups.group import Record
from felice.wire.messages.consumer_group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupPartitionMetadataKey,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)

__all__ = [
    "current_record",
    "epoch_record",
    "group_tombstones",
    "member_record",
    "member_tombstones",
    "pattern_record",
    "pattern_tombstone",
    "target_epoch_record",
    "target_record",
]

VERSION = 0


def epoch_record(group_id: str, epoch: int, metadata_hash: int) -> Record:
    """Return the record of the group's epoch, and of what its topics look like."""
    value = ConsumerGroupMetadataValue(epoch=epoch, metadata_hash=metadata_hash)
    return ConsumerGroupMetadataKey(group_id=group_id).pack(), value.pack(VERSION)


def member_record(group_id: str, member: ConsumerMember) -> Record:
    """Return the record of what a member wants."""
    value = ConsumerGroupMemberMetadataValue(
        instance_id=member.instance_id,
        rack_id=member.rack_id,
        client_id=member.client_id,
        client_host=member.client_host,
        subscribed_topic_names=sorted(member.topics),
        subscribed_topic_regex=member.regex,
        rebalance_timeout_ms=member.rebalance_timeout_ms,
        server_assignor=member.assignor,
    )
    if member.classic is not None:
        metadata = ConsumerGroupMemberMetadataValue.ClassicMemberMetadata
        value.classic_member_metadata = metadata(
            session_timeout_ms=member.classic.session_timeout_ms,
            supported_protocols=[
                metadata.ClassicProtocol(name=name, metadata=data) for name, data in member.classic.protocols
            ],
        )
    else:
        value.classic_member_metadata = None
    return ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member.id).pack(), value.pack(VERSION)


def target_epoch_record(group_id: str, epoch: int, time: int) -> Record:
    """Return the record of the target's epoch, and of when it was computed."""
    value = ConsumerGroupTargetAssignmentMetadataValue(assignment_epoch=epoch, assignment_timestamp=time)
    return ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id).pack(), value.pack(VERSION)


def target_record(group_id: str, member_id: str, assignment: Assignment) -> Record:
    """Return the record of what a member shall have."""
    entry = ConsumerGroupTargetAssignmentMemberValue.TopicPartition
    value = ConsumerGroupTargetAssignmentMemberValue(
        topic_partitions=[
            entry(topic_id=topic, partitions=sorted(partitions)) for topic, partitions in assignment.items()
        ]
    )
    return ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id).pack(), value.pack(VERSION)


def current_record(group_id: str, member: ConsumerMember) -> Record:
    """Return the record of what a member has."""
    value = ConsumerGroupCurrentMemberAssignmentValue(
        member_epoch=member.epoch,
        previous_member_epoch=member.previous_epoch,
        state=member.state,
        assigned_partitions=_listed(member.assigned),
        partitions_pending_revocation=_listed(member.revoking),
    )
    return ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member.id).pack(), value.pack(VERSION)


def pattern_record(group_id: str, pattern: str, topics: Iterable[str], version: int, time: int) -> Record:
    """Return the record of the topics that match a regular expression; `version` is the metadata's."""
    key = ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=pattern)
    value = ConsumerGroupRegularExpressionValue(topics=sorted(topics), version=version, timestamp=time)
    return key.pack(), value.pack(VERSION)


def pattern_tombstone(group_id: str, pattern: str) -> Record:
    """Return the record that forgets a regular expression."""
    return ConsumerGroupRegularExpressionKey(group_id=group_id, regular_expression=pattern).pack(), None


def member_tombstones(group_id: str, member_id: str) -> list[Record]:
    """Return the records that forget a member."""
    return [
        (ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=member_id).pack(), None),
        (ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=member_id).pack(), None),
        (ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=member_id).pack(), None),
    ]


def group_tombstones(group_id: str, member_ids: Collection[str], patterns: Iterable[str]) -> list[Record]:
    """Return the records that forget a group with its members."""
    return [
        *(
            (ConsumerGroupCurrentMemberAssignmentKey(group_id=group_id, member_id=one).pack(), None)
            for one in member_ids
        ),
        *(
            (ConsumerGroupTargetAssignmentMemberKey(group_id=group_id, member_id=one).pack(), None)
            for one in member_ids
        ),
        (ConsumerGroupTargetAssignmentMetadataKey(group_id=group_id).pack(), None),
        *((ConsumerGroupMemberMetadataKey(group_id=group_id, member_id=one).pack(), None) for one in member_ids),
        *(pattern_tombstone(group_id, pattern) for pattern in patterns),
        (ConsumerGroupPartitionMetadataKey(group_id=group_id).pack(), None),  # Older brokers wrote one.
        (ConsumerGroupMetadataKey(group_id=group_id).pack(), None),
    ]


def _listed(partitions: Held) -> list[ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions]:
    """Return partitions with their epochs."""
    return [
        ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions(
            topic_id=topic, partitions=list(indexes), assignment_epochs=list(indexes.values())
        )
        for topic, indexes in partitions.items()
    ]
