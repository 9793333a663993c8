"""One transactional ID: whose it is, and how far its transaction is. Pure: the clock and new producer IDs come in.

    Empty -> Ongoing -> PrepareCommit -> CompleteCommit -> Ongoing ...
                     -> PrepareAbort  -> CompleteAbort  -> Ongoing ...

A decision is made in Ongoing, and written down as Prepare; it is complete when all partitions have their markers. In
transactions of version 2 (KIP-890) every decision raises the epoch, and one can abort what has not begun, so that a
batch that is late finds its epoch gone.
"""

from collections.abc import Callable, Collection
from enum import IntEnum
from typing import NamedTuple, TypeAlias

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["Identity", "Partitions", "State", "Transaction"]

NO_PRODUCER = -1
NO_EPOCH = -1
NOT_STARTED = -1
LAST_EPOCH = 0x7FFF
EXHAUSTED = LAST_EPOCH - 1
"""From this epoch on a producer ID is used up: the last one is kept for fencing."""
BUMPED = 2
"""The version of transactions whose every end raises the epoch."""

Partitions: TypeAlias = Collection[tuple[str, int]]


class Identity(NamedTuple):
    """What a producer is known by."""

    producer_id: int
    epoch: int


class State(IntEnum):
    """States of a transaction, by their numbers in `__transaction_state`."""

    EMPTY = 0
    ONGOING = 1
    PREPARE_COMMIT = 2
    PREPARE_ABORT = 3
    COMPLETE_COMMIT = 4
    COMPLETE_ABORT = 5
    DEAD = 6
    PREPARE_EPOCH_FENCE = 7

    @property
    def shown(self) -> str:
        """The state as Kafka's answers have it, like `CompleteCommit`."""
        return self.name.title().replace("_", "")


PREPARED = (State.PREPARE_COMMIT, State.PREPARE_ABORT)
OVER = (State.EMPTY, State.COMPLETE_COMMIT, State.COMPLETE_ABORT)


