"""What to do when a position is not in the log any more: the numbers, and the user's policy. Pure."""

from typing import Literal, NamedTuple

from felice.config import ConsumerConfig
from felice.consumer.trail import UNKNOWN, Mark
from felice.errors import LogTruncated, OffsetReset
from felice.events import PositionReset
from felice.types import TopicPartition

__all__ = ["Plight", "Reset", "decide", "decide_cut", "moved", "refusal"]

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
    recreated: bool = False
    """Whether the topic was deleted and created anew."""
    unknown: bool = False
    """Whether the leader knows nothing as old as what was read last (KIP-320)."""


class Reset(NamedTuple):
    """What follows."""

    reason: str
    """What happened, with the numbers."""
    target: int
    """Where to go on: by itself where the policy says so, else when the user seeks there."""
    moves: bool
    """Whether the policy says so."""
    cut: Mark | None = None
    """Where the log was cut off, if that is what happened; `UNKNOWN` where nobody can say where."""


def decide(plight: Plight, policy: Policy) -> Reset | None:
    """Return what to do, or None where the position is in the log after all and is simply to be tried again."""
    tp, offset, begin, end, recreated, unknown = plight
    target, moves = end if policy == "latest" else begin, policy != "error"
    if recreated:
        reason = (
            f"topic {tp.topic} was deleted and created anew: position {offset} of {tp} belonged to the old one, "
            f"and the new one begins at {begin} and ends before {end}"
        )
        return Reset(reason, target, moves)
    if unknown:
        reason = (
            f"the log of {tp} was cut off below position {offset}: its leader has nothing of the leader epoch that was "
            f"read last, nor can it tell where the logs part; its log begins at {begin} and ends before {end}"
        )
        return Reset(reason, target, moves, UNKNOWN)
    if begin <= offset <= end:
        return None
    where = f"position {offset} of {tp} is not in its log, which begins at {begin} and ends before {end}"
    if offset < begin:
        where += f": {begin - offset} offsets have been deleted unread"
    else:
        where += ": the log has become shorter"
    return Reset(where, target, moves)


def decide_cut(tp: TopicPartition, offset: int, cut: Mark, policy: Policy) -> Reset | None:
    """Return what to do where the log was cut off, or None where the position is not above that."""
    if offset <= cut.offset:
        return None
    reason = (
        f"the log of {tp} was cut off at {cut.offset}, in leader epoch {cut.epoch}, below position {offset}: "
        f"{offset - cut.offset} offsets below it are lost, and other records may stand in their place"
    )
    # Whatever the policy, what is read next is what follows the last record that still exists.
    return Reset(reason, cut.offset, policy != "error", cut)


def moved(config: ConsumerConfig, tp: TopicPartition, offset: int, reset: Reset) -> PositionReset:
    """Return the event for a position that the policy moves."""
    cut = reset.cut or UNKNOWN
    return PositionReset(
        client_id=config.client_id,
        topic=tp.topic,
        partition=tp.partition,
        before=offset,
        after=reset.target,
        policy=config.offset_reset,
        reason=reset.reason,
        divergent_offset=cut.offset,
        divergent_epoch=cut.epoch,
    )


def refusal(tp: TopicPartition, offset: int, reset: Reset) -> OffsetReset:
    """Return the error for a position that the policy does not move."""
    hint = f'seek, to {reset.target} for instance, or choose offset_reset="earliest" or "latest"'
    if reset.cut is None:
        return OffsetReset(
            reset.reason, topic=tp.topic, partition=tp.partition, offset=offset, next_offset=reset.target, hint=hint
        )
    return LogTruncated(
        reset.reason,
        topic=tp.topic,
        partition=tp.partition,
        offset=offset,
        next_offset=reset.target,
        divergent_offset=reset.cut.offset,
        divergent_epoch=reset.cut.epoch,
        hint=hint,
    )
