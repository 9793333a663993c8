"""Spreading partitions evenly over members that read different topics. Pure.

Partitions stay where they are if they can. Those that nobody has go to who has least, topic by topic; then partitions
are moved from who has most to who has least, until no move makes anything more even.
"""

import struct
from collections.abc import Mapping, Sequence

__all__ = ["Balancing"]

MAX_ROUNDS = 16
"""Kafka goes over all topics so often at most: one topic's moves may upset the balance of another's subscribers."""

NOBODY = -1


class Balancing:
    """One assignment in the making: members are numbered in their order, `loads` says how much each has."""

    def __init__(
        self,
        subscriptions: Mapping[str, frozenset[bytes]],
        assigned: Mapping[str, Mapping[bytes, frozenset[int]]],
        topics: Mapping[bytes, int],
    ) -> None:
        self._names = list(subscriptions)
        self._subscribers = {
            topic: [number for number, name in enumerate(self._names) if topic in subscriptions[name]]
            for topic in topics
        }
        self._owners = {topic: [NOBODY] * partitions for topic, partitions in topics.items()}
        self._loads = [0] * len(self._names)
        for number, name in enumerate(self._names):
            for topic, partitions in assigned[name].items():
                if topic in subscriptions[name]:
                    for index in partitions:
                        self._give(topic, index, number)

    def assign(self) -> dict[str, dict[bytes, set[int]]]:
        """Return each member's partitions."""
        read = [topic for topic, subscribers in self._subscribers.items() if subscribers]
        order = sorted(read, key=self._urgency)
        for topic in order:
            self._hand_out(topic)
        self._even_out([topic for topic in order if len(self._subscribers[topic]) > 1])
        held: dict[str, dict[bytes, set[int]]] = {name: {} for name in self._names}
        for topic in read:
            for index, owner in enumerate(self._owners[topic]):
                held[self._names[owner]].setdefault(topic, set()).add(index)
        return held

    def _urgency(self, topic: bytes) -> tuple[float, int, tuple[int, ...]]:
        """Return what topics stand in order by: most partitions a subscriber first, then fewest subscribers."""
        subscribers = len(self._subscribers[topic])
        return -len(self._owners[topic]) / subscribers, subscribers, struct.unpack(">qq", topic)

    def _hand_out(self, topic: bytes) -> None:
        """Give what nobody has of a topic to the subscribers that have least."""
        scale = _Scale(self._subscribers[topic], self._loads)
        for index, owner in enumerate(self._owners[topic]):
            if owner == NOBODY:
                self._give(topic, index, scale.next_least())

    def _even_out(self, topics: Sequence[bytes]) -> None:
        """Go over the topics again and again, until there was a whole round without a move."""
        last_moved = None
        for _ in range(MAX_ROUNDS):
            for topic in topics:
                if topic == last_moved:
                    return
                if self._even_out_topic(topic) or last_moved is None:
                    last_moved = topic

    def _even_out_topic(self, topic: bytes) -> bool:
        """Move a topic's partitions from subscribers that have most to those that have least."""
        subscribers, owners = self._subscribers[topic], self._owners[topic]
        scale = _Scale(subscribers, self._loads)
        loads = [self._loads[number] for number in subscribers]
        if max(loads) - min(loads) <= 1:
            return False
        to_give: dict[int, list[int]] = {}
        for index, owner in enumerate(owners):
            to_give.setdefault(owner, []).append(index)
        moved = False
        while not scale.is_even:
            giver = scale.next_most()
            while giver != NOBODY and not to_give.get(giver):
                scale.exclude_most()
                giver = scale.next_most()
            if giver == NOBODY:
                break
            index = to_give[giver].pop()
            taker = scale.next_least()
            if scale.is_even:
                break
            self._give(topic, index, taker)
            moved = True
        return moved

    def _give(self, topic: bytes, index: int, number: int) -> None:
        """Make a member the owner of a partition."""
        before = self._owners[topic][index]
        if before != NOBODY:
            self._loads[before] -= 1
        self._owners[topic][index] = number
        self._loads[number] += 1


class _Scale:
    """The subscribers of one topic by their loads: who has least, in turns, and who has most, in turns.

    The light end is `members[:least_end]`, all with `least` partitions after their turn; the heavy end is
    `members[most_start:most_end]`. Behind `most_end` stand those that have nothing of the topic left to give.
    """

    def __init__(self, subscribers: Sequence[int], loads: Sequence[int]) -> None:
        self._loads = loads
        self._members = sorted(subscribers, key=lambda number: (loads[number], number))
        self._least = loads[self._members[0]] - 1
        self._least_end = self._next_least = 0
        self._most = loads[self._members[-1]] + 1
        self._most_start = self._most_end = len(self._members)
        self._next_most = self._most_end - 1

    @property
    def is_even(self) -> bool:
        """Whether a move would make nothing more even."""
        return self._most - self._least <= 1

    def next_least(self) -> int:
        """Return who has least."""
        if self._next_least >= self._least_end:
            self._least += 1
            while self._least_end < len(self._members) and self._load(self._least_end) == self._least:
                self._least_end += 1
            self._next_least = 0
        self._next_least += 1
        return self._members[self._next_least - 1]

    def next_most(self) -> int:
        """Return who has most, or `NOBODY`."""
        if self._next_most < self._most_start:
            if self._most_end <= self._most_start and self._most_start > 0:
                self._most = self._load(self._most_start - 1)
            else:
                self._most -= 1
            while self._most_start > 0 and self._load(self._most_start - 1) == self._most:
                self._most_start -= 1
            self._next_most = self._most_end - 1
        if self._next_most < 0:
            return NOBODY
        self._next_most -= 1
        return self._members[self._next_most + 1]

    def exclude_most(self) -> None:
        """Take the one that `next_most` returned last off the scale."""
        place, end = self._next_most + 1, self._most_end - 1
        self._members[place], self._members[end] = self._members[end], self._members[place]
        self._most_end = end

    def _load(self, place: int) -> int:
        """Return the load of the member at a place."""
        return self._loads[self._members[place]]
