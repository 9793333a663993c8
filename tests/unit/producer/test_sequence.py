"""Sequence numbers of a partition, and what a broker's answers mean for them."""

import random
from dataclasses import dataclass

import pytest

from felice.errors import ErrorCode
from felice.producer.sequence import SEQUENCE_MASK, Identity, Sequence, Verdict, verdict

ME = Identity(7, 0)
LATER = Identity(7, 1)


@dataclass
class Numbered:
    """What a batch carries of its numbers."""

    records: int
    serial: int = 0
    producer_id: int = -1
    producer_epoch: int = -1
    base_sequence: int = -1

    def __len__(self) -> int:
        return self.records


def stamped(sequence: Sequence, *sizes: int, identity: Identity | None = ME) -> list[Numbered]:
    batches = [Numbered(size) for size in sizes]
    for batch in batches:
        sequence.stamp(batch, identity)
    return batches


def test_numbers_run_on_from_batch_to_batch() -> None:
    """Each batch begins where the one before it ended."""
    assert [batch.base_sequence for batch in stamped(Sequence(), 3, 1, 5, 2)] == [0, 3, 4, 9]


def test_numbers_wrap_after_two_to_the_31() -> None:
    """The number after 2147483647 is 0, as brokers count."""
    sequence = Sequence()
    stamped(sequence, 1)
    sequence.next_serial = SEQUENCE_MASK
    first, second = stamped(sequence, 2, 1)
    assert (first.base_sequence, second.base_sequence) == (SEQUENCE_MASK, 1)


def test_a_producer_without_idempotence_has_serials_and_no_sequences() -> None:
    """Without an identity batches keep their order by serial number only."""
    first, second = stamped(Sequence(), 3, 1, identity=None)
    assert (first.serial, second.serial) == (0, 3)
    assert (second.producer_id, second.base_sequence) == (-1, -1)


def test_nothing_is_stamped_before_there_is_an_identity() -> None:
    """An idempotent producer waits for its ID."""
    assert not Sequence().may_stamp(unsettled=False, current=None)
    assert Sequence().may_stamp(unsettled=False, current=ME)


def test_a_new_epoch_waits_for_what_is_under_way() -> None:
    """While batches of the old epoch have no outcome, none of the new one is stamped."""
    sequence = Sequence()
    stamped(sequence, 4)
    assert not sequence.may_stamp(unsettled=True, current=LATER)
    assert sequence.may_stamp(unsettled=False, current=LATER)
    (batch,) = stamped(sequence, 1, identity=LATER)
    assert (batch.producer_epoch, batch.base_sequence, batch.serial) == (1, 0, 4)


def test_the_last_batch_that_was_surely_not_written_gives_its_numbers_back() -> None:
    """Nothing builds on them, so there is no hole and no new epoch."""
    sequence = Sequence()
    _, last = stamped(sequence, 3, 2)
    sequence.lost(last, last=True, in_doubt=False)
    assert not sequence.restart
    assert stamped(sequence, 1)[0].base_sequence == 3


@pytest.mark.parametrize(("last", "in_doubt"), [(False, False), (True, True), (False, True)])
def test_a_hole_in_the_numbers_asks_for_a_new_epoch(last: bool, in_doubt: bool) -> None:
    """A batch lost from the middle, or one that may have been written, ends the epoch."""
    sequence = Sequence()
    first, _ = stamped(sequence, 3, 2)
    sequence.lost(first, last=last, in_doubt=in_doubt)
    assert sequence.restart
    assert not sequence.may_stamp(unsettled=True, current=ME)


def test_beginning_again_numbers_all_that_waits_from_zero() -> None:
    """After OUT_OF_ORDER on the oldest, everything goes out in a new epoch, in its old order."""
    sequence = Sequence()
    batches = stamped(sequence, 3, 2, 4)
    sequence.begin_again(batches[1:], LATER)
    assert [(b.producer_epoch, b.base_sequence) for b in batches[1:]] == [(1, 0), (1, 2)]
    assert stamped(sequence, 1, identity=LATER)[0].base_sequence == 6


