"""Values that every room shares."""

from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

if TYPE_CHECKING:
    # Known to every type checker; a client without serializers is one of bytes, whoever reads it.
    from typing_extensions import TypeVar

    K = TypeVar("K", default=bytes)
    V = TypeVar("V", default=bytes)
else:
    from typing import TypeVar

    K = TypeVar("K")
    V = TypeVar("V")
"""What a key and a value are before they are serialized, or after they are deserialized."""

Header: TypeAlias = tuple[str, bytes | None]
"""A record header: its key and its value, which may be null."""


class TopicPartition(NamedTuple):
    """A partition of a topic."""

    topic: str
    partition: int

    def __str__(self) -> str:
        """Return `topic-partition`, as Kafka's own tools print it."""
        return f"{self.topic}-{self.partition}"


class TimestampType(IntEnum):
    """Who stamped a record: the producer, or the broker when it appended it."""

    CREATE = 0
    LOG_APPEND = 1


class RecordMetadata(NamedTuple):
    """Where a record was written."""

    topic: str
    partition: int
    offset: int
    """The record's offset; -1 where the broker does not tell (`acks=0`)."""
    timestamp_ms: int
    """The record's timestamp in milliseconds since 1970; the broker's own on a topic that stamps on append."""


class OffsetAndEpoch(NamedTuple):
    """An offset, and the leader epoch it was learned in; -1 where that is not known (KIP-320)."""

    offset: int
    leader_epoch: int = -1


class GroupMetadata(NamedTuple):
    """A consumer's membership in a group, as a transaction's offsets need it (KIP-447)."""

    group_id: str
    generation: int = -1
    member_id: str = ""
    group_instance_id: str | None = None
