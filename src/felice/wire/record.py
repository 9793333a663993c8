"""A record as it is read from a batch, apart from any topic."""

from typing import Final, NamedTuple

from felice.types import Header

__all__ = ["HEADER_BYTES", "Record"]

HEADER_BYTES: Final = 61
"""What a batch has in front of its records (KIP-98)."""


class Record(NamedTuple):
    """One record: its offset, timestamp in milliseconds, key, value and headers."""

    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
