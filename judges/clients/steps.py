"""What the round trips in Python share: steps by name, each run in a process of its own.

`python with_aiokafka.py --list` names the steps of a client, `python with_aiokafka.py HOST:PORT STEP` runs one; it ends
well or with a traceback. A step makes its own topics, under names that nobody else uses.
"""

import asyncio
import inspect
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

PARTITIONS = 4
COUNT = 200
TIMEOUT = 20.0
"""Seconds that any one wait of a step may take."""

Step = Callable[[str], Any]
_steps: dict[str, Step] = {}


def step(name: str) -> Callable[[Step], Step]:
    """Register a step, a function or coroutine function that takes the broker's address."""

    def register(function: Step) -> Step:
        _steps[name] = function
        return function

    return register


def fresh(what: str) -> str:
    """Make a name that nobody else uses."""
    return f"{what}-{uuid.uuid4().hex[:10]}"


def letters(count: int = COUNT, first: int = 0) -> list[tuple[bytes, bytes]]:
    """Make keys and values, of different sizes."""
    return [(b"k%d" % (n % 17), b"%d:" % n + b"Dearest Felice, " * (n % 9)) for n in range(first, first + count)]


def same(found: Any, expected: Any, what: str) -> None:
    """Raise AssertionError, with both, unless they are equal."""
    if found != expected:
        raise AssertionError(f"{what}: {found!r}, not {expected!r}")


async def until(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    """Ask again and again until something holds, where nobody tells when it does."""
    deadline = time.monotonic() + TIMEOUT
    while not await holds():
        assert time.monotonic() < deadline, f"{what}: not within {TIMEOUT:.0f} s"
        await asyncio.sleep(0.05)


def main() -> None:
    """List the steps, or run one."""
    if sys.argv[1:] == ["--list"]:
        print(*_steps, sep="\n")
        return
    servers, name = sys.argv[1:]
    result = _steps[name](servers)
    if inspect.iscoroutine(result):
        asyncio.run(result)
