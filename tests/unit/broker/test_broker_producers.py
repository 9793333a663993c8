"""What a partition remembers of idempotent producers."""

import pytest

from felice.broker.producers import WINDOW, Appended, Producers, last_sequence
from felice.broker.refusal import Refused
from felice.errors import ErrorCode

LARGEST = 0x7FFFFFFF


def filled(*firsts: int, count: int = 10, epoch: int = 0) -> Producers:
    """A memory of producer 1's batches of `count` records, appended at offsets equal to their sequences."""
    producers = Producers()
    for first in firsts:
        producers.remember(1, epoch, Appended(first, last_sequence(first, count), first, 0))
    return producers


def test_an_unknown_producer_may_begin_anywhere() -> None:
    """After its records were deleted a producer goes on where it was."""
    assert Producers().judge(1, 3, 70, 79) is None


def test_the_next_sequence_is_taken() -> None:
    """A batch that follows the last one is to be appended."""
    assert filled(0, 10).judge(1, 0, 20, 29) is None


@pytest.mark.parametrize("first", [10, 21, 30])
def test_a_gap_and_an_overlap_are_refused(first: int) -> None:
    """Neither a batch that leaves records out nor one that begins inside an old one is appended."""
    with pytest.raises(Refused) as refused:
        filled(0, 10).judge(1, 0, first, first + 4)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_the_last_five_batches_are_known_again() -> None:
    """A repeated batch gets the offset it has; the sixth from the end is forgotten, and out of order."""
    producers = filled(*range(0, 60, 10))
    for first in range(10, 60, 10):
        again = producers.judge(1, 0, first, first + 9)
        assert again is not None
        assert again.offset == first
    assert WINDOW == 5
    with pytest.raises(Refused) as refused:
        producers.judge(1, 0, 0, 9)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_sequences_wrap_to_zero() -> None:
    """Behind 2**31 - 1 comes 0, between two batches and inside one."""
    assert last_sequence(LARGEST - 1, 5) == 2
    producers = Producers()
    producers.remember(1, 0, Appended(LARGEST - 9, LARGEST, 0, 0))
    assert producers.judge(1, 0, 0, 4) is None


def test_an_old_epoch_is_fenced() -> None:
    """A producer whose epoch was raised elsewhere cannot write any more."""
    with pytest.raises(Refused) as refused:
        filled(0, epoch=2).judge(1, 1, 10, 19)
    assert refused.value.code is ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_new_epoch_begins_at_zero() -> None:
    """With a raised epoch sequences start anew, and nothing else is taken."""
    producers = filled(0, 10)
    assert producers.judge(1, 1, 0, 9) is None
    with pytest.raises(Refused) as refused:
        producers.judge(1, 1, 20, 29)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    producers.remember(1, 1, Appended(0, 9, 20, 0))
    again = producers.judge(1, 1, 0, 9)
    assert again is not None
    assert again.offset == 20  # not the batch of the same sequences in the epoch before
