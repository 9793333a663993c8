"""A classic group as its record in `__consumer_offsets` has it, there and back."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from felice.broker.groups.member import Member
from felice.wire.messages.offsets_topic import GroupMetadataValue

if TYPE_CHECKING:
    from felice.broker.groups.classic import ClassicGroup

__all__ = ["logged", "members_of"]


def logged(group: "ClassicGroup", assignments: Mapping[str, bytes]) -> GroupMetadataValue:
    """Return what is written of a group and its present generation, in which this is assigned."""
    return GroupMetadataValue(
        protocol_type=group.protocol_type,
        generation=group.generation,
        protocol=group.protocol,
        leader=group.roster.leader,
        current_state_timestamp=group.since,
        members=[
            GroupMetadataValue.MemberMetadata(
                member_id=member.id,
                group_instance_id=member.instance_id,
                client_id=member.client_id,
                client_host=member.client_host,
                rebalance_timeout=member.rebalance_timeout,
                session_timeout=member.session_timeout,
                subscription=member.protocols.get(group.protocol or "", b""),
                assignment=assignments.get(member.id, b""),
            )
            for member in group.roster
        ],
    )


def members_of(value: GroupMetadataValue) -> Iterator[Member]:
    """Give the members that a record names; of their protocols it knows the elected one."""
    for known in value.members:
        yield Member(
            known.member_id,
            known.group_instance_id,
            client_id=known.client_id,
            client_host=known.client_host,
            rebalance_timeout=known.rebalance_timeout,
            session_timeout=known.session_timeout,
            protocols={value.protocol or "": bytes(known.subscription)},
            assignment=bytes(known.assignment),
        )
