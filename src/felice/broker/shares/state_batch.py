"""Runs of records that a share group has tried, and how later news of them joins what is known (KIP-932)."""

from collections.abc import Iterable, Iterator
from heapq import heapify, heappop, heappush
from typing import NamedTuple

__all__ = ["KEPT", "StateBatch", "combined"]

KEPT = -1
"""A start offset that leaves the one that is known."""


class StateBatch(NamedTuple):
    """Records in a row with one state; where two batches overlap, the later delivery and the later state count."""

    first_offset: int
    last_offset: int
    delivery_count: int
    delivery_state: int
    """By Kafka's numbers: 0 available, 2 acknowledged, 4 archived."""

    @property
    def standing(self) -> tuple[int, int]:
        """What is compared: a record never goes back to an earlier delivery."""
        return self[2:]


def combined(known: Iterable[StateBatch], news: Iterable[StateBatch], start_offset: int) -> tuple[StateBatch, ...]:
    """Return batches that do not overlap, in order, without what lies before the start offset, unless that is `KEPT`.

    Neighbours of one standing become one batch, as far as Kafka joins them too: it looks at each neighbour once.
    """
    waiting = list(_since(start_offset, (*known, *news)))
    if len(waiting) < 2:
        return tuple(waiting)
    heapify(waiting)
    done = []
    left = heappop(waiting)
    while waiting:
        right = waiting[0]
        if _apart(left, right):
            done.append(left)
        else:
            heappop(waiting)
            for piece in _laid_over(left, right):
                heappush(waiting, piece)
        left = heappop(waiting)
    done.append(left)
    return tuple(done)


def _since(start_offset: int, batches: Iterable[StateBatch]) -> Iterator[StateBatch]:
    """Give what of the batches does not lie before the start."""
    for batch in batches:
        if start_offset == KEPT or batch.first_offset >= start_offset:
            yield batch
        elif batch.last_offset >= start_offset:
            yield batch._replace(first_offset=start_offset)


def _apart(left: StateBatch, right: StateBatch) -> bool:
    """Tell whether nothing has to be done about two batches in order."""
    gap = right.first_offset - left.last_offset
    return gap > 1 or (gap == 1 and left.standing != right.standing)


def _laid_over(left: StateBatch, right: StateBatch) -> Iterator[StateBatch]:
    """Give the pieces of two batches in order that overlap, or that touch and are alike."""
    if left.standing == right.standing:
        yield left._replace(last_offset=max(left.last_offset, right.last_offset))
        return
    if right.standing < left.standing:
        yield left
        if right.last_offset > left.last_offset:
            yield right._replace(first_offset=left.last_offset + 1)
        return
    if left.first_offset < right.first_offset:
        yield left._replace(last_offset=right.first_offset - 1)
    yield right
    if left.last_offset > right.last_offset:
        yield left._replace(first_offset=right.last_offset + 1)
