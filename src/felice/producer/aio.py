"""The async face of a producer: what waits in the sync face is awaited here, and nothing else differs."""

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Unpack

from felice import native
from felice.config import ProducerConfig, ProducerOptions
from felice.config.addresses import Addresses
from felice.errors import DeliveryError
from felice.types import Header, K, RecordMetadata, V

if TYPE_CHECKING:
    from random import Random

    from felice.clock import Clock
    from felice.cluster.health import Health
    from felice.events import Listener
    from felice.producer._accumulator import AsyncFace, Delivery
    from felice.producer.delivery import BulkDelivery
else:
    AsyncFace = native.pick("felice.producer._accumulator").AsyncFace

__all__ = ["AsyncProducer"]


class AsyncProducer(AsyncFace[K, V]):
    """Sends records to Kafka from any event loop, also from several.

    Idempotent and `acks="all"` unless told otherwise: a record is written once and in order, or its delivery says what
    became of it. Use it in an `async with` block, whose end delivers what is left, or call `close`.

    The network has a thread of its own: a loop that is busy delays its own answers and nothing else. Keys and values
    are bytes or None; `key_serializer` and `value_serializer` turn others into them. Options are those of
    `ProducerConfig`, by name or as `config=`. `listeners` are called with every event, on felice's callback thread.
    """

    def __init__(
        self,
        bootstrap_servers: Addresses | None = None,
        *,
        config: ProducerConfig | None = None,
        key_serializer: Callable[[K], bytes | None] | None = None,
        value_serializer: Callable[[V], bytes | None] | None = None,
        listeners: "Iterable[Listener]" = (),
        clock: "Clock | None" = None,
        random: "Random | None" = None,
        **options: Unpack[ProducerOptions],
    ) -> None:
        # Imported with the first producer: the network's rooms, asyncio among them, are most of what importing costs.
        from felice.producer.core import make_core

        core = make_core(
            config,
            bootstrap_servers,
            options,
            key_serializer=key_serializer,
            value_serializer=value_serializer,
            listeners=listeners,
            clock=clock,
            random=random,
        )
        super().__init__(core)

    @property
    def config(self) -> ProducerConfig:
        """The options that this producer runs with."""
        return self._core.config

    @property
    def health(self) -> "Health":
        """What the connection to the cluster is like; from any thread."""
        return self._core.health

    # `send` is the accumulator's own coroutine: one in Python would cost as much again.

    def try_send(
        self,
        topic: str,
        value: V | None = None,
        *,
        key: K | None = None,
        headers: Iterable[Header] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> "Delivery":
        """Accept one record without ever waiting; raise BufferFull where there is no room. Otherwise as `send`."""
        return self._core._try_send(topic, value, key, headers, partition, timestamp_ms)

    async def send_and_wait(
        self,
        topic: str,
        value: V | None = None,
        *,
        key: K | None = None,
        headers: Iterable[Header] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
        timeout: float | None = None,
    ) -> RecordMetadata:
        """Send one record, without linger, and wait up to `timeout` seconds for the place where it was written."""
        delivery = await self.send(
            topic, value, key=key, headers=headers, partition=partition, timestamp_ms=timestamp_ms
        )
        return await self._core._within(delivery, timeout)

    async def send_many(
        self,
        topic: str,
        values: Iterable[V | None],
        *,
        keys: Iterable[K | None] | None = None,
        headers: Iterable[Iterable[Header] | None] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> "BulkDelivery":
        """Accept many records, waiting for room as `send` does; one handle stands for all.

        `keys` and `headers`, where given, have one entry a value. All are checked before the first is accepted. When
        room runs out for `buffer_timeout`, BufferFull is raised with `accepted`, the number of records that were
        accepted, and `delivery`, their handle.
        """
        many = self._core._prepare_many(topic, values, keys, headers, partition, timestamp_ms)
        while (record := self._core._offer_rest(many)) is not None:
            with many.told():
                many.add(await self._core._accept_awaiting(record))
        return many.delivery()

    async def flush(self, timeout: float | None = None) -> None:
        """Send everything that was accepted, without linger, and wait until each record has its outcome.

        Waits up to `timeout` seconds, the delivery timeout if not given; then raises DeadlineExceeded. Raises
        DeliveryError with counts when records failed whose outcome nobody has asked for.
        """
        self._core._check_usable()
        await self._core._engine.run_async(self._core._flush, self._core.patience(timeout))

    async def partitions_for(self, topic: str, timeout: float = 30.0) -> int:
        """Return how many partitions a topic has, asking the cluster for up to `timeout` seconds."""
        self._core._check_usable()
        return await self._core._engine.run_async(self._core._partitions_for, topic, timeout)

    async def ready(self, timeout: float = 30.0) -> None:
        """Wait up to `timeout` seconds for the cluster; DeadlineExceeded tells what stood in the way."""
        self._core._check_usable()
        await self._core._engine.run_async(self._core._ready, timeout)

    async def close(self, timeout: float | None = None) -> None:
        """Refuse further records, deliver what was accepted, and let everything go.

        What is not delivered within `timeout` seconds, the delivery timeout if not given, fails. Raises DeliveryError
        with counts when records failed whose outcome nobody has asked for. May be called again, and then waits for
        the end, too, up to its own timeout.
        """
        patience = self._core.patience(timeout)
        if self._core._stop_accepting():
            await self._core._engine.run_async(self._core._close, patience)

    async def __aenter__(self) -> "AsyncProducer[K, V]":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            # Whoever leaves by an error, or by Ctrl-C, is not kept waiting for brokers that may not be there.
            await self.close(None if error is None else self._core.hurried)
        except DeliveryError:
            if error is None:
                raise
            # The error that ended the block is the one to see; each failed batch has been told as an event.

    def __repr__(self) -> str:
        return f"AsyncProducer({', '.join(map(str, self._core.config.addresses))})"
