"""What happens to members of a consumer group when their time is over."""

from collections.abc import Callable
from enum import Enum, auto

from felice.broker.clock import BrokerClock, Timer

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
    """Timers of members, one for each kind of waiting."""

    def __init__(self, clock: BrokerClock) -> None:
        self._clock = clock
        self._timers: dict[tuple[str, Wait], Timer] = {}
        self._deadlines: dict[tuple[str, Wait], float] = {}

    def set(self, member_id: str, wait: Wait, seconds: float, function: Callable[[], object]) -> None:
        """Have a function called when so much time has passed, instead of what was to be called before.

        Most waits begin anew before they end. So a timer that rings no later is kept, and looks then how much time
        there is by now; functions of one wait must do the same, whichever of them is called.
        """
        key = member_id, wait
        self._deadlines[key] = deadline = self._clock.monotonic() + seconds
        present = self._timers.get(key)
        if present is None or present.function is None or present.due > deadline:
            if present is not None:
                present.cancel()
            self._timers[key] = self._clock.call_later(seconds, self._ring, key, function)

    def set_if_absent(self, member_id: str, wait: Wait, seconds: float, function: Callable[[], object]) -> None:
        """Begin a wait that is not under way."""
        if (member_id, wait) not in self._timers:
            self.set(member_id, wait, seconds, function)

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

    def _ring(self, key: tuple[str, Wait], function: Callable[[], object]) -> None:
        """Call the function, unless the wait has begun anew meanwhile."""
        left = self._deadlines[key] - self._clock.monotonic()
        if left > 0:
            self._timers[key] = self._clock.call_later(left, self._ring, key, function)
        else:
            del self._timers[key], self._deadlines[key]
            function()
