"""The assignor of share groups: each partition for as many members as it takes for all to have some (KIP-932).

Where there are more members than partitions, several have the same one. Members keep what they can. The result is that
of Kafka's own for members and topics in the same order: where that goes over hash tables, their order is here too.
Pure.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from felice.broker.groups.assignors import Assignment, Assignor, Subscriber
from felice.broker.java import slot, table_size, uuid_hash

__all__ = ["simple_assignor"]

K = TypeVar("K")

Shared: TypeAlias = Sequence[dict[K, None]]
"""What members have, in the order in which they got it."""

TopicPartition: TypeAlias = tuple[bytes, int]


def simple_assignor(assignable: Mapping[bytes, frozenset[int]]) -> Assignor:
    """Return the assignor of these partitions: others are not handed out, but those who have them keep them."""
    return partial(_assign, assignable)


def _assign(
    assignable: Mapping[bytes, frozenset[int]],
    members: Mapping[str, Subscriber],
    topics: Mapping[bytes, int],
    alike: bool,
) -> dict[str, Assignment]:
    """Share out all topics at once where members read the same ones, else each by itself."""
    read = frozenset[bytes]().union(*(member.topics for member in members.values()))
    if not read:
        return {}
    targets = {
        topic: [index for index in range(size) if index in assignable.get(topic, ())]
        for topic, size in topics.items()
        if topic in read
    }
    shared: list[dict[TopicPartition, None]] = [{} for _ in members]
    if alike:
        for place, member in enumerate(members.values()):
            shared[place] = _held(member, read)
        _share(shared, range(len(members)), [(one, index) for one in targets for index in targets[one]], _pair_hash)
    else:
        for place, member in enumerate(members.values()):
            shared[place] = _held(member, frozenset(member.assigned) - read)
        for topic, indexes in targets.items():
            _share_topic(shared, list(members.values()), topic, indexes)
    return {member_id: _assignment(pairs) for member_id, pairs in zip(members, shared, strict=True)}


def _held(member: Subscriber, topics: frozenset[bytes]) -> dict[TopicPartition, None]:
    """Return what a member was to have of topics."""
    return {
        (topic, index): None
        for topic, indexes in member.assigned.items()
        if topic in topics
        for index in sorted(indexes)
    }


def _share_topic(
    shared: Shared[TopicPartition], members: Sequence[Subscriber], topic: bytes, indexes: Sequence[int]
) -> None:
    """Share out one topic among those who read it."""
    held = [dict.fromkeys(sorted(member.assigned.get(topic, ()))) for member in members]
    _share(held, [place for place, member in enumerate(members) if topic in member.topics], indexes, int)
    for pairs, kept in zip(shared, held, strict=True):
        pairs.update(((topic, index), None) for index in kept)


def _share(held: Shared[K], readers: Sequence[int], targets: Sequence[K], hashed: Callable[[K], int]) -> None:
    """Change what members have, so that the readers, by their places, have equal shares of the targets."""
    sharing = -(-len(readers) // len(targets)) if targets else 0
    wanted = _wanted(len(held), readers, sharing * len(targets))
    holders: dict[K, list[int]] = {}
    for place, keys in enumerate(held):
        for key in keys:
            holders.setdefault(key, []).append(place)
    sizes = {key: table_size(len(places)) for key, places in holders.items()}
    for place, keys in enumerate(held):
        for key in _in_order(keys, hashed, table_size(len(keys)))[: max(len(keys) - wanted[place], 0)]:
            del keys[key]
            holders[key].remove(place)
    for key, places in holders.items():
        for place in _in_order(places, int, sizes[key])[: max(len(places) - sharing, 0)]:
            places.remove(place)
            del held[place][key]
    for key in targets:
        holders.setdefault(key, [])
    size = table_size(len(holders), int((len(targets) + 1) / 0.75 + 1))
    order = _in_order(reversed(holders), hashed, size)  # `computeIfAbsent` puts a new key before others in its bucket.
    _fill(held, wanted, [(key, frozenset(holders[key]), sharing - len(holders[key])) for key in order])


def _fill(held: Shared[K], wanted: Sequence[int], targets: Iterable[tuple[K, frozenset[int], int]]) -> None:
    """Give targets, each with who has it and how many more shall, to those who have too little, turn by turn."""
    short = [place for place, keys in enumerate(held) if len(keys) < wanted[place]]
    turn, given = 0, False
    for key, holders, missing in targets:
        while missing > 0:
            if turn == len(short):
                if not given or not short:
                    break
                turn, given = 0, False
            place = short[turn]
            turn += 1
            if place in holders:
                continue
            # As in Kafka, whoever comes twice in its turn is counted twice, and has it once.
            held[place][key] = None
            missing -= 1
            given = True
            if len(held[place]) >= wanted[place]:
                turn -= 1
                del short[turn]


def _wanted(members: int, readers: Sequence[int], total: int) -> list[int]:
    """Return how many each member shall have: all readers as many as any other, or one more, and together `total`."""
    wanted = [0] * members
    share = total / len(readers) if readers else 0.0
    for number, place in enumerate(readers):
        wanted[place] = math.ceil(share * (number + 1)) - math.ceil(share * number)
    return wanted


def _in_order(keys: Iterable[K], hashed: Callable[[K], int], size: int) -> list[K]:
    """Return keys in the order of a `HashMap` with so many buckets."""
    return sorted(keys, key=lambda key: slot(hashed(key), size))


def _pair_hash(pair: TopicPartition) -> int:
    """Return the hash of Kafka's `TopicIdPartition`, as 32 bits without a sign."""
    return (31 * uuid_hash(pair[0]) + pair[1]) & 0xFFFFFFFF


def _assignment(pairs: Iterable[TopicPartition]) -> Assignment:
    """Return partitions by topic."""
    found: dict[bytes, set[int]] = {}
    for topic, index in pairs:
        found.setdefault(topic, set()).add(index)
    return {topic: frozenset(indexes) for topic, indexes in found.items()}
