"""Which segments of a log are too old, or too many: Kafka's rules for topics with the policy `delete`.

They go from the front, as wholes, and only where all replicas in sync have them. The active one may go too, when its
latest record is too old.
"""

from felice.broker.log import PartitionLog
from felice.broker.setting import Settings

__all__ = ["expired_before", "next_expiry"]


def expired_before(log: PartitionLog, settings: Settings, high_watermark: int, now: int) -> int:
    """Return the offset at which the log is to start: where it starts, or further on."""
    most_bytes, most_ms = settings.number("retention.bytes"), settings.number("retention.ms")
    ends = [*(segment.base_offset for segment in log.segments[1:]), log.end_offset]
    parts = [(segment, end) for segment, end in zip(log.segments, ends, strict=False) if end <= high_watermark]
    gone = 0
    if most_bytes >= 0:
        size = log.size
        while gone < len(parts) and size - parts[gone][0].size >= most_bytes:
            size -= parts[gone][0].size
            gone += 1
    if most_ms >= 0:
        while gone < len(parts) and now - parts[gone][0].largest_timestamp > most_ms:
            gone += 1
    return parts[gone - 1][1] if gone else log.start_offset


def next_expiry(log: PartitionLog, settings: Settings) -> int | None:
    """Return when the first segment will be too old, in milliseconds since 1970, if it ever is."""
    most_ms = settings.number("retention.ms")
    return log.segments[0].largest_timestamp + most_ms + 1 if log.segments and most_ms >= 0 else None
