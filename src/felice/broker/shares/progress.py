"""How far a share group has come in one partition, as the records of `__share_group_state` tell it. Pure."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from felice.broker.shares.state_batch import KEPT, StateBatch, combined
from felice.wire.messages.share_state_topic import ShareSnapshotValue, ShareUpdateValue

__all__ = ["UNKNOWN", "Change", "Known", "Progress"]

SAME = -1
"""A leader's epoch that leaves the one that is known."""

Change = ShareSnapshotValue | ShareUpdateValue
"""What one record tells: everything, or what has changed since the last one that did."""


class Progress(NamedTuple):
    """How far a group has come."""

    snapshot_epoch: int
    """Counts the snapshots of it."""
    state_epoch: int
    """That of the group when it began to read the partition, or began anew."""
    leader_epoch: int
    """That of the partition's leader who read it last."""
    start_offset: int
    """The first record that is not done with; -1 before the partition's leader has chosen it."""
    delivery_complete_count: int
    """How many records behind the start are done with (KIP-1226); -1 where that is not known."""
    batches: tuple[StateBatch, ...]


UNKNOWN = Progress(0, 0, 0, -1, -1, ())
"""What is told of a partition that the group has not begun to read."""


class Known:
    """A group's progress in a partition, and what fences those who are late."""

    __slots__ = ("created_ms", "leader_epoch", "position", "progress", "state_epoch", "updates", "written_ms")

    def __init__(self) -> None:
        self.progress = UNKNOWN
        self.leader_epoch = SAME
        """The highest epoch of a leader that was seen; a group that begins anew does not lower it."""
        self.state_epoch = SAME
        self.updates = 0
        """How many there were since the last snapshot that was due."""
        self.position = 0
        """The offset of the last snapshot in its log."""
        self.created_ms = self.written_ms = 0
        """When the last snapshot with news was written, and the last one at all, in milliseconds since 1970."""

    @property
    def is_refreshed(self) -> bool:
        """Whether the last snapshot has no other reason than that there was none for a while."""
        return self.created_ms != self.written_ms

    def take(self, change: Change, offset: int, limit: int) -> None:
        """Go on by the record at an offset; after so many updates as `limit` a snapshot is due."""
        self.leader_epoch = max(self.leader_epoch, change.leader_epoch)
        if isinstance(change, ShareSnapshotValue):
            self._snapshot(change)
            self.position = offset
            if self.updates >= limit:
                self.updates = 0
        else:
            self._update(change)
            self.updates += 1

    def _snapshot(self, value: ShareSnapshotValue) -> None:
        """Let a record take the place of everything."""
        self.state_epoch = max(self.state_epoch, value.state_epoch)
        self.created_ms, self.written_ms = value.create_timestamp, value.write_timestamp
        self.progress = Progress(
            value.snapshot_epoch,
            value.state_epoch,
            value.leader_epoch,
            value.start_offset,
            value.delivery_complete_count,
            tuple(_batches(value.state_batches)),
        )

    def _update(self, value: ShareUpdateValue) -> None:
        """Lay a record over what is known."""
        progress = self.progress
        start = progress.start_offset if value.start_offset == KEPT else value.start_offset
        self.progress = progress._replace(
            leader_epoch=progress.leader_epoch if value.leader_epoch == SAME else value.leader_epoch,
            start_offset=start,
            delivery_complete_count=value.delivery_complete_count,
            batches=combined(progress.batches, _batches(value.state_batches), start),
        )


def _batches(values: Iterable[Any]) -> Iterable[StateBatch]:
    """Give the batches of a record."""
    return (
        StateBatch(value.first_offset, value.last_offset, value.delivery_count, value.delivery_state)
        for value in values
    )
