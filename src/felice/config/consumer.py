"""What a consumer can be told."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from felice.config.client import ClientConfig, ClientOptions
from felice.config.option import option
from felice.errors import ConfigError

Isolation: TypeAlias = Literal["read_committed", "read_uncommitted"]
OffsetResetPolicy: TypeAlias = Literal["error", "earliest", "latest"]


@dataclass(frozen=True, kw_only=True)
class ConsumerConfig(ClientConfig):
    """Options of a consumer. Times are in seconds, sizes in bytes."""

    isolation: Isolation = option(
        "read_committed", kafka="isolation.level", choices=("read_committed", "read_uncommitted")
    )
    """Whether records of transactions are seen only once these are committed."""
    offset_reset: OffsetResetPolicy = option(
        "earliest", kafka="auto.offset.reset", choices=("error", "earliest", "latest")
    )
    """What to do where the position is not in the log, or the topic was created anew: move, and tell of it in an event
    with the numbers, or raise. Moving to the earliest record misses nothing that is there. Where the log was cut off
    below the position, moving is to where that was, for both."""
    fetch_min_bytes: int = option(1, kafka="fetch.min.bytes", unit="bytes", low=0, high=2**31 - 1)
    """A broker answers as soon as it has this much."""
    fetch_max_wait: float = option(0.5, kafka="fetch.max.wait.ms", unit="seconds", low=0, high=300)
    """A broker that has less answers after this long."""
    fetch_bytes: int = option(4 * 1024 * 1024, kafka="fetch.max.bytes", unit="bytes", low=1024, high=2**30)
    """How much one answer of a broker may hold; a single larger batch may pass it."""
    partition_bytes: int = option(1024 * 1024, kafka="max.partition.fetch.bytes", unit="bytes", low=1024, high=2**30)
    """How much of one partition an answer may hold; a single larger batch may pass it."""
    buffer_bytes: int = option(64 * 1024 * 1024, unit="bytes", low=65536)
    """How much the whole client may hold and have asked for, over all partitions."""
    max_poll_records: int = option(5_000, kafka="max.poll.records", unit="records", low=1)
    """How many records a batch has at most: the objects made of very many cost fresh memory each time."""
    rack: str = option("", kafka="client.rack")
    """Where this client runs, so that it may be told to read from a replica nearby (KIP-392)."""
    check_crc: bool = option(True, kafka="check.crcs")
    """Whether the checksum of each batch is verified."""
    max_batch_bytes: int = option(64 * 1024 * 1024, unit="bytes", low=1024, high=2**31 - 1)
    """How large one record batch may become when it is unpacked."""

    def __post_init__(self) -> None:
        """Validate each option and what they mean together."""
        super().__post_init__()
        if self.fetch_bytes > self.buffer_bytes:
            raise ConfigError(
                f"fetch_bytes={self.fetch_bytes} with buffer_bytes={self.buffer_bytes}",
                hint="an answer must fit into the buffer",
            )


class ConsumerOptions(ClientOptions, total=False):
    """The options of `ConsumerConfig` as keyword arguments."""

    isolation: Isolation
    offset_reset: OffsetResetPolicy
    fetch_min_bytes: int
    fetch_max_wait: float
    fetch_bytes: int
    partition_bytes: int
    buffer_bytes: int
    max_poll_records: int
    rack: str
    check_crc: bool
    max_batch_bytes: int
