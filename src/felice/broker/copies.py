"""What a replica has that does not follow its leader: as much of a log as it had when it stopped.

Replicas that follow need nothing of their own, they share the leader's log. One that stops following keeps the log that
it followed and its end there. A log is never cut, only replaced by a shorter one, so what a replica has stays as it was
although others went on with less. Only what is compacted or deleted goes from a log itself, and before that those part
from it that are far behind.
"""

from collections.abc import Callable

from felice.broker.epochs import LeaderEpochs
from felice.broker.log import PartitionLog
from felice.broker.open_transactions import OpenTransactions

__all__ = ["Copy"]


class Copy:
    """A replica of a node that is down, or lags.

    It has the records of `log` up to `end` (not with), their leader epochs, and knew these marks for its readers. While
    it counts as in sync although it lags, `when_late` starts the time after which it does not.
    """

    __slots__ = ("end", "epochs", "high_watermark", "last_stable_offset", "log", "transactions", "when_late")

    def __init__(
        self,
        log: PartitionLog,
        epochs: LeaderEpochs,
        end: int,
        high_watermark: int,
        last_stable_offset: int,
        transactions: OpenTransactions,
    ) -> None:
        self.log = log
        self.epochs = epochs.prefix(end)
        self.end = end
        self.high_watermark = high_watermark
        self.last_stable_offset = last_stable_offset
        self.transactions = transactions
        self.when_late: Callable[[], object] | None = None

    @classmethod
    def empty(cls) -> "Copy":
        """Return what a new replica has."""
        return cls(PartitionLog(), LeaderEpochs(), 0, 0, 0, OpenTransactions())

    def part_from(self, log: PartitionLog) -> None:
        """Keep what there is now, if it is of this log, which is about to lose records."""
        if self.log is log:
            self.log, self.transactions = log.prefix(self.end), self.transactions.copy()
