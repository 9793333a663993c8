"""Who a producer is to the brokers: getting a producer ID, and beginning its further epochs. On the engine only."""

import asyncio
from collections.abc import Callable
from random import Random

from felice.clock import Clock
from felice.cluster.router import Cluster
from felice.config import ProducerConfig
from felice.errors import BrokerError, FeliceError, WireError
from felice.events import EventBus, ProducerEpochBumped
from felice.producer.sequence import LAST_EPOCH, Identity
from felice.wire.messages.init_producer_id import InitProducerIdRequest

__all__ = ["Identification"]

PATIENCE = 30.0
"""Seconds that one attempt to get a producer ID may take before it is begun anew."""


class Identification:
    """One producer's identity, as it is now."""

    def __init__(
        self,
        cluster: Cluster,
        config: ProducerConfig,
        *,
        clock: Clock,
        random: Random,
        events: EventBus,
        on_change: Callable[[], None],
        on_setback: Callable[[FeliceError], None],
    ) -> None:
        """Take what is called when there is an identity or no hope for one, and when an attempt has failed."""
        self._cluster = cluster
        self._config = config
        self._clock = clock
        self._random = random
        self._events = events
        self._on_change = on_change
        self._note = on_setback
        self._seeking: asyncio.Task[None] | None = None
        self.current: Identity | None = None
        """The producer's ID and epoch; None while it has none."""
        self.failure: FeliceError | None = None
        """Why it will never have one."""

    def seek(self) -> None:
        """Get a producer ID where there is none, unless that is under way or hopeless."""
        if self.current is None and self._seeking is None and self.failure is None:
            self._seeking = asyncio.get_running_loop().create_task(self._get())
            self._seeking.add_done_callback(self._found)

    async def _get(self) -> None:
        request = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=2**31 - 1)
        while True:
            try:
                response = await self._cluster.call(request, deadline=self._clock.monotonic() + PATIENCE)
            except FeliceError as error:
                if not error.retriable:
                    raise
                self._note(error)
                continue
            producer_id, epoch = response.producer_id, response.producer_epoch
            refused: FeliceError
            if response.error_code:
                refused = BrokerError(response.error_code, "asking for a producer ID")
                if not refused.retriable:
                    raise refused
            elif producer_id < 0 or epoch < 0:
                # With such numbers a batch is one of a producer that is not idempotent.
                refused = WireError(f"a broker gave out the producer ID {producer_id} with epoch {epoch}")
            else:
                self.current = Identity(producer_id, epoch)
                return
            self._note(refused)
            await asyncio.sleep(self._config.retry_backoff * self._random.uniform(0.8, 1.2))

    def _found(self, task: "asyncio.Task[None]") -> None:
        self._seeking = None
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failure = (
                error if isinstance(error, FeliceError) else FeliceError(f"asking for a producer ID: {error!r}")
            )
        self._on_change()

    def bump(self, reason: str) -> None:
        """Begin a new epoch; other partitions go on in the old one until nothing of theirs is under way."""
        if self.current is None:
            return
        if self.current.epoch >= LAST_EPOCH:
            self.current = None  # The epochs are used up: the next step asks for a new ID.
            self.seek()
            return
        self.current = Identity(self.current.producer_id, self.current.epoch + 1)
        self._events.emit(
            ProducerEpochBumped(
                client_id=self._config.client_id,
                producer_id=self.current.producer_id,
                producer_epoch=self.current.epoch,
                reason=reason,
            )
        )

    async def close(self) -> None:
        """Seek no more."""
        if self._seeking is not None:
            self._seeking.cancel()
            await asyncio.gather(self._seeking, return_exceptions=True)
