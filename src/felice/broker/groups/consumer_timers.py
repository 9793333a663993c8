"""What happens to members of a consumer group when their time is over."""

from collections.abc import Callable
from enum import Enum, auto
from functools import partial

from felice.broker.clock import BrokerClock, Timer
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
        self._timers: dict[tuple[str, Wait], Timer] = {}
        self._deadlines: dict[tuple[str, Wait], float] = {}

    def keep_alive(self, member: ConsumerMember) -> None:
        """Begin a member's session anew."""
        self._set(member.id, Wait.SESSION, self._session_timeout(member))

    def expect(self, member: ConsumerMember, wait: Wait) -> None:
        """Give a member its rebalance timeout for something: for joining again as it is running, else from now on."""
        if wait is not Wait.JOIN or (member.id, wait) not in self._timers:
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
            timer = self._timers.pop((member_id, wait), None)
            if timer is not None:
                timer.cancel()

    def clear(self) -> None:
        """End all waits."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _set(self, member_id: str, wait: Wait, milliseconds: int, epoch: int | None = None) -> None:
        """Begin a wait anew.

        Most waits begin anew before they end. So a timer that rings no later is kept, and looks then how much time
        there is by now.
        """
        key, seconds = (member_id, wait), milliseconds / 1000
        self._deadlines[key] = deadline = self._clock.monotonic() + seconds
        present = self._timers.get(key)
        if present is None or present.function is None or present.due > deadline:
            if present is not None:
                present.cancel()
            self._timers[key] = self._clock.call_later(seconds, self._ring, key, partial(self._over, member_id, epoch))

    def _ring(self, key: tuple[str, Wait], over: Callable[[], object]) -> None:
        """Tell that a wait is over, unless it has begun anew meanwhile."""
        left = self._deadlines[key] - self._clock.monotonic()
        if left > 0:
            self._timers[key] = self._clock.call_later(left, self._ring, key, over)
        else:
            del self._timers[key], self._deadlines[key]
            over()
