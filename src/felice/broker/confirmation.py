"""What is written with acks=all while a replica in sync lags: the answer waits until all in sync have the records.

Clients write so, and coordinators always do.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from felice.broker.partition import Partition
from felice.broker.watcher import Watcher
from felice.errors import ErrorCode

__all__ = ["COORDINATORS", "Confirmation", "Judged", "Outcome", "Unconfirmed"]

COORDINATORS: Final = {
    ErrorCode.NONE: ErrorCode.NONE,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: ErrorCode.NOT_COORDINATOR,
    ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND: ErrorCode.COORDINATOR_NOT_AVAILABLE,
    ErrorCode.REQUEST_TIMED_OUT: ErrorCode.COORDINATOR_NOT_AVAILABLE,
}
"""How coordinators tell what became of their records."""


class Judged(Protocol):
    """What has an error code: a part of an answer."""

    error_code: int


class Alarm(Protocol):
    """What can be called off."""

    def cancel(self) -> object:
        """Let it not ring."""
        ...


class Outcome:
    """What became of records for which an answer has no part of its own."""

    __slots__ = ("error_code",)

    def __init__(self) -> None:
        self.error_code: int = ErrorCode.NONE


J = TypeVar("J", bound=Judged)


class Unconfirmed(NamedTuple, Generic[J]):
    """Records that were appended, and that not all replicas in sync have."""

    partition: Partition
    needed: int
    """The high watermark with which they all have them."""
    result: J

    def outcome(self, node_id: int) -> ErrorCode | None:
        """Return the code to answer with, or None where it is too early."""
        partition = self.partition
        if partition.leader != node_id:
            return ErrorCode.NOT_LEADER_OR_FOLLOWER
        if partition.high_watermark < self.needed:
            return None
        if partition.is_short:
            return ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND
        return ErrorCode.NONE


class Confirmation(Watcher):
    """An answer that waits; registered with the partitions until its future is done."""

    __slots__ = ("_finish", "_node_id", "_partitions", "_timer", "_waiting", "future")

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        node_id: int,
        waiting: Iterable[Unconfirmed[Any]],
        seconds: float,
        finish: Callable[[], Any],
        *,
        call_later: Callable[[float, Callable[[], object]], Alarm] | None = None,
    ) -> None:
        """Take what waits on a node and for how long; `finish` gives the answer when all results have their codes.

        The time is the loop's unless another clock's `call_later` is given.
        """
        self._node_id = node_id
        self._waiting = list(waiting)
        self._finish = finish
        self.future: asyncio.Future[Any] = loop.create_future()
        self._timer = (call_later or loop.call_later)(seconds, self._time_up)
        self._partitions = {unconfirmed.partition for unconfirmed in self._waiting}
        for partition in self._partitions:
            partition.watchers.add(self)
        self.future.add_done_callback(self._over)

    def changed(self) -> None:
        """Look whose outcome is known now."""
        left = []
        for unconfirmed in self._waiting:
            code = unconfirmed.outcome(self._node_id)
            if code is None:
                left.append(unconfirmed)
            else:
                unconfirmed.result.error_code = code
        self._waiting = left
        self._settle()

    def _time_up(self) -> None:
        """Give up on the rest: the records stay where they are."""
        for unconfirmed in self._waiting:
            unconfirmed.result.error_code = ErrorCode.REQUEST_TIMED_OUT
        self._waiting = []
        self._settle()

    def _settle(self) -> None:
        """Answer when nothing waits any more."""
        if not self._waiting and not self.future.done():
            self.future.set_result(self._finish())

    def _over(self, future: "asyncio.Future[Any]") -> None:
        """Take back what was registered, also where the connection is gone and the future cancelled."""
        self._timer.cancel()
        for partition in self._partitions:
            partition.watchers.discard(self)
