"""A member of a consumer group (KIP-848), as a value: whatever changes makes a new one."""

import base64
import random
from collections.abc import Iterator, Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple, TypeAlias

from felice.broker.groups.assignors import Assignment

__all__ = [
    "AWAY",
    "LEAVING",
    "NEW",
    "ClassicSide",
    "ConsumerMember",
    "Entry",
    "Held",
    "MemberState",
    "held",
    "new_member_id",
    "without_epochs",
]

NEW = 0
"""The epoch of a member that joins."""

LEAVING = -1
"""The epoch of a request by which a member leaves."""

AWAY = -2
"""The epoch of a static member that has left for a while."""

Held: TypeAlias = Mapping[bytes, Mapping[int, int]]
"""Partitions by topic ID, and for each in which epoch the member got it (KIP-1251)."""


NOTHING: Final[Held] = MappingProxyType({})


class MemberState(IntEnum):
    """How far a member has come from what it had to what it shall have, by the numbers of its record."""

    STABLE = 0
    UNREVOKED_PARTITIONS = 1
    """It was told to give up partitions, and has yet to say that it did."""
    UNRELEASED_PARTITIONS = 2
    """Others have yet to give up partitions that it shall have."""


class ClassicSide(NamedTuple):
    """What a member told that speaks the classic protocol: its session's timeout, and its metadata by protocol."""

    session_timeout_ms: int
    protocols: tuple[tuple[str, bytes], ...]


class ConsumerMember(NamedTuple):
    """A member: what it wants, and what it has."""

    id: str
    epoch: int = NEW
    previous_epoch: int = LEAVING
    instance_id: str | None = None
    rack_id: str | None = None
    rebalance_timeout_ms: int = -1
    client_id: str = ""
    client_host: str = ""
    topics: frozenset[str] = frozenset()
    regex: str = ""
    """Its regular expression, or nothing."""
    assignor: str | None = None
    classic: ClassicSide | None = None
    """None for those that speak the consumer protocol."""
    state: MemberState = MemberState.STABLE
    assigned: Held = NOTHING
    revoking: Held = NOTHING
    """Partitions that are its own until it gives them up."""

    def at(self, epoch: int) -> "ConsumerMember":
        """Return it at an epoch."""
        return self._replace(epoch=epoch, previous_epoch=self.epoch)

    def is_reconciled(self, epoch: int) -> bool:
        """Tell whether it has just what it shall have, as of this epoch."""
        return self.state is MemberState.STABLE and self.epoch == epoch

    def partitions(self) -> Iterator[tuple[bytes, int]]:
        """Give all partitions that nobody else may have."""
        for part in (self.assigned, self.revoking):
            for topic, partitions in part.items():
                for index in partitions:
                    yield topic, index

    def assigned_in(self, topic: bytes, index: int) -> int | None:
        """Return in which epoch it got a partition, or None."""
        found = self.assigned.get(topic, {}).get(index)
        return self.revoking.get(topic, {}).get(index) if found is None else found


class Entry(NamedTuple):
    """A member as it stands before a request: the present one, a new one, or one that takes a static one's place."""

    member: ConsumerMember
    replaces: ConsumerMember | None = None


def new_member_id(chance: random.Random) -> str:
    """Return an ID that nobody has, as Kafka writes UUIDs."""
    return base64.urlsafe_b64encode(chance.randbytes(16)).decode().rstrip("=")


def held(assignment: Assignment, epoch: int) -> Held:
    """Return partitions as they were got in one epoch."""
    return {topic: dict.fromkeys(sorted(indexes), epoch) for topic, indexes in assignment.items()}


def without_epochs(partitions: Held) -> Assignment:
    """Return partitions alone."""
    return {topic: frozenset(indexes) for topic, indexes in partitions.items()}