def test_an_epoch_is_established_by_its_first_acknowledgement() -> None:
    """Row 26: one of another epoch does not count, and beginning again begins that again too."""
    sequence = Sequence()
    first, second = stamped(sequence, 3, 2)
    assert not sequence.established
    sequence.delivered(first)
    assert sequence.established
    sequence.begin_again([second], LATER)
    assert not sequence.established
    sequence.delivered(first)
    assert not sequence.established
    sequence.delivered(second)
    assert sequence.established


def test_a_model_broker_never_sees_a_gap(seed: int) -> None:
    """Whatever fails, a broker that takes only unbroken sequences takes all that is left, once and in order."""
    rng = random.Random(seed)
    sequence, current = Sequence(), ME
    expected = {"epoch": 0, "sequence": 0}
    written: list[int] = []
    waiting: list[Numbered] = []
    names: dict[int, int] = {}
    for name in range(300):
        if sequence.may_stamp(bool(waiting), current):
            if sequence.restart:
                current = Identity(7, current.epoch + 1)
            batch = Numbered(rng.randint(1, 9))
            sequence.stamp(batch, current)
            names[id(batch)] = name
            waiting.append(batch)
        if len(waiting) < rng.randint(1, 5):
            continue
        batch = waiting[0]
        if rng.random() < 0.2:
            waiting.pop(0)
            sequence.lost(batch, last=not waiting, in_doubt=rng.random() < 0.5)
            continue
        if batch.producer_epoch > expected["epoch"]:
            expected = {"epoch": batch.producer_epoch, "sequence": 0}
        if batch.base_sequence == expected["sequence"]:
            expected["sequence"] += len(batch)
            written.append(names[id(batch)])
            waiting.pop(0)
        else:
            current = Identity(7, current.epoch + 1)
            sequence.begin_again(list(waiting), current)
    assert written == sorted(set(written))
    assert len(written) > 100


VERDICTS = [
    (ErrorCode.NONE, True, Verdict.DELIVERED),
    (ErrorCode.DUPLICATE_SEQUENCE_NUMBER, True, Verdict.DELIVERED),
    (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, True, Verdict.BEGIN_AGAIN),
    (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, False, Verdict.FOLLOW),
    (ErrorCode.UNKNOWN_PRODUCER_ID, True, Verdict.BEGIN_AGAIN),
    (ErrorCode.UNKNOWN_PRODUCER_ID, False, Verdict.FOLLOW),
    (ErrorCode.NOT_LEADER_OR_FOLLOWER, True, Verdict.RETRY),
    (ErrorCode.UNKNOWN_TOPIC_ID, True, Verdict.RETRY),
    (ErrorCode.NOT_ENOUGH_REPLICAS, True, Verdict.RETRY),
    (ErrorCode.NOT_ENOUGH_REPLICAS_AFTER_APPEND, True, Verdict.RETRY_IN_DOUBT),
    (ErrorCode.REQUEST_TIMED_OUT, True, Verdict.RETRY_IN_DOUBT),
    (ErrorCode.MESSAGE_TOO_LARGE, True, Verdict.SPLIT),
    (ErrorCode.INVALID_PRODUCER_EPOCH, True, Verdict.FATAL),
    (ErrorCode.PRODUCER_FENCED, True, Verdict.FATAL),
    (ErrorCode.TOPIC_AUTHORIZATION_FAILED, True, Verdict.FAIL),
    (ErrorCode.INVALID_RECORD, True, Verdict.FAIL),
    (ErrorCode.UNKNOWN_SERVER_ERROR, True, Verdict.FAIL_IN_DOUBT),
    (12345, True, Verdict.FAIL),
]


@pytest.mark.parametrize(("code", "oldest", "expected"), VERDICTS)
def test_verdicts(code: int, oldest: bool, expected: Verdict) -> None:
    """Rows 3, 5, 18, 26, 27, 28: what each answer means for a batch of two records."""
    assert verdict(code, records=2, oldest=oldest, idempotent=True) is expected


def test_a_single_record_that_is_too_large_fails() -> None:
    """Row 18: there is nothing left to split."""
    assert verdict(ErrorCode.MESSAGE_TOO_LARGE, records=1, oldest=True, idempotent=True) is Verdict.FAIL


def test_without_idempotence_an_unknown_sequence_error_is_final() -> None:
    """A producer that sends no sequences cannot begin them anew."""
    assert verdict(ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, records=2, oldest=True, idempotent=False) is Verdict.FAIL