class Transaction:
    """A transactional ID with its producer and its latest transaction."""

    __slots__ = (
        "epoch",
        "id",
        "last_epoch",
        "next_producer_id",
        "partitions",
        "previous_producer_id",
        "producer_id",
        "started_ms",
        "state",
        "timeout_ms",
        "updated_ms",
        "version",
    )

    def __init__(self, transactional_id: str, producer_id: int) -> None:
        self.id = transactional_id
        self.producer_id = producer_id
        self.previous_producer_id = NO_PRODUCER
        self.next_producer_id = NO_PRODUCER
        """The one that the producer has when the present transaction is complete, where its own is used up."""
        self.epoch = NO_EPOCH
        self.last_epoch = NO_EPOCH
        """The epoch before, while whoever has it may still ask again for what raised it."""
        self.timeout_ms = 0
        self.state = State.EMPTY
        self.partitions: frozenset[tuple[str, int]] = frozenset()
        self.started_ms = NOT_STARTED
        self.updated_ms = NOT_STARTED
        self.version = 0
        """That of its protocol: 2 where every end raises the epoch."""

    def __repr__(self) -> str:
        """Return ID, state and producer."""
        return f"<transaction {self.id!r}: {self.state.shown}, producer {self.producer_id} epoch {self.epoch}>"

    @property
    def is_prepared(self) -> bool:
        """Whether it is decided, and its markers are not all written."""
        return self.state in PREPARED

    @property
    def is_over(self) -> bool:
        """Whether nothing is open."""
        return self.state in OVER

    @property
    def identity(self) -> Identity:
        """What its producer is to use: also before the markers are written."""
        if self.next_producer_id != NO_PRODUCER:
            return Identity(self.next_producer_id, 0)
        return Identity(self.producer_id, self.epoch)

    # --- whose it is ---

    def claim(self, timeout_ms: int, expected: Identity | None, now: int, new_producer_id: Callable[[], int]) -> None:
        """Give it to who asks, with an epoch that fences whoever had it; an open transaction is aborted first.

        `expected` is what the producer says that it has (KIP-360): then nobody else may have it by now, and asking
        again changes nothing.
        """
        if expected is not None and not self._may_be(expected):
            raise Refused(ErrorCode.PRODUCER_FENCED, f"the transactional ID {self.id!r} is another's now")
        if self.is_prepared:
            raise Refused(ErrorCode.CONCURRENT_TRANSACTIONS, "the markers of its transaction are being written")
        if self.state is State.ONGOING:
            self.fence(now, new_producer_id)
            return
        if self.epoch >= EXHAUSTED and (expected is None or expected.epoch == self.epoch):
            last = NO_EPOCH if expected is None else self.epoch
            self._become(new_producer_id(), 0, last)
        elif expected is None:
            self._become(self.producer_id, self.epoch + 1, NO_EPOCH)
        elif self.epoch in (NO_EPOCH, expected.epoch):
            self._become(self.producer_id, self.epoch + 1, self.epoch)
        elif expected.epoch == self.last_epoch:
            self._become(self.producer_id, self.epoch, self.last_epoch)
        else:
            raise Refused(ErrorCode.PRODUCER_FENCED, f"epoch {expected.epoch} is over; it is {self.epoch}")
        self.timeout_ms = timeout_ms
        self.state = State.EMPTY
        self.partitions = frozenset()
        self.started_ms = NOT_STARTED
        self.updated_ms = now

    def fence(self, now: int, new_producer_id: Callable[[], int]) -> None:
        """Abort the open transaction of a producer that took too long, or lost its ID to another (KIP-588)."""
        self._prepare(commit=False, version=BUMPED, now=now, new_producer_id=new_producer_id)

    def _may_be(self, expected: Identity) -> bool:
        """Tell whether the producer that has this identity may still own the ID."""
        return (
            self.epoch == NO_EPOCH
            or expected.producer_id == self.producer_id
            or (expected.producer_id == self.previous_producer_id and expected.epoch >= EXHAUSTED)
        )

    def _become(self, producer_id: int, epoch: int, last_epoch: int) -> None:
        """Change the producer's identity."""
        self.previous_producer_id = self.producer_id
        self.producer_id, self.epoch, self.last_epoch = producer_id, epoch, last_epoch

    # --- what takes part ---

    def check(self, identity: Identity) -> None:
        """Refuse a producer that does not own the ID, and one that comes before the last transaction is complete."""
        if identity.producer_id != self.producer_id:
            raise Refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING, "this is not its producer ID")
        if identity.epoch != self.epoch:
            raise Refused(ErrorCode.PRODUCER_FENCED, f"the producer has epoch {identity.epoch}; it is {self.epoch}")
        if self.is_prepared:
            raise Refused(ErrorCode.CONCURRENT_TRANSACTIONS, "the markers of its transaction are being written")

    def add(self, partitions: Partitions, identity: Identity, version: int, now: int) -> bool:
        """Let partitions join, and begin where nothing is open; return whether anything is new."""
        self.check(identity)
        if self.state is State.ONGOING and self.partitions.issuperset(partitions):
            return False
        if self.state is not State.ONGOING:
            self.state = State.ONGOING
            self.started_ms = now
        self.previous_producer_id = self.producer_id
        self.partitions = self.partitions.union(partitions)
        self.version = version
        self.updated_ms = now
        return True

    # --- how it ends ---

    def end(
        self, identity: Identity, commit: bool, *, version: int, now: int, new_producer_id: Callable[[], int]
    ) -> bool:
        """Decide; return False where it was decided so already, and the producer only asks again."""
        if version >= BUMPED:
            decided = self._check_bumped_end(identity, commit)
        else:
            decided = self._check_end(identity, commit)
        if decided:
            return False
        self._prepare(commit=commit, version=version, now=now, new_producer_id=new_producer_id)
        return True

    def complete(self, now: int) -> None:
        """Note that all markers are written."""
        self.state = State.COMPLETE_COMMIT if self.state is State.PREPARE_COMMIT else State.COMPLETE_ABORT
        self.previous_producer_id = self.producer_id
        self.producer_id, self.epoch = self.identity
        self.next_producer_id = NO_PRODUCER
        self.partitions = frozenset()
        self.updated_ms = now

    def _prepare(self, *, commit: bool, version: int, now: int, new_producer_id: Callable[[], int]) -> None:
        """Write the decision down. Where epochs are used up, the producer has another ID once it is complete."""
        if version >= BUMPED:
            if self.epoch >= EXHAUSTED:
                self.next_producer_id = new_producer_id()
            self.last_epoch, self.epoch = self.epoch, self.epoch + 1
        if self.state is not State.ONGOING:  # what is aborted without having begun begins now
            self.started_ms = now
        self.state = State.PREPARE_COMMIT if commit else State.PREPARE_ABORT
        self.previous_producer_id = self.producer_id
        self.version = version
        self.updated_ms = now

    def _check_end(self, identity: Identity, commit: bool) -> bool:
        """Refuse an end that cannot be, where epochs stay; return whether it was decided so already."""
        if identity.producer_id != self.producer_id:
            raise Refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING, "this is not its producer ID")
        if identity.epoch != self.epoch:
            raise Refused(ErrorCode.PRODUCER_FENCED, f"the producer has epoch {identity.epoch}; it is {self.epoch}")
        if self.state is State.ONGOING:
            return False
        return self._decided(commit)

    def _check_bumped_end(self, identity: Identity, commit: bool) -> bool:
        """Refuse an end that cannot be, where ends raise epochs; return whether it was decided so already.

        The state alone does not tell: with the present epoch it is another end, with the one before the same again.
        """
        overflowed = (
            identity.producer_id == self.previous_producer_id and identity.epoch == EXHAUSTED and self.epoch == 0
        )
        again = identity.epoch + 1 == self.epoch
        if identity.producer_id != self.producer_id and not overflowed:
            raise Refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING, "this is not its producer ID")
        complete = self.state in (State.COMPLETE_COMMIT, State.COMPLETE_ABORT)
        if self.is_prepared:
            valid = again
        elif complete:
            valid = again or overflowed or identity.epoch == self.epoch
        else:
            valid = identity.epoch == self.epoch
        if not valid:
            raise Refused(ErrorCode.PRODUCER_FENCED, f"the producer has epoch {identity.epoch}; it is {self.epoch}")
        if self.state is State.ONGOING:
            return False
        if self.is_prepared or (complete and (again or overflowed)):
            return self._decided(commit)
        if commit:
            raise self._impossible(commit)
        return False

    def _decided(self, commit: bool) -> bool:
        """Return True where the transaction ended so; refuse where it ended otherwise, or not at all, or not yet."""
        if self.state is (State.PREPARE_COMMIT if commit else State.PREPARE_ABORT):
            raise Refused(ErrorCode.CONCURRENT_TRANSACTIONS, "the markers of its transaction are being written")
        if self.state is not (State.COMPLETE_COMMIT if commit else State.COMPLETE_ABORT):
            raise self._impossible(commit)
        return True

    def _impossible(self, commit: bool) -> Refused:
        """Return the refusal of an end that the state does not allow."""
        wanted = "committed" if commit else "aborted"
        return Refused(ErrorCode.INVALID_TXN_STATE, f"a transaction in state {self.state.shown} cannot be {wanted}")
