# The types of the accumulator, compiled and plain.
from collections import deque
from collections.abc import Awaitable, Callable, Generator, Iterable
from typing import Any, Final, Generic, Literal, TypeAlias

from felice.clock import Clock
from felice.config import TopicConfig
from felice.producer.core import ProducerCore
from felice.types import Header, K, RecordMetadata, V
from felice.wire.records import BatchBuilder

OPEN: Final = 0
SEALED: Final = 1
DELIVERED: Final = 2
FAILED: Final = 3

Reason: TypeAlias = Literal[1, 2, 3, 4, 5]
UNKNOWN_TOPIC: Final = 1
NO_ROOM: Final = 2
TOO_LARGE: Final = 3
BAD_PARTITION: Final = 4
NOT_PLAIN: Final = 5

class Batch:
    queue: PartitionQueue
    builder: BatchBuilder
    count: int
    state: int
    base_offset: int
    append_time_ms: int
    error: Exception | None
    begun: float
    charge: int
    wanted: bool
    looked: bool
    moved: list[tuple[Batch, int] | None] | None
    payload: Any
    serial: int
    producer_id: int
    producer_epoch: int
    base_sequence: int
    attempts: int
    in_flight: bool
    in_doubt: bool
    def __init__(self, queue: PartitionQueue | None = None) -> None: ...
    def __len__(self) -> int: ...
    @property
    def done(self) -> bool: ...
    def reserve(self) -> int: ...
    def hurry(self) -> None: ...
    def place(self, index: int) -> tuple[Batch, int]: ...
    def move(self, index: int, target: Batch, target_index: int) -> None: ...
    def watch(self, index: int, hook: Callable[[], object], looks: bool = True) -> None: ...
    def unwatch(self, index: int, hook: Callable[[], object]) -> None: ...
    def settle(self, base_offset: int, append_time_ms: int = -1, error: Exception | None = None) -> None: ...
    def settle_one(self, index: int, error: Exception) -> Batch: ...

class Delivery(Awaitable[RecordMetadata]):
    def _place(self) -> tuple[Batch, int]: ...
    def done(self) -> bool: ...
    def result(self, timeout: float | None = None) -> RecordMetadata: ...
    def exception(self, timeout: float | None = None) -> BaseException | None: ...
    def add_done_callback(self, callback: Callable[[Delivery], object]) -> None: ...
    def __await__(self) -> Generator[Any, None, RecordMetadata]: ...

class Span:
    owner: object
    batch: Batch
    first: int
    count: int
    def __init__(self, owner: object, batch: Batch, first: int, count: int) -> None: ...

class PartitionQueue:
    owner: Topic
    topic: str
    partition: int
    open: Batch | None
    sealed: deque[Batch]
    lane: Any
    def __init__(self, owner: Topic, partition: int) -> None: ...

class Topic:
    accumulator: Accumulator[Any, Any]
    name: str
    options: TopicConfig
    linger: float
    queues: list[PartitionQueue]
    available: list[PartitionQueue]
    sticky: PartitionQueue
    def __init__(self, accumulator: Accumulator[Any, Any], name: str, options: TopicConfig) -> None: ...

class Accumulator(Generic[K, V]):
    limit: int
    used: int
    pooled: int
    direct: bool
    def __init__(
        self,
        limit: int,
        ring: Callable[[], None],
        clock: Clock,
        stamper: Callable[[], int] | None = None,
    ) -> None: ...
    def offer(
        self,
        topic: str,
        value: Any,
        key: Any,
        headers: Any,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> Delivery | Reason: ...
    def offer_many(
        self,
        topic: str,
        values: list[Any],
        keys: list[Any] | None,
        headers: list[Any] | None,
        partition: int | None,
        timestamp_ms: int | None,
        start: int,
        spans: list[Span],
    ) -> tuple[int, Reason | Literal[0]]: ...
    def seal(self, queue: PartitionQueue) -> None: ...
    def seal_all(self) -> int: ...
    def take_dirty(self) -> list[PartitionQueue]: ...
    def release(self, batch: Batch, builder: BatchBuilder | None = None) -> None: ...
    def finish(self, batches: list[Batch]) -> None: ...
    def compressed(self, batch: Batch, payload: Any) -> None: ...
    def adopt(self, queue: PartitionQueue, builder: BatchBuilder, begun: float) -> Batch: ...
    def charge(self, amount: int) -> None: ...
    def set_topic(
        self, name: str, options: TopicConfig, partitions: int, available: Iterable[int], first: int
    ) -> Topic: ...
    def admit(self, known: Topic) -> None: ...
    def topic(self, name: str) -> Topic | None: ...
    def topics(self) -> list[Topic]: ...
    def place_record(
        self,
        known: Topic,
        value: bytes | None,
        key: bytes | None,
        headers: list[Header] | None,
        partition: int | None,
        timestamp_ms: int | None,
    ) -> Delivery | Reason: ...

class SyncFace(Generic[K, V]):
    _core: ProducerCore[K, V]
    def __init__(self, core: ProducerCore[K, V]) -> None: ...
    def send(
        self,
        topic: str,
        value: V | None = None,
        *,
        key: K | None = None,
        headers: Iterable[Header] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Delivery: ...

class AsyncFace(Generic[K, V]):
    _core: ProducerCore[K, V]
    def __init__(self, core: ProducerCore[K, V]) -> None: ...
    async def send(
        self,
        topic: str,
        value: V | None = None,
        *,
        key: K | None = None,
        headers: Iterable[Header] | None = None,
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> Delivery: ...

def deliver(batch: Batch, index: int, timestamp_ms: int) -> Delivery: ...
def largest(column: list[Any]) -> int: ...
