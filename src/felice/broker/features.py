"""Features: which levels this broker knows, and on which ones the cluster has agreed (KIP-584, KIP-778, KIP-1022)."""

from collections.abc import Iterable
from enum import IntEnum
from typing import Final, NamedTuple

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["SHARE_GROUPS", "Features", "Levels", "Update", "Upgrade"]

METADATA: Final = "metadata.version"
SHARE_GROUPS: Final = "share.version"


class Levels(NamedTuple):
    """The lowest and the highest level that is known."""

    low: int
    high: int


KNOWN: Final = {
    "eligible.leader.replicas.version": Levels(0, 1),
    "group.version": Levels(0, 1),
    "kraft.version": Levels(0, 1),
    METADATA: Levels(7, 30),
    SHARE_GROUPS: Levels(0, 1),
    "transaction.version": Levels(0, 2),  # clients take it for leave to have partitions join as they write (KIP-890)
}
"""What Kafka 4.3 knows, as far as it is here: streams groups are not."""


class Upgrade(IntEnum):
    """What an update may do, by its number on the wire."""

    UPGRADE = 1
    SAFE_DOWNGRADE = 2
    UNSAFE_DOWNGRADE = 3


class Update(NamedTuple):
    """A level that a feature shall have."""

    name: str
    level: int
    upgrade: int


class Features:
    """The levels that count; level 0 is not agreed on."""

    def __init__(self) -> None:
        self.known = KNOWN
        self.epoch = 1
        """Grows with each change."""
        self._levels = {name: levels.high for name, levels in KNOWN.items() if name != "kraft.version"}

    def level(self, name: str) -> int:
        """Return the level of a feature, 0 where the cluster has not agreed on it."""
        return self._levels.get(name, 0)

    def check(self, name: str) -> None:
        """Refuse with UNSUPPORTED_VERSION what needs a feature on which the cluster has not agreed."""
        if not self.level(name):
            raise Refused(ErrorCode.UNSUPPORTED_VERSION, f"{name} is off")

    def agreed(self) -> dict[str, int]:
        """Return the features with their levels."""
        return {name: level for name, level in self._levels.items() if level > 0}

    def update(self, updates: Iterable[Update], *, validate_only: bool = False) -> None:
        """Set levels, all or none of them; refuse with INVALID_UPDATE_VERSION."""
        updates = list(updates)
        for update in updates:
            wrong = self._wrong(update)
            if wrong:
                raise Refused(ErrorCode.INVALID_UPDATE_VERSION, f"{update.name} to level {update.level}: {wrong}")
        changes = {name: level for name, level, _ in updates if level != self.level(name)}
        if changes and not validate_only:
            self._levels |= changes
            self.epoch += 1

    def _wrong(self, update: Update) -> str:
        """Return what is wrong with an update."""
        name, level, upgrade = update
        if name not in self.known:
            return "there is no such feature"
        if upgrade not in tuple(Upgrade):
            return f"there is no type of upgrade {upgrade}"
        low, high = self.known[name]
        if not low <= level <= high:
            return f"the levels are {low} to {high}"
        if level < self.level(name):
            if upgrade == Upgrade.UPGRADE:
                return "that is a downgrade, and was not asked for as one"
            if name == METADATA:
                return "metadata would be lost"
        return ""
