"""Background tasks that cannot die unnoticed. Runs on the engine."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

__all__ = ["Supervisor"]

_log = logging.getLogger("felice.cluster")


class Supervisor:
    """Tasks of one client: a failure is logged and told; closing leaves none behind."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_failure: Callable[[str, BaseException], object]) -> None:
        """Take whom to tell, as `on_failure(name of the task, error)`, when a task ends by an exception."""
        self._loop = loop
        self._on_failure = on_failure
        self._tasks: set[asyncio.Task[Any]] = set()

    def spawn(self, coroutine: Coroutine[Any, Any, Any], name: str) -> "asyncio.Task[Any]":
        """Run a coroutine in the background."""
        task = self._loop.create_task(coroutine, name=f"felice {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("the task %r failed", task.get_name(), exc_info=error)
            self._on_failure(task.get_name(), error)

    async def close(self, timeout: float) -> int:
        """Cancel all tasks and wait for their ends, up to `timeout` seconds; return how many are left."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=max(0.0, timeout))
        return len(self._tasks)
