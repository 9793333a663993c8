"""Idempotence: the sequence numbers of one partition, and what each answer of a broker means for them. Pure.

Theory of operation. Every record of a partition has a serial number: how many came before it. A batch's sequence
number is its serial number minus the `origin` of the partition's present epoch. Brokers take batches of an epoch only
in unbroken sequence, so when a batch fails for good its numbers leave a hole. What was sent after it keeps its bytes,
since it may have been written; nothing new is stamped (`restart`) until all that is settled, and then the partition
begins a new epoch at sequence 0 (KIP-360). A broker that has nothing of a producer yet takes its first batch at any
sequence; so until one of an epoch is acknowledged, only one at a time is under way: otherwise the second could be
written where the first was refused (the leader changed between them), and the first after it. When the broker says of
the oldest batch that its number is out of order, it has written none of those that follow either: then they can all
be stamped anew.
"""

from enum import Enum, auto
from typing import NamedTuple, Protocol

from felice.error_codes import ErrorCode, traits

SEQUENCE_MASK = 0x7FFFFFFF
LAST_EPOCH = 32767


class Identity(NamedTuple):
    """A producer's ID, and the epoch that sets its lives apart."""

    producer_id: int
    epoch: int


class Stamped(Protocol):
    """What a batch carries of its numbers."""

    serial: int
    producer_id: int
    producer_epoch: int
    base_sequence: int

    def __len__(self) -> int: ...


class Sequence:
    """One partition's numbers."""

    __slots__ = ("established", "identity", "next_serial", "origin", "restart")

    def __init__(self) -> None:
        self.identity: Identity | None = None
        self.next_serial = 0
        self.origin = 0
        self.established = False
        """Whether the broker is known to have something of the present epoch."""
        self.restart = False
        """Whether a hole in the numbers makes a new epoch necessary, once nothing stamped is left."""

    def may_stamp(self, unsettled: bool, current: Identity | None) -> bool:
        """Tell whether a further batch may be given numbers; `unsettled`: some stamped ones have no outcome yet."""
        if current is None:
            return False
        return not (unsettled and (self.restart or self.identity != current))

    def stamp(self, batch: Stamped, current: Identity | None) -> None:
        """Give a batch the next numbers; under `current`, the producer's identity, if it is idempotent."""
        if current is not None and (self.identity != current or self.restart):
            self.identity = current
            self.origin = self.next_serial
            self.restart = False
            self.established = False
        batch.serial = self.next_serial
        self.next_serial += len(batch)
        self._number(batch)

    def _number(self, batch: Stamped) -> None:
        if self.identity is not None:
            batch.producer_id, batch.producer_epoch = self.identity
            batch.base_sequence = (batch.serial - self.origin) & SEQUENCE_MASK

    def begin_again(self, unsettled: list[Stamped], current: Identity) -> None:
        """Stamp batches that are known not to have been written anew, from sequence 0 of a new epoch.

        `unsettled` is all that was stamped and has no outcome, in order.
        """
        self.identity = current
        self.restart = False
        self.established = False
        serial = self.next_serial
        for batch in unsettled:
            batch.serial = serial
            serial += len(batch)
        self.origin = self.next_serial
        self.next_serial = serial
        for batch in unsettled:
            self._number(batch)

    def delivered(self, batch: Stamped) -> None:
        """A stamped batch was acknowledged."""
        if self.identity == (batch.producer_id, batch.producer_epoch):
            self.established = True

    def lost(self, batch: Stamped, last: bool, in_doubt: bool) -> None:
        """A stamped batch failed for good. `last`: nothing was stamped after it."""
        if self.identity is None:
            return
        if last and not in_doubt:
            self.next_serial = batch.serial  # Certainly not written, and nothing builds on its numbers.
        else:
            self.restart = True


class Verdict(Enum):
    """What a broker's answer about a batch means."""

    DELIVERED = auto()
    RETRY = auto()
    RETRY_IN_DOUBT = auto()
    """As RETRY, but the batch may have been written."""
    FOLLOW = auto()
    """Not written for want of one before it: goes again behind that one."""
    BEGIN_AGAIN = auto()
    """Not written, nor anything after it: stamp all anew in a new epoch and go on."""
    SPLIT = auto()
    FAIL = auto()
    FAIL_IN_DOUBT = auto()
    FATAL = auto()
    """This producer can do nothing more."""


_FATAL = frozenset(
    {
        ErrorCode.INVALID_PRODUCER_EPOCH,
        ErrorCode.PRODUCER_FENCED,
        ErrorCode.CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_IN_DOUBT = frozenset({ErrorCode.REQUEST_TIMED_OUT, ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND})
_TOO_LARGE = frozenset({ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE})
_NUMBERS = frozenset({ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, ErrorCode.UNKNOWN_PRODUCER_ID})


def verdict(code: int, *, records: int, oldest: bool, idempotent: bool) -> Verdict:
    """Say what an answer means for a batch of so many records; `oldest`: nothing stamped before it is unsettled."""
    if code in (ErrorCode.NONE, ErrorCode.DUPLICATE_SEQUENCE_NUMBER):
        # The broker has the very batch already: an earlier try of it was written and the answer lost.
        return Verdict.DELIVERED
    if code in _TOO_LARGE:
        return Verdict.SPLIT if records > 1 else Verdict.FAIL
    if idempotent and code in _NUMBERS:
        return Verdict.BEGIN_AGAIN if oldest else Verdict.FOLLOW
    if code in _FATAL:
        return Verdict.FATAL
    if code in _IN_DOUBT:
        return Verdict.RETRY_IN_DOUBT
    if code == ErrorCode.UNKNOWN_SERVER_ERROR:
        return Verdict.FAIL_IN_DOUBT
    return Verdict.RETRY if traits(code).retriable else Verdict.FAIL
