"""Keeps the picture of the cluster fresh: when to ask, for what, and who waits for it. Runs on the engine.

One task asks, one question at a time. It asks at once for topics that were never asked for; when somebody has met an
error, or a topic is without a leader, it asks again, with pauses that grow; and it asks by age. What it asks is for the
router to bring to a broker (`ask`).
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from random import Random

from felice.clock import Clock
from felice.cluster.backoff import Backoff
from felice.cluster.metadata import Changes, Metadata
from felice.config import ClientConfig
from felice.errors import BrokerError, ErrorCode, FeliceError
from felice.wire.messages.metadata import MetadataResponse

__all__ = ["HOPELESS", "MISSING_TOLD", "Refresher"]

_log = logging.getLogger("felice.cluster")

HOPELESS = frozenset({ErrorCode.INVALID_TOPIC_EXCEPTION, ErrorCode.TOPIC_AUTHORIZATION_FAILED})
"""Errors of a topic that waiting does not mend."""

MISSING_TOLD = 5.0
"""Seconds that somebody waits for a topic that is not there before that is told as an event."""

Ask = Callable[[list[str], bool], Awaitable[MetadataResponse]]
"""Called with topics and whether to ask only the addresses the user gave."""


class Refresher:
    """Decides when to ask for metadata, and wakes those who wait for it."""

    def __init__(
        self,
        metadata: Metadata,
        config: ClientConfig,
        clock: Clock,
        random: Random,
        ask: Ask,
        on_answer: Callable[[str, Changes], object],
    ) -> None:
        """Take how to ask, and whom to tell of each answer, as `on_answer(reason, changes)`."""
        self._metadata = metadata
        self._clock = clock
        self._max_age = config.metadata_max_age
        self._calm = 2 * config.retry_backoff_max
        self._backoff = Backoff(config.retry_backoff, config.retry_backoff_max, random)
        self._ask = ask
        self._on_answer = on_answer
        self._wanted: Counter[str] = Counter()
        self._new: dict[str, None] = {}  # topics that were never asked for
        self._reason = "start"  # why to ask again; empty where there is no need
        self._asked_at = float("-inf")
        self._pause = 0.0
        self._seeds_only = False
        self._bell = asyncio.Event()
        self._turns: list[asyncio.Future[None]] = []
        self.answered = False
        """Whether any broker ever answered."""
        self.last_error: FeliceError | None = None
        """Why the last question had no answer; None where it had one."""
        metadata.watch(self.wake)

    # -- what is wanted -------------------------------------------------------------------------------------------

    def want(self, names: Iterable[str]) -> None:
        """Keep these topics in the picture; counted, so each user says `unwant` once."""
        for name in names:
            if not self._wanted[name] and self._metadata.topic(name) is None:
                self._new[name] = None
            self._wanted[name] += 1
        if self._new:
            self._bell.set()

    def unwant(self, names: Iterable[str]) -> None:
        """Say that one user less wants these topics; what nobody wants is forgotten."""
        gone = []
        for name in names:
            self._wanted[name] -= 1
            if self._wanted[name] <= 0:
                del self._wanted[name]
                self._new.pop(name, None)
                gone.append(name)
        self._metadata.forget(gone)

    def request(self, reason: str) -> None:
        """Ask again soon: somebody has met an error, which `reason` tells. At once, if the last time is long ago."""
        if not self._reason:
            self._reason = reason
            self._bell.set()

    async def turn(self, deadline: float) -> None:
        """Wait until the picture has changed or a question has failed, or until `deadline`."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._turns.append(future)
        timer = loop.call_later(max(0.0, deadline - self._clock.monotonic()), _settle, future)
        try:
            await future
        finally:
            timer.cancel()
            if future in self._turns:
                self._turns.remove(future)

    def wake(self) -> None:
        """Let those who wait look again."""
        turns, self._turns = self._turns, []
        for future in turns:
            _settle(future)

    # -- the task -------------------------------------------------------------------------------------------------

    def due(self) -> float:
        """Return when to ask next, on the clock's monotonic time."""
        if self._new:
            return float("-inf")
        if self._reason:
            return self._asked_at + self._pause
        return self._asked_at + self._max_age

    async def run(self) -> None:
        """Ask whenever it is due, for ever."""
        while True:
            self._bell.clear()
            wait = self.due() - self._clock.monotonic()
            if wait > 0:
                timer = asyncio.get_running_loop().call_later(wait, self._bell.set)
                try:
                    await self._bell.wait()
                finally:
                    timer.cancel()
                continue
            await self._once()

    async def _once(self) -> None:
        """Ask once."""
        now = self._clock.monotonic()
        if now - self._asked_at > self._calm:
            self._backoff.reset()
        names = list(self._new) if self._new and not self._reason else list(self._wanted)
        reason = self._reason or ("new topics" if self._new else "age")
        seeds_only, self._seeds_only = self._seeds_only, False
        self._new.clear()
        self._reason = ""
        try:
            answer = await self._ask(names, seeds_only)
            if answer.error_code:
                self._seeds_only = answer.error_code == ErrorCode.REBOOTSTRAP_REQUIRED  # KIP-1102
                raise BrokerError(answer.error_code, "asking for metadata")
            self.answered = True
            self.last_error = None
            changes = self._metadata.apply(answer)
            # Race: 1. the question goes out; 2. a topic's last user says `unwant`; 3. the answer tells of it again.
            self._metadata.forget(name for name in names if name not in self._wanted)
        except FeliceError as error:
            self._fail(error)
        except Exception as error:
            _log.exception("refreshing metadata failed unexpectedly")
            wrapped = FeliceError(f"refreshing metadata failed: {error!r}")
            wrapped.__cause__ = error
            self._fail(wrapped)
        else:
            self._on_answer(reason, changes)
            if not self._reason:
                self._reason = self._unsettled()
        self._asked_at = self._clock.monotonic()
        self._pause = self._backoff.next()
        self.wake()

    def _fail(self, error: FeliceError) -> None:
        self.last_error = error
        self._reason = f"the last try failed: {error.message}"

    def _unsettled(self) -> str:
        """Tell why the answer is not good enough; empty where it is."""
        if not self._metadata.brokers:
            return "the cluster has no brokers yet"
        for name in self._wanted:
            view = self._metadata.topic(name)
            if view is None:
                if name not in self._new:
                    return f"no answer for topic {name}"
            elif view.error and view.error not in HOPELESS:
                return f"topic {name} has error {view.error}"
            elif view.leaderless:
                return f"no leader for {name}-{view.leaderless[0]}"
        return ""


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
