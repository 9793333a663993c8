"""A consumer group out of its records in `__consumer_offsets` (KIP-848, KIP-1251)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias

from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_member import ClassicSide, ConsumerMember, Held, MemberState
from felice.broker.groups.consumer_patterns import Resolved
from felice.broker.groups.offsets import Offsets
from felice.wire.messages.consumer_group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupCurrentMemberAssignmentValue,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMemberMetadataValue,
    ConsumerGroupMetadataKey,
    ConsumerGroupMetadataValue,
    ConsumerGroupRegularExpressionKey,
    ConsumerGroupRegularExpressionValue,
    ConsumerGroupTargetAssignmentMemberKey,
    ConsumerGroupTargetAssignmentMemberValue,
    ConsumerGroupTargetAssignmentMetadataKey,
    ConsumerGroupTargetAssignmentMetadataValue,
)
from felice.wire.schema import RecordValue

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["ConsumerKey", "read_consumer_group"]

ConsumerKey: TypeAlias = (
    ConsumerGroupMetadataKey
    | ConsumerGroupMemberMetadataKey
    | ConsumerGroupTargetAssignmentMetadataKey
    | ConsumerGroupTargetAssignmentMemberKey
    | ConsumerGroupCurrentMemberAssignmentKey
    | ConsumerGroupRegularExpressionKey
)

Wants: TypeAlias = ConsumerGroupMemberMetadataValue
Has: TypeAlias = ConsumerGroupCurrentMemberAssignmentValue


def read_consumer_group(
    group_id: str, groups: "Groups", offsets: Offsets, records: Iterable[tuple[ConsumerKey, RecordValue]]
) -> ConsumerGroup | None:
    """Return the group, or None where the records tell of none."""
    group = ConsumerGroup(group_id, groups, offsets)
    epoch: ConsumerGroupMetadataValue | None = None
    wants: dict[str, Wants] = {}
    has: dict[str, Has] = {}
    for record in records:
        match record:
            case _, ConsumerGroupMetadataValue() as value:
                epoch = value
            case ConsumerGroupMemberMetadataKey(member_id=member_id), ConsumerGroupMemberMetadataValue() as value:
                wants[member_id] = value
            case ConsumerGroupCurrentMemberAssignmentKey(member_id=member_id), Has() as value:
                has[member_id] = value
            case (
                ConsumerGroupTargetAssignmentMemberKey(member_id=member_id),
                ConsumerGroupTargetAssignmentMemberValue() as value,
            ):
                group.target.assignments[member_id] = {
                    entry.topic_id: frozenset(entry.partitions) for entry in value.topic_partitions
                }
            case _, ConsumerGroupTargetAssignmentMetadataValue() as value:
                group.target.epoch, group.target.time = value.assignment_epoch, value.assignment_timestamp
            case (
                ConsumerGroupRegularExpressionKey(regular_expression=pattern),
                ConsumerGroupRegularExpressionValue() as value,
            ):
                group.patterns.restore(pattern, Resolved(frozenset(value.topics), value.timestamp), value.version)
    if epoch is None:
        return None
    for member_id, value in wants.items():
        group.put(_member(member_id, value, has.get(member_id, Has())))
    group.epoch = epoch.epoch
    group.look.recall(group.topics(), epoch.metadata_hash)
    return group


def _member(member_id: str, wants: Wants, has: Has) -> ConsumerMember:
    """Return a member, by what it wants and what it has."""
    classic = wants.classic_member_metadata
    return ConsumerMember(
        member_id,
        has.member_epoch,
        has.previous_member_epoch,
        instance_id=wants.instance_id,
        rack_id=wants.rack_id,
        rebalance_timeout_ms=wants.rebalance_timeout_ms,
        client_id=wants.client_id,
        client_host=wants.client_host,
        topics=frozenset(wants.subscribed_topic_names),
        regex=wants.subscribed_topic_regex or "",
        assignor=wants.server_assignor,
        classic=None
        if classic is None
        else ClassicSide(
            classic.session_timeout_ms,
            tuple((protocol.name, bytes(protocol.metadata)) for protocol in classic.supported_protocols),
        ),
        state=MemberState(has.state),
        assigned=_held(has.assigned_partitions, has.member_epoch),
        revoking=_held(has.partitions_pending_revocation, has.member_epoch),
    )


def _held(listed: Iterable[Has.TopicPartitions], epoch: int) -> Held:
    """Return partitions, with the epochs in which they were got as far as they are written down."""
    return {
        entry.topic_id: dict(
            zip(entry.partitions, entry.assignment_epochs or [epoch] * len(entry.partitions), strict=True)
        )
        for entry in listed
    }
