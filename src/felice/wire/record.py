"""A record as it is read from a batch, apart from any topic."""

from typing import NamedTuple

from felice.types import Header

__all__ = ["Record"]


class Record(NamedTuple):
    """One record: its offset, timestamp in milliseconds, key, value and headers."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
