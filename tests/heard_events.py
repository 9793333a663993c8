"""The events that a client told, for tests to look at and to wait for. On the loop where they are told."""

import asyncio
from typing import Any

from felice.events import Event


class Told(list[Event]):
    """The events that were emitted."""

    def __init__(self) -> None:
        self._news = asyncio.Event()

    def hear(self, event: Event) -> None:
        self.append(event)
        self._news.set()

    async def wait_for(self, kind: type[Event]) -> None:
        """Wait until there is one of this kind."""
        async with asyncio.timeout(5):
            while not self.of(kind):
                self._news.clear()
                await self._news.wait()

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if type(event) is kind]
