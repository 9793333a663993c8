"""What a suite is: how it is got ready, and how it yields the outcome of each of its cases on a contestant."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from judges.contestant import Contestant
from judges.outcome import Outcome


@dataclass(frozen=True)
class Order:
    """Which cases are wanted: those whose name holds one of the words, or all; and whether only the quick ones."""

    words: tuple[str, ...] = ()
    quick: bool = False

    def wants(self, case: str) -> bool:
        """Tell whether this case is to be run."""
        return not self.words or any(word in case for word in self.words)


@dataclass(frozen=True)
class Suite:
    """A suite by name, with the folder or file it was made in."""

    name: str
    about: str
    prepare: Callable[[], object]
    run: Callable[[Contestant, Order], Iterator[Outcome]]
    quick: bool = field(default=False)
    """Whether a part of it belongs to a quick run."""


_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def plain(line: str) -> str:
    """Take the colours out of a line."""
    return _COLOURS.sub("", line)


def brief(text: str, length: int = 300) -> str:
    """Make one line of bounded length out of a reason."""
    line = " ".join(plain(text).split())
    return line if len(line) <= length else f"{line[: length - 1]}…"
