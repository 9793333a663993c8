"""Records as callers give them, checked: plain bytes, a list of headers, whole numbers. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from felice.errors import UsageError
from felice.types import Header

__all__ = ["Record", "check_record", "is_whole", "plain", "plain_headers"]


class Record(NamedTuple):
    """A record that has been checked: plain bytes, a list of headers, whole numbers."""

    topic: str
    value: bytes | None
    key: bytes | None
    headers: list[Header] | None
    partition: int | None
    timestamp_ms: int | None

    def size(self) -> int:
        """Return the most bytes that the record takes in a batch."""
        headers = sum(14 + 4 * len(name) + len(value or b"") for name, value in self.headers or ())
        return 41 + len(self.value or b"") + len(self.key or b"") + headers


def check_record(topic: Any, value: Any, key: Any, headers: Any, partition: Any, timestamp_ms: Any) -> Record:
    """Return a record of what a caller gave; UsageError for what can never be sent."""
    if not isinstance(topic, str) or not topic:
        raise UsageError(f"topic={topic!r}", hint="give the topic's name, a string")
    if timestamp_ms is not None and not (is_whole(timestamp_ms) and 0 <= timestamp_ms < 2**63):
        raise UsageError(f"timestamp_ms={timestamp_ms!r}", hint="give whole milliseconds since 1970")
    if partition is not None and not (is_whole(partition) and 0 <= partition < 2**31):
        raise UsageError(f"partition={partition!r}", hint="give a partition's number, from 0 on")
    return Record(
        topic,
        plain(value, "value", "encode it, or set value_serializer"),
        plain(key, "key", "encode it, or set key_serializer"),
        plain_headers(headers),
        partition,
        timestamp_ms,
    )


def is_whole(value: object) -> bool:
    """Tell whether a value is an int that is meant as a number."""
    return isinstance(value, int) and not isinstance(value, bool)


def plain(given: Any, what: str, remedy: str) -> bytes | None:
    """Return what a record holds as bytes; UsageError, with a remedy, where it is not bytes-like."""
    if given is None or type(given) is bytes:
        return given
    if isinstance(given, bytes | bytearray | memoryview):
        return bytes(given)
    raise UsageError(
        f"a {what} of type {type(given).__name__}",
        hint=f"give bytes or None: {remedy}",
    )


def plain_headers(given: Any) -> list[Header] | None:
    """Return headers as a list of (str, bytes or None)."""
    if not given:
        return None
    hint = 'give a series of (str, bytes or None), as [("trace", b"1")]'
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise UsageError(f"headers={given!r}", hint=hint)
    found: list[Header] = []
    for header in given.items() if isinstance(given, Mapping) else given:
        if not (isinstance(header, tuple | list) and len(header) == 2 and isinstance(header[0], str)):
            raise UsageError(f"a header {header!r}", hint=hint)
        try:
            header[0].encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"the name of a header {header!r} is not Unicode") from None
        found.append((header[0], plain(header[1], "header's value", "encode it")))
    return found
