"""The server's assignors: who shall read which partitions of what a group subscribes to (KIP-848). Pure.

`range` gives each member neighbouring partitions of every topic, the same ones of topics with as many partitions, so
that they can be joined. `uniform` spreads all partitions evenly, and moves as few as it can. Both give what Kafka's own
give for members and topics in the same order.
"""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import NamedTuple, TypeAlias

from felice.broker.groups.balancing import Balancing
from felice.broker.setting import Settings

__all__ = ["ASSIGNORS", "Assignment", "Assignor", "Subscriber", "allowed_assignors"]

Assignment: TypeAlias = Mapping[bytes, frozenset[int]]
"""Partitions by the topic's ID; no topic without partitions."""


class Subscriber(NamedTuple):
    """What an assignor knows of a member: the topics that it reads and that exist, and what it was to have so far."""

    topics: frozenset[bytes]
    assigned: Assignment
    instance_id: str | None = None


Assignor: TypeAlias = Callable[[Mapping[str, Subscriber], Mapping[bytes, int], bool], dict[str, Assignment]]
"""Takes the members by ID, the number of partitions by topic, and whether all members read the same topics."""


def _range(members: Mapping[str, Subscriber], topics: Mapping[bytes, int], alike: bool) -> dict[str, Assignment]:
    """Give each subscriber of a topic a run of its partitions; static members first, by their instances."""
    order = sorted(members, key=lambda member_id: _seniority(member_id, members[member_id].instance_id))
    assigned: dict[str, dict[bytes, frozenset[int]]] = {member_id: {} for member_id in order}
    for topic, partitions in topics.items():
        subscribers = [member_id for member_id in order if topic in members[member_id].topics]
        start = 0
        for place, member_id in enumerate(subscribers):
            size = partitions // len(subscribers) + (place < partitions % len(subscribers))
            if size:
                assigned[member_id][topic] = frozenset(range(start, start + size))
            start += size
    return dict(assigned)


def _seniority(member_id: str, instance_id: str | None) -> tuple[bool, str]:
    """Return what members stand in order by."""
    return (instance_id is None, member_id if instance_id is None else instance_id)


def _uniform(members: Mapping[str, Subscriber], topics: Mapping[bytes, int], alike: bool) -> dict[str, Assignment]:
    """Spread all partitions evenly, and let members keep what they can."""
    if not any(member.topics for member in members.values()):
        return {}
    if alike:
        return _uniform_alike(members, topics)
    balancing = Balancing(
        {member_id: member.topics for member_id, member in members.items()},
        {member_id: member.assigned for member_id, member in members.items()},
        topics,
    )
    return {
        member_id: {topic: frozenset(partitions) for topic, partitions in held.items()}
        for member_id, held in balancing.assign().items()
    }


def _uniform_alike(members: Mapping[str, Subscriber], topics: Mapping[bytes, int]) -> dict[str, Assignment]:
    """Spread partitions over members that all read the same topics: each gets its share, the first ones one more."""
    subscribed = next(iter(members.values())).topics
    taken = {
        (topic, index)
        for member in members.values()
        for topic, partitions in member.assigned.items()
        for index in partitions
    }
    free = [
        (topic, index)
        for topic, partitions in topics.items()
        if topic in subscribed
        for index in range(partitions)
        if (topic, index) not in taken
    ]
    share, extras = divmod(sum(topics[topic] for topic in topics if topic in subscribed), len(members))
    assigned: dict[str, dict[bytes, set[int]]] = {}
    wanting: list[tuple[str, int]] = []
    for place, (member_id, member) in enumerate(members.items()):
        may_have_extra = extras > 0
        room = share + may_have_extra
        kept: dict[bytes, set[int]] = {}
        for topic, partitions in member.assigned.items():
            if topic not in subscribed:
                continue
            ordered = sorted(partitions)
            if ordered[:room]:
                kept[topic] = set(ordered[:room])
            free += [(topic, index) for index in ordered[room:]]
            room -= len(kept.get(topic, ()))
        if room and may_have_extra and len(members) - place > extras:
            # As many members as there are extras come behind it: leave those to who already has more.
            room -= 1
            may_have_extra = False
        extras -= may_have_extra
        if room:
            wanting.append((member_id, room))
        assigned[member_id] = kept
    rest = iter(free)
    for member_id, room in wanting:
        for topic, index in islice(rest, room):
            assigned[member_id].setdefault(topic, set()).add(index)
    return {
        member_id: {topic: frozenset(partitions) for topic, partitions in kept.items()}
        for member_id, kept in assigned.items()
    }


ASSIGNORS: Mapping[str, Assignor] = {"uniform": _uniform, "range": _range}
"""The assignors by name; the first one is the default."""


def allowed_assignors(settings: Settings) -> tuple[str, ...]:
    """Return the assignors that members may ask for, the default one first."""
    names = settings["group.consumer.assignors"]
    assert isinstance(names, tuple)
    return tuple(name for name in names if name in ASSIGNORS)
