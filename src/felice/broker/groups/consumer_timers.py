"""What happens to members of a consumer group when their time is over."""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial

from felice.broker.clock import BrokerClock, Deadline
from felice.broker.groups.consumer_member import ConsumerMember, MemberState

__all__ = ["Timers", "Wait"]


class Wait(Enum):
    """What a member is waited for."""

    SESSION = auto()
    """A sign of life."""
    REVOCATION = auto()
    """That it gives up partitions."""
    JOIN = auto()
    """That it joins again, as members of the classic protocol do."""
    SYNC = auto()
    """That it asks for its assignment, as members of the classic protocol do."""


class Timers:
    """Timers of members, one for each kind of waiting.

    `session_timeout` gives a member's in milliseconds. `over` is told of a member's ID when it was waited for in vain,
    and of the epoch that it was to leave, if it was that.
    """

    def __init__(
        self,
        clock: BrokerClock,
        session_timeout: Callable[[ConsumerMember], int],
        over: Callable[[str, int | None], object],
    ) -> None:
        self._clock = clock
        self._session_timeout = session_timeout
        self._over = over
        self._waits: dict[tuple[str, Wait], Deadline] = {}

    def keep_alive(self, member: ConsumerMember) -> None:
        """Begin a member's session anew."""
        self._set(member.id, Wait.SESSION, self._session_timeout(member))

    def expect(self, member: ConsumerMember, wait: Wait) -> None:
        """Give a member its rebalance timeout for something: for joining again as it is running, else from now on."""
        if wait is not Wait.JOIN or (member.id, wait) not in self._waits:
            self._set(member.id, wait, member.rebalance_timeout_ms)

    def expect_revocation(self, member: ConsumerMember) -> None:
        """Give a member its rebalance timeout from now on if it has partitions to give up.

        Members of the classic protocol are told to join again instead.
        """
        if member.classic is None:
            self.cancel(member.id, Wait.REVOCATION)
            if member.state is MemberState.UNREVOKED_PARTITIONS:
                self._set(member.id, Wait.REVOCATION, member.rebalance_timeout_ms, member.epoch)

    def cancel(self, member_id: str, *waits: Wait) -> None:
        """End a member's waits, all of them where none is named."""
        for wait in waits or Wait:
            deadline = self._waits.pop((member_id, wait), None)
            if deadline is not None:
                deadline.cancel()

    def clear(self) -> None:
        """End all waits."""
        for deadline in self._waits.values():
            deadline.cancel()
        self._waits.clear()

    def _set(self, member_id: str, wait: Wait, milliseconds: int, epoch: int | None = None) -> None:
        """Begin a wait anew; one that has an `epoch` must have ended before."""
        key = member_id, wait
        deadline = self._waits.get(key)
        if deadline is None:
            deadline = self._waits[key] = Deadline(self._clock, partial(self._ring, key, epoch))
        deadline.put_off(milliseconds / 1000)

    def _ring(self, key: tuple[str, Wait], epoch: int | None) -> None:
        """Tell that a wait is over."""
        del self._waits[key]
        self._over(key[0], epoch)
