"""How long to wait before the next try: exponential, with jitter, so that clients that failed together part."""

from random import Random

__all__ = ["Backoff"]

JITTER = 0.2
"""The pause is up to this share shorter or longer."""


class Backoff:
    """The pauses between the tries of one thing, in seconds."""

    __slots__ = ("_first", "_most", "_random", "failures")

    def __init__(self, first: float, most: float, random: Random) -> None:
        """Take the first pause, the longest one, and where the jitter comes from."""
        self._first = first
        self._most = max(first, most)
        self._random = random
        self.failures = 0
        """How often `next` was called since the last `reset`."""

    def next(self) -> float:
        """Return the pause after one more failure."""
        pause = min(self._first * 2.0 ** min(self.failures, 30), self._most)
        self.failures += 1
        return pause * self._random.uniform(1 - JITTER, 1 + JITTER)

    def reset(self) -> None:
        """Begin anew, after a success."""
        self.failures = 0
