"""What a partition remembers of idempotent producers."""

import pytest

from felice.broker.producers import WINDOW, Appended, Producers, last_sequence
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.records import BatchBuilder, ControlType, control_batch

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


def test_producers_that_are_not_heard_of_any_more_are_forgotten() -> None:
    """When another one comes: those whose time is over, but for who has a transaction open."""
    producers = Producers()
    for producer_id in range(1000):
        batch = Appended(0, 0, producer_id, 0)
        producers.remember(producer_id, 0, batch, transactional=producer_id == 7, heard_ms=producer_id)
    producers.remember(3, 0, Appended(1, 1, 1000, 0), heard_ms=1000)
    assert producers.judge(2000, 0, 0, 0, heard_since=990) is None
    assert [known.producer_id for known in producers.active()] == [3, 7, *range(990, 1000)]


def test_a_batch_that_was_refused_is_not_remembered_for_ever() -> None:
    """What a producer wanted to begin with is forgotten with all else of those that never began."""
    producers = Producers()
    for producer_id in range(5000):
        producers.joins(producer_id, 0, 0)
    assert len(producers._joining) <= 1024
    with pytest.raises(Refused):
        producers.judge(4999, 0, 1, 1)


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


def in_transaction(epoch: int = 0, first: int = 0) -> Producers:
    """A memory of producer 1 with an open transaction, of one batch at offset 20."""
    producers = Producers()
    producers.remember(1, epoch, Appended(first, first, 20, 0), transactional=True)
    return producers


def ended(producers: Producers, epoch: int, committed: bool = True) -> Producers:
    """End producer 1's transaction with a marker at offset 30."""
    producers.end(1, epoch, 4, offset=30, committed=committed, high_watermark=31, timestamp=9, heard_ms=9)
    return producers


def test_a_transaction_is_open_from_its_first_batch_to_its_marker() -> None:
    producers = in_transaction()
    assert producers.in_transaction(1, 0)
    assert not producers.in_transaction(1, 1)
    assert not producers.in_transaction(2, 0)
    assert not ended(producers, 0).in_transaction(1, 0)


def test_a_batch_outside_the_open_transaction_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        in_transaction().judge(1, 0, 1, 1)
    assert refused.value.code is ErrorCode.INVALID_TXN_STATE
    assert in_transaction().judge(1, 0, 1, 1, transactional=True) is None


def test_a_marker_with_a_raised_epoch_begins_sequences_anew() -> None:
    """The producer goes on with that epoch, from 0 (KIP-890)."""
    producers = ended(in_transaction(), 1)
    assert producers.judge(1, 1, 0, 0) is None
    with pytest.raises(Refused) as refused:
        producers.judge(1, 1, 1, 1)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    with pytest.raises(Refused) as refused:
        producers.judge(1, 0, 1, 1)
    assert refused.value.code is ErrorCode.INVALID_PRODUCER_EPOCH


def test_a_marker_with_the_same_epoch_lets_sequences_go_on() -> None:
    assert ended(in_transaction(), 0).judge(1, 0, 1, 1, transactional=True) is None


def test_an_unknown_producer_begins_at_zero_where_ends_raise_the_epoch() -> None:
    with pytest.raises(Refused) as refused:
        Producers().judge(1, 0, 3, 3, transactional=True, bumped=True)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER


def test_a_batch_that_was_refused_is_not_overtaken() -> None:
    """A producer that wanted to begin with sequence 0 cannot begin with 2, though it is not known."""
    producers = Producers()
    producers.joins(1, 0, 2)
    producers.joins(1, 0, 0)
    with pytest.raises(Refused) as refused:
        producers.judge(1, 0, 2, 2, transactional=True)
    assert refused.value.code is ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER
    producers.joins(1, 1, 5)
    assert producers.judge(1, 1, 5, 5, transactional=True) is None


@pytest.mark.parametrize(
    ("epoch", "version", "code"),
    [
        (0, 0, ErrorCode.INVALID_PRODUCER_EPOCH),
        (1, 2, ErrorCode.INVALID_PRODUCER_EPOCH),
        (1, 0, None),
        (2, 0, None),
        (2, 2, None),
    ],
)
def test_a_marker_needs_a_new_epoch_where_ends_raise_it(epoch: int, version: int, code: ErrorCode | None) -> None:
    producers = in_transaction(epoch=1)
    if code is None:
        producers.judge_end(1, epoch, 0, version)
        return
    with pytest.raises(Refused) as refused:
        producers.judge_end(1, epoch, 0, version)
    assert refused.value.code is code


def test_a_marker_that_comes_again_is_taken() -> None:
    ended(in_transaction(), 1).judge_end(1, 1, 4, 2)


def test_a_marker_of_a_replaced_coordinator_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        ended(in_transaction(), 1).judge_end(1, 2, 3, 2)
    assert refused.value.code is ErrorCode.TRANSACTION_COORDINATOR_FENCED


def test_a_silent_producer_is_forgotten_but_not_in_its_transaction() -> None:
    producers = filled(0)
    assert producers.judge(1, 0, 50, 59, heard_since=1) is None
    kept = in_transaction()
    with pytest.raises(Refused):
        kept.judge(1, 0, 50, 59, transactional=True, heard_since=1)


def test_what_a_log_tells_of_producers_is_what_was_noted_while_it_was_written() -> None:
    """After a truncation the memory is made anew from the batches that are left."""
    noted, batches = Producers(), []
    for number in range(3):
        builder = BatchBuilder()
        builder.append(b"v", None, None, 5)
        batches.append(
            bytes(
                builder.seal(
                    base_offset=number, producer_id=1, producer_epoch=0, base_sequence=number, transactional=True
                )
            )
        )
        noted.remember(1, 0, Appended(number, number, number, 5), transactional=True, heard_ms=8)
    batches.append(
        bytes(
            control_batch(
                ControlType.ABORT, producer_id=1, producer_epoch=1, coordinator_epoch=6, timestamp_ms=7, base_offset=3
            )
        )
    )
    noted.end(1, 1, 6, offset=3, committed=False, high_watermark=4, timestamp=7, heard_ms=8)
    read = Producers.read(batches, 8)
    assert list(read.active()) == list(noted.active())
    assert read.transactions.aborted == noted.transactions.aborted
    half = Producers.read(batches[:2], 8)
    assert half.in_transaction(1, 0)
    assert half.judge(1, 0, 2, 2, transactional=True) is None
