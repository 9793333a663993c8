"""The regular expressions of a consumer group's members, and the topics that match them (KIP-848)."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum, auto
from typing import NamedTuple

from felice.broker.groups.topic_patterns import topic_pattern

__all__ = ["PatternChange", "Patterns", "Resolved", "everything"]

SHORTEST_INTERVAL = 10_000
"""Milliseconds for which topics are not looked through again, whatever is asked."""


LONGEST_INTERVAL = 600_000
"""Milliseconds after which topics are looked through again, although there are no new ones."""


def everything(topic: str) -> bool:
    """Show all topics."""
    return True


class PatternChange(Enum):
    """What a request did to its member's regular expression."""

    NONE = auto()
    UNRESOLVED = auto()
    """It is another one, and its topics are not known yet."""
    RESOLVED = auto()
    """It is another one, or none, and the topics are known."""


class Resolved(NamedTuple):
    """The topics that match an expression, and when (milliseconds since 1970) they were looked through."""

    topics: frozenset[str]
    time: int


class Patterns:
    """Expressions with their topics."""

    def __init__(self) -> None:
        self.resolved: dict[str, Resolved] = {}
        self._seen: frozenset[bytes] = frozenset()
        self.round = 0
        """How often topics were looked through."""

    def topics(self, pattern: str) -> frozenset[str]:
        """Return the topics that match, as far as it is known."""
        found = self.resolved.get(pattern)
        return frozenset() if found is None else found.topics

    def restore(self, pattern: str, resolved: Resolved, version: int) -> None:
        """Know an expression's topics again, as they were written down when topics were looked through so often."""
        self.resolved[pattern] = resolved
        self.round = max(self.round, version)

    def change(self, before: str, after: str, users: Counter[str]) -> PatternChange:
        """Say what it means that a member changes its expression; refuse one that is none.

        `before` and `after` are empty where there is none; `users` counts who had each expression so far.
        """
        if before == after:
            return PatternChange.NONE
        if not after:
            return PatternChange.RESOLVED
        if not users[after]:
            topic_pattern(after)
        elif after in self.resolved:
            return PatternChange.RESOLVED
        return PatternChange.UNRESOLVED

    def is_due(self, used: Collection[str], topics: Iterable[bytes], now: int, *, fresh: bool) -> bool:
        """Tell whether topics have to be looked through.

        That is so where an expression is `fresh` or unresolved, where there are new topics, and where it was
        long ago; but not often.
        """
        latest = max((resolved.time for resolved in self.resolved.values()), default=None)
        if not used or (latest is not None and now <= latest + SHORTEST_INTERVAL):
            return False
        return (
            fresh
            or len(used) != len(self.resolved)
            or not self._seen.issuperset(topics)
            or (latest is not None and now > latest + LONGEST_INTERVAL)
        )

    def resolve(
        self, used: Iterable[str], topics: Mapping[str, bytes], now: int, shown: Callable[[str], bool] = everything
    ) -> bool:
        """Look through topics, names with IDs; return whether other ones match than before.

        Only those are found that are `shown` to whoever's request it is.
        """
        changed = False
        self._seen = frozenset(topics.values())
        self.round += 1
        for pattern in used:
            matches = topic_pattern(pattern)
            found = frozenset(filter(shown, filter(matches, topics)))
            changed = changed or found != self.topics(pattern)
            self.resolved[pattern] = Resolved(found, now)
        return changed
