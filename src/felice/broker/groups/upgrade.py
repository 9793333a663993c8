"""A classic group becomes a consumer group: when a member of the consumer protocol comes (KIP-848)."""

from typing import TYPE_CHECKING

from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.consumer import ConsumerGroup
from felice.broker.groups.consumer_member import ClassicSide, ConsumerMember, held
from felice.broker.groups.group import Group
from felice.broker.groups.member import Member
from felice.broker.groups.subscriptions import CONSUMER
from felice.broker.refusal import Refused
from felice.errors import ErrorCode, WireError
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription

if TYPE_CHECKING:
    from felice.broker.groups.groups import Groups

__all__ = ["upgraded"]

POLICIES = frozenset({"bidirectional", "upgrade"})


def upgraded(group: Group, groups: "Groups") -> ConsumerGroup | None:
    """Return what a group is as a consumer group, or None where it is nothing that could become one.

    It takes the group's place with its first step. Where members are in the way it is refused with
    GROUP_ID_NOT_FOUND.
    """
    if not isinstance(group, ClassicGroup):
        return None
    made = ConsumerGroup(group.id, groups, group.offsets)
    made.origin = group
    if group.is_empty:
        return made
    settings = groups.cluster.settings
    if str(settings["group.consumer.migration.policy"]).lower() not in POLICIES:
        raise _stays(group, "online upgrade is disabled")
    if group.type != CONSUMER:
        raise _stays(group, "the group does not use the consumer embedded protocol")
    if len(group.roster) > settings.number("group.consumer.max.size"):
        raise _stays(group, "the group size exceeds the consumer group maximum size")
    protocol = group.protocol
    if protocol is None or any(protocol not in member.protocols for member in group.roster):
        raise Refused(ErrorCode.UNKNOWN_SERVER_ERROR, "the group is about to have a first protocol, or another one")
    made.epoch = made.target.epoch = group.generation
    try:
        for member in group.roster:
            made.put(_as_consumer(group, member, member.protocols[protocol], made))
    except WireError:
        raise _stays(group, "the embedded consumer protocol is malformed") from None
    made.look.take(made.topics())
    return made


def _as_consumer(group: ClassicGroup, member: Member, metadata: bytes, made: ConsumerGroup) -> ConsumerMember:
    """Return a member as a consumer group has it; what it was assigned is its target too."""
    subscription = ConsumerProtocolSubscription.unpack(metadata)
    assigned: dict[bytes, frozenset[int]] = {}
    if member.assignment:
        assignment = ConsumerProtocolAssignment.unpack(member.assignment)
        if assignment.user_data:
            raise _stays(group, "an unsupported custom assignor is in use")
        topics = made.cluster.topics
        assigned = {
            topics[entry.topic].id: frozenset(entry.partitions)
            for entry in assignment.assigned_partitions
            if entry.topic in topics
        }
    made.target.assignments[member.id] = assigned
    return ConsumerMember(
        member.id,
        group.generation,
        group.generation,
        instance_id=member.instance_id,
        rack_id=subscription.rack_id or None,
        rebalance_timeout_ms=member.rebalance_timeout,
        client_id=member.client_id,
        client_host=member.client_host,
        topics=frozenset(subscription.topics),
        classic=ClassicSide(member.session_timeout, tuple(member.protocols.items())),
        assigned=held(assigned, group.generation),
    )


def _stays(group: ClassicGroup, reason: str) -> Refused:
    """Return the refusal."""
    return Refused(
        ErrorCode.GROUP_ID_NOT_FOUND, f"Cannot upgrade classic group {group.id} to consumer group because {reason}."
    )
