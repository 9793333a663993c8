"""Time, handed in: nothing below the public classes reads a clock of its own."""

import time
from typing import Protocol


class Clock(Protocol):
    """What the engine, the clients and the broker need to know of time."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; deadlines are absolute values of it."""
        ...

    def time_ms(self) -> int:
        """Return wall-clock milliseconds since 1970, as record timestamps hold them."""
        ...


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Return `time.monotonic()`, in seconds."""
        return time.monotonic()

    def time_ms(self) -> int:
        """Return the wall clock in whole milliseconds."""
        return time.time_ns() // 1_000_000
