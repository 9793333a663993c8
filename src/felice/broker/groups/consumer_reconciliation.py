"""From what a member of a consumer group has to what it shall have, one step a heartbeat (KIP-848). Pure.

A member first gives up what it shall not keep, and stays in its epoch until it has said so. Then it enters the epoch
of the target, with the partitions that nobody owns; it gets the others when they are free.

    STABLE ──────new target, something to give up──────> UNREVOKED_PARTITIONS
      │  ^                                                  │        │
      │  └──────────────────given up, all free──────────────┘        │ given up, but not all is free
      │  ^──────────────────all free──────────────────┐              v
      └─────────new target, not all is free────────> UNRELEASED_PARTITIONS
"""

from collections.abc import Callable, Collection, Mapping

from felice.broker.groups.assignors import Assignment
from felice.broker.groups.consumer_member import ConsumerMember, Held, MemberState

__all__ = ["Reported", "reconcile"]

Reported = Mapping[bytes, Collection[int]]
"""The partitions that a member says it has, by topic ID."""


def reconcile(
    member: ConsumerMember,
    target_epoch: int,
    target: Assignment,
    topics: Collection[bytes],
    *,
    reported: Reported | None,
    is_owned: Callable[[bytes, int], bool],
    resubscribed: bool,
) -> ConsumerMember:
    """Return the member one step further.

    `topics` are those that it reads now, `reported` is None where its request does not say what it has, `is_owned`
    tells whether anybody has a partition, and `resubscribed` whether the member reads other topics than before.
    """
    if member.state is MemberState.STABLE and member.epoch == target_epoch:
        return _drop_unread(member, topics, reported) if resubscribed else member
    if member.state is MemberState.UNREVOKED_PARTITIONS and _has_any(reported, member.revoking):
        return _drop_unread(member, topics, reported) if resubscribed else member
    return _approach(member, target_epoch, target, topics, reported, is_owned)


def _drop_unread(member: ConsumerMember, topics: Collection[bytes], reported: Reported | None) -> ConsumerMember:
    """Take away the partitions of topics that a member reads no more, before there is a new target."""
    unread = {topic: indexes for topic, indexes in member.assigned.items() if topic not in topics}
    if not unread:
        return member
    kept = {topic: indexes for topic, indexes in member.assigned.items() if topic in topics}
    revoking: dict[bytes, Mapping[int, int]] = dict(member.revoking)
    for topic, indexes in unread.items():
        revoking[topic] = {**revoking.get(topic, {}), **indexes}
    member = member.at(member.epoch)._replace(assigned=kept)
    if _has_any(reported, revoking):
        return member._replace(state=MemberState.UNREVOKED_PARTITIONS, revoking=revoking)
    return member


def _approach(
    member: ConsumerMember,
    target_epoch: int,
    target: Assignment,
    topics: Collection[bytes],
    reported: Reported | None,
    is_owned: Callable[[bytes, int], bool],
) -> ConsumerMember:
    """Take away what is not in the target; once that is given up, add what is free of it."""
    kept: dict[bytes, dict[int, int]] = {}
    revoking: dict[bytes, dict[int, int]] = {}
    added: dict[bytes, dict[int, int]] = {}
    complete = True
    for topic in {**member.assigned, **target}:
        wanted = target.get(topic, frozenset()) if topic in topics else frozenset()
        present = member.assigned.get(topic, {})
        own = member.revoking.get(topic, {})  # Given up just now, and still written down as its own.
        missing = sorted(wanted - present.keys())
        free = [index for index in missing if not is_owned(topic, index) or index in own]
        complete = complete and len(free) == len(missing)
        kept[topic] = {index: epoch for index, epoch in present.items() if index in wanted}
        revoking[topic] = {index: epoch for index, epoch in present.items() if index not in wanted}
        added[topic] = dict.fromkeys(free, target_epoch)
    if _has_any(reported, _filled(revoking)):
        return member.at(member.epoch)._replace(
            state=MemberState.UNREVOKED_PARTITIONS, assigned=_filled(kept), revoking=_filled(revoking)
        )
    return member.at(target_epoch)._replace(
        state=MemberState.STABLE if complete else MemberState.UNRELEASED_PARTITIONS,
        assigned=_filled({topic: {**kept[topic], **added[topic]} for topic in kept}),
        revoking={},
    )


def _filled(partitions: Held) -> Held:
    """Return it without topics that have no partitions."""
    return {topic: indexes for topic, indexes in partitions.items() if indexes}


def _has_any(reported: Reported | None, partitions: Held) -> bool:
    """Tell whether a member still has some of these partitions, as far as it is known."""
    if not partitions:
        return False
    if reported is None:
        return True
    return any(index in partitions.get(topic, {}) for topic, indexes in reported.items() for index in indexes)
