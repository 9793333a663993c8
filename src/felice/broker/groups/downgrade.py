"""A consumer group becomes a classic one: when the last member of the consumer protocol goes (KIP-848)."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from felice.broker.groups.assignors import Assignment
from felice.broker.groups.classic import ClassicGroup
from felice.broker.groups.member import Member
from felice.broker.groups.subscriptions import CONSUMER
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment

if TYPE_CHECKING:
    from felice.broker.groups.consumer import ConsumerGroup

__all__ = ["downgrade", "may_downgrade", "packed_assignment"]

POLICIES = frozenset({"bidirectional", "downgrade"})


def may_downgrade(group: "ConsumerGroup", gone: Collection[str], joining: int = 0) -> bool:
    """Tell whether nobody but members of the classic protocol is there without some; `joining` take their places."""
    left = [member for member in group.members.values() if member.id not in gone]
    settings = group.cluster.settings
    return (
        len(left) + joining > 0
        and all(member.classic is not None for member in left)
        and str(settings["group.consumer.migration.policy"]).lower() in POLICIES
        and len(left) + joining <= settings.number("group.max.size")
    )


def downgrade(group: "ConsumerGroup", gone: Collection[str], *, rebalance: bool) -> None:
    """Make it a classic group without some members; the others keep what they shall have, or `rebalance`."""
    groups = group.groups
    made = ClassicGroup(group.id, groups, group.offsets)
    made.generation, made.type = group.epoch, CONSUMER
    for member in group.members.values():
        if member.id not in gone and member.classic is not None:
            made.roster.add(
                Member(
                    member.id,
                    member.instance_id,
                    client_id=member.client_id,
                    client_host=member.client_host,
                    rebalance_timeout=member.rebalance_timeout_ms,
                    session_timeout=member.classic.session_timeout_ms,
                    protocols=dict(member.classic.protocols),
                )
            )
    made.protocol = made.roster.elected_protocol()
    assignments = {
        member.id: packed_assignment(group, group.target.of(member.id), member.protocols[made.protocol])
        for member in made.roster
    }
    groups.write(group.id, group.tombstones())
    group.removed()
    groups.replace(made)
    made.assign(assignments)
    for classic_member in made.roster:
        made.keep_alive(classic_member)
    if rebalance:
        made.prepare()


def packed_assignment(group: "ConsumerGroup", assignment: Assignment, metadata: bytes) -> bytes:
    """Return what a member of the classic protocol is told, in the version of its own metadata."""
    topics = group.cluster.topics_by_id
    return ConsumerProtocolAssignment(
        assigned_partitions=[
            ConsumerProtocolAssignment.TopicPartition(topic=topics[topic].name, partitions=sorted(partitions))
            for topic, partitions in assignment.items()
            if topic in topics
        ]
    ).pack(_version(metadata))


def _version(metadata: bytes) -> int:
    """Return the version of a member's metadata, or the newest one that is known where it is newer."""
    return min(int.from_bytes(metadata[:2]), ConsumerProtocolAssignment.max_version)
