"""What a producer can be told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

from felice.config.client import ClientConfig, ClientOptions
from felice.config.option import check_names, option
from felice.errors import ConfigError

Acks: TypeAlias = Literal["all", 0, 1]
Compression: TypeAlias = Literal["none", "gzip", "snappy", "lz4", "zstd"]
CODECS: tuple[Compression, ...] = ("none", "gzip", "snappy", "lz4", "zstd")

Partitioner: TypeAlias = Callable[[str, bytes | None, bytes | None, int], int]
"""Called with topic, key, value and the number of partitions; returns a partition."""

BY_TOPIC = ("linger", "batch_bytes", "record_bytes", "compression", "compression_level", "partitioner")
_LEVELS = {"gzip": (1, 9), "lz4": (1, 12), "zstd": (1, 22)}


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """The options that may differ from topic to topic, as one topic has them."""

    linger: float
    batch_bytes: int
    record_bytes: int
    compression: Compression
    compression_level: int | None
    partitioner: Partitioner | None


@dataclass(frozen=True, kw_only=True)
class ProducerConfig(ClientConfig):
    """Options of a producer. Times are in seconds, sizes in bytes."""

    acks: Acks = option("all", kafka="acks", choices=("all", 0, 1))
    """Who must have a record before it counts as delivered: all replicas in sync, nobody, or the leader."""
    idempotence: bool = option(True, kafka="enable.idempotence")
    """Whether a retry can neither duplicate nor reorder; needs `acks="all"`."""
    max_in_flight: int = option(5, kafka="max.in.flight.requests.per.connection", low=1, high=5)
    """How many requests to one broker may wait for their answers at once."""
    linger: float = option(0.005, kafka="linger.ms", unit="seconds", low=0, high=3600)
    """How long a batch waits for more records; nobody who awaits a lone record pays it."""
    batch_bytes: int = option(1_000_000, kafka="batch.size", unit="bytes", low=256, high=2**30)
    """A batch is sent when it reaches this size, before compression."""
    record_bytes: int = option(1_000_000, kafka="max.request.size", unit="bytes", low=128, high=2**30)
    """The largest batch of one record, after compression; a larger record is refused."""
    request_bytes: int = option(8_000_000, kafka="max.request.size", unit="bytes", low=1024, high=2**30)
    """A request carries batches up to this size together; a single larger one goes alone."""
    buffer_bytes: int = option(64 * 1024 * 1024, kafka="buffer.memory", unit="bytes", low=65536)
    """How much memory all records that are not delivered yet may take together."""
    buffer_timeout: float = option(60.0, kafka="max.block.ms", unit="seconds", low=0)
    """How long a send waits for room in the buffer."""
    delivery_timeout: float = option(120.0, kafka="delivery.timeout.ms", unit="seconds", low=0.001)
    """How long after its acceptance a record may still be tried."""
    compression: Compression = option("none", kafka="compression.type", choices=CODECS)
    """How batches are compressed."""
    compression_level: int | None = option(None, kafka="compression.*.level")
    """How hard; the codec's own default where it is not given."""
    partitioner: Partitioner | None = option(None, kafka="partitioner.class")
    """Chooses partitions for records that name none; otherwise murmur2 of the key, or sticky by batch."""
    topics: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other values for some topics: `{"letters": {"linger": 0}}`, for the options in `BY_TOPIC`."""

    def __post_init__(self) -> None:
        """Validate each option and what they mean together."""
        super().__post_init__()
        if self.idempotence and self.acks != "all":
            raise ConfigError(
                f"acks={self.acks!r} with idempotence",
                hint='give acks="all", or idempotence=False and accept duplicates',
            )
        if self.batch_bytes * 2 > self.buffer_bytes:
            raise ConfigError(
                f"buffer_bytes={self.buffer_bytes} with batch_bytes={self.batch_bytes}",
                hint="give room for two batches at least",
            )
        if self.linger >= self.delivery_timeout:
            raise ConfigError(
                f"linger={self.linger!r} with delivery_timeout={self.delivery_timeout!r}",
                hint="a batch that lingers must have time left to be delivered",
            )
        self._check_level()
        if self.partitioner is not None and not callable(self.partitioner):
            raise ConfigError(
                f"partitioner={self.partitioner!r}", hint="give a callable (topic, key, value, count) -> int"
            )
        if not isinstance(self.topics, Mapping):
            raise ConfigError(f"topics={self.topics!r}", hint='give a mapping: {"letters": {"linger": 0}}')
        object.__setattr__(self, "topics", MappingProxyType(dict(self.topics)))
        for name in self.topics:
            self.for_topic(name)

    def _check_level(self) -> None:
        """Check the compression level against its codec."""
        level, codec = self.compression_level, self.compression
        if level is None:
            return
        if codec not in _LEVELS:
            raise ConfigError(
                f"compression_level={level!r} with compression={codec!r}", hint="that codec has no levels"
            )
        low, high = _LEVELS[codec]
        if isinstance(level, bool) or not isinstance(level, int) or not low <= level <= high:
            raise ConfigError(f"compression_level={level!r}", hint=f"{codec} has levels {low} to {high}")

    def for_topic(self, topic: str) -> TopicConfig:
        """Return the options as this topic has them."""
        one = self
        if over := self.topics.get(topic):
            if not isinstance(over, Mapping):
                raise ConfigError(f"topics[{topic!r}]={over!r}", hint="give a mapping of options")
            check_names(type(self), over, BY_TOPIC)
            one = replace(self, topics={}, **dict(over))
        return TopicConfig(*(getattr(one, name) for name in BY_TOPIC))


class ProducerOptions(ClientOptions, total=False):
    """The options of `ProducerConfig` as keyword arguments."""

    acks: Acks
    idempotence: bool
    max_in_flight: int
    linger: float
    batch_bytes: int
    record_bytes: int
    request_bytes: int
    buffer_bytes: int
    buffer_timeout: float
    delivery_timeout: float
    compression: Compression
    compression_level: int | None
    partitioner: Partitioner | None
    topics: Mapping[str, Mapping[str, Any]]
