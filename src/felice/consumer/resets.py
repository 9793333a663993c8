"""What to do when a position is not in the log any more: the numbers, and the user's policy. Pure."""

from typing import Literal, NamedTuple

from felice.types import TopicPartition

__all__ = ["Plight", "Reset", "decide"]

Policy = Literal["error", "earliest", "latest"]


class Plight(NamedTuple):
    """What is known of a partition whose position is not in its log."""

    tp: TopicPartition
    offset: int
    """The position."""
    begin: int
    """The log's first offset."""
    end: int
    """The offset after its last."""
    cut: int = -1
    """Where the log was cut off under the position, and goes on with other records; -1 where it was not (KIP-320)."""
    recreated: bool = False
    """Whether the topic was deleted and created anew."""


class Reset(NamedTuple):
    """What follows."""

    reason: str
    """What happened, with the numbers."""
    target: int
    """Where to go on: by itself where the policy says so, else when the user seeks there."""
    moves: bool
    """Whether the policy says so."""


def decide(plight: Plight, policy: Policy) -> Reset | None:
    """Return what to do, or None where the position is in the log after all and is simply to be tried again."""
    tp, offset, begin, end, cut, recreated = plight
    if recreated:
        reason = (
            f"topic {tp.topic} was deleted and created anew: position {offset} of {tp} belonged to the old one, "
            f"and the new one begins at {begin} and ends before {end}"
        )
        return Reset(reason, end if policy == "latest" else begin, policy != "error")
    if 0 <= cut < offset:
        reason = (
            f"the log of {tp} was cut off at {cut}, below position {offset}: {offset - cut} records that were read "
            "are lost, and other records may stand in their place"
        )
        # Whatever the policy, what is read next is what follows the last record that still exists.
        return Reset(reason, max(cut, begin), policy != "error")
    if begin <= offset <= end:
        return None
    where = f"position {offset} of {tp} is not in its log, which begins at {begin} and ends before {end}"
    if offset < begin:
        where += f": {begin - offset} offsets have been deleted unread"
    else:
        where += ": the log has become shorter"
    return Reset(where, end if policy == "latest" else begin, policy != "error")
