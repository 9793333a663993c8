"""What an error code means in a Fetch answer. Pure."""

from enum import Enum, auto

from felice.error_codes import ErrorCode, traits

__all__ = ["Verdict", "judge"]


class Verdict(Enum):
    """What to do about a partition."""

    TAKE = auto()
    """There is no error."""
    RESET = auto()
    """The offset is not in the log: find out why, then what the user wants."""
    MOVED = auto()
    """Somebody else leads it, or the topic is not what we think: look for it, and try again."""
    AGAIN = auto()
    """It is for the broker to come round: try again."""
    DAMAGED = auto()
    """The broker found its own data damaged."""
    FAIL = auto()
    """Trying again does not help: the reader is told."""


_VERDICTS: dict[int, Verdict] = {
    ErrorCode.NONE: Verdict.TAKE,
    ErrorCode.OFFSET_OUT_OF_RANGE: Verdict.RESET,
    ErrorCode.OFFSET_MOVED_TO_TIERED_STORAGE: Verdict.AGAIN,
    ErrorCode.NOT_LEADER_OR_FOLLOWER: Verdict.MOVED,
    ErrorCode.FENCED_LEADER_EPOCH: Verdict.MOVED,
    # Metadata told us of an epoch that this broker has not heard of: it lags behind, or leads no more.
    ErrorCode.UNKNOWN_LEADER_EPOCH: Verdict.MOVED,
    ErrorCode.UNKNOWN_TOPIC_OR_PARTITION: Verdict.MOVED,
    ErrorCode.UNKNOWN_TOPIC_ID: Verdict.MOVED,
    ErrorCode.INCONSISTENT_TOPIC_ID: Verdict.MOVED,
    ErrorCode.REPLICA_NOT_AVAILABLE: Verdict.MOVED,
    ErrorCode.KAFKA_STORAGE_ERROR: Verdict.MOVED,
    ErrorCode.OFFSET_NOT_AVAILABLE: Verdict.AGAIN,
    ErrorCode.UNKNOWN_SERVER_ERROR: Verdict.AGAIN,
    ErrorCode.CORRUPT_MESSAGE: Verdict.DAMAGED,
    ErrorCode.TOPIC_AUTHORIZATION_FAILED: Verdict.FAIL,
}


def judge(code: int) -> Verdict:
    """Return what an error code in a partition's part of a Fetch answer means."""
    known = _VERDICTS.get(code)
    if known is not None:
        return known
    about = traits(code)
    if about.stale_metadata:
        return Verdict.MOVED
    return Verdict.AGAIN if about.retriable else Verdict.FAIL
