"""The broker's time: as it passes, or faster, when a test says so; and what is to happen at a certain time.

Timeouts of groups, transactions and offsets run on it. Long polls do not: real clients wait for them in real time.
"""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Any

from felice.clock import Clock, SystemClock
from felice.errors import UsageError

__all__ = ["BrokerClock", "Deadline", "StoppedClock", "Timer"]

SHORTEST_SLEEP = 0.001
CROWD = 256
"""How many timers there may be before cancelled ones are looked for among them."""


class StoppedClock:
    """A clock that stands still: `Broker(clock=StoppedClock())` knows no other time than what `advance` lets pass."""

    __slots__ = ("_time_ms",)

    def __init__(self, time_ms: int | None = None) -> None:
        """Take the time that it shows, in milliseconds since 1970; by default that of its making."""
        self._time_ms = SystemClock().time_ms() if time_ms is None else time_ms

    def monotonic(self) -> float:
        """Return 0."""
        return 0.0

    def time_ms(self) -> int:
        """Return the same milliseconds since 1970, always."""
        return self._time_ms


class Timer:
    """A call that is due at a time; `cancel` it where it is not wanted any more."""

    __slots__ = ("args", "due", "function")

    def __init__(self, due: float, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self.due = due
        """On the broker's clock, in seconds."""
        self.function: Callable[..., object] | None = function
        self.args = args

    def cancel(self) -> None:
        """Let it not happen. Again, or afterwards, does nothing."""
        self.function, self.args = None, ()


class BrokerClock:
    """Another clock, ahead of it by as much as `advance` was told.

    Over a clock that stands still nothing passes but by `advance`. Timers are set and run on the broker's loop.
    """

    def __init__(
        self, base: Clock, run: Callable[[Callable[[], None]], None], tell: Callable[[], object] = lambda: None
    ) -> None:
        """Take the clock underneath, how to run something on the broker's loop, and who hears there of calls made."""
        self._base = base
        self._run = run
        self._tell = tell
        self._ahead = 0.0
        self._timers: list[tuple[float, int, Timer]] = []
        self._crowded = CROWD
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._alarm: asyncio.TimerHandle | None = None

    def monotonic(self) -> float:
        """Return seconds; only differences mean something."""
        return self._base.monotonic() + self._ahead

    def time_ms(self) -> int:
        """Return milliseconds since 1970."""
        return self._base.time_ms() + round(self._ahead * 1000)

    def advance(self, seconds: float) -> None:
        """Let time pass at once, and all that is due by then happen, in its order. From any thread.

        What is due because of something that happened on the way happens too, at its own time.
        """
        if seconds < 0:
            raise UsageError(f"advance({seconds}): time does not go back")
        self._run(lambda: self._pass(seconds))

    def call_later(self, seconds: float, function: Callable[..., object], *args: Any) -> Timer:
        """Have a function called when so much time has passed. On the broker's loop only."""
        timer = Timer(self.monotonic() + seconds, function, args)
        if len(self._timers) >= self._crowded:
            self._sweep()
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        if self._timers[0][2] is timer:
            self._arm()
        return timer

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Run timers on this loop from now on."""
        self._loop = loop
        self._arm()

    def clear(self) -> None:
        """Forget all timers."""
        self._timers.clear()
        self._arm()

    def reset(self) -> None:
        """Forget all timers, and be where the clock underneath is."""
        self._ahead = 0.0
        self.clear()

    def _pass(self, seconds: float) -> None:
        """Go on to a later time, from one timer to the next."""
        goal = self._ahead + seconds
        while self._timers and (due := self._timers[0][0]) <= self._base.monotonic() + goal:
            self._ahead = max(self._ahead, min(goal, due - self._base.monotonic()))
            self._fire()
        self._ahead = goal
        self._arm()

    def _fire(self) -> None:
        """Make the call that is due first."""
        timer = heapq.heappop(self._timers)[2]
        function, args = timer.function, timer.args
        if function is not None:
            timer.cancel()
            function(*args)

    def _ring(self) -> None:
        """Make all calls that are due."""
        self._alarm = None
        try:
            while self._timers and self._timers[0][0] <= self.monotonic():
                self._fire()
        finally:  # One that fails does not stop the others.
            self._arm()
            self._tell()

    def _sweep(self) -> None:
        """Drop cancelled timers, and do so again when there are twice as many as are left."""
        self._timers = [entry for entry in self._timers if entry[2].function is not None]
        heapq.heapify(self._timers)
        self._crowded = max(CROWD, 2 * len(self._timers))

    def _arm(self) -> None:
        """Have the loop ring when the next timer is due; cancelled ones before it are dropped."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        while self._timers and self._timers[0][2].function is None:
            heapq.heappop(self._timers)
        if self._timers and self._loop is not None:
            left = self._timers[0][0] - self.monotonic()
            if left > 0 and isinstance(self._base, StoppedClock):
                return  # The time does not come by waiting for it.
            self._alarm = self._loop.call_later(max(left, SHORTEST_SLEEP), self._ring)


class Deadline:
    """The end of a wait that is put off again and again, as that of a session is, and what happens when it comes.

    Its timer is kept where it rings no later, and looks then how much time there is by now: so putting off costs
    hardly anything.
    """

    __slots__ = ("_clock", "_due", "_over", "_timer")

    def __init__(self, clock: BrokerClock, over: Callable[[], object]) -> None:
        self._clock = clock
        self._over = over
        self._due = 0.0
        self._timer: Timer | None = None

    def put_off(self, seconds: float) -> None:
        """Let it come in so many seconds, and not when it was to come before."""
        self._due = self._clock.monotonic() + seconds
        if self._timer is not None and self._timer.due > self._due:
            self.cancel()
        if self._timer is None:
            self._timer = self._clock.call_later(seconds, self._ring)

    def cancel(self) -> None:
        """Let it not come, unless it is put off anew."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        """See whether it has come."""
        self._timer = None
        left = self._due - self._clock.monotonic()
        if left > 0:
            self._timer = self._clock.call_later(left, self._ring)
        else:
            self._over()
