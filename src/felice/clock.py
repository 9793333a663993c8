"""Time, handed in: nothing below the public classes reads a clock of its own."""

import math
import time
from typing import Protocol

from felice.errors import UsageError


class Clock(Protocol):
    """What the engine, the clients and the broker need to know of time."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never goes back; deadlines are absolute values of it."""
        ...

    def time_ms(self) -> int:
        """Return wall-clock milliseconds since 1970, as record timestamps hold them."""
        ...


def check_timeout(timeout: float, *, none: str = "") -> float:
    """Return a caller's timeout in seconds; UsageError for what is no number. `none` says what None would have meant.

    Checked before anything waits: deep down, where it is first used, nobody would know whose it was.
    """
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or math.isnan(timeout):
        hint = "give a number of seconds" + (f", or None to wait {none}" if none else "")
        raise UsageError(f"timeout={timeout!r}", hint=hint)
    return timeout


class SystemClock:
    """The machine's own clocks."""

    __slots__ = ()

    def monotonic(self) -> float:
        """Return `time.monotonic()`, in seconds."""
        return time.monotonic()

    def time_ms(self) -> int:
        """Return the wall clock in whole milliseconds."""
        return time.time_ns() // 1_000_000
