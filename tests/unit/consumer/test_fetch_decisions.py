"""The pure decisions of the fetcher: the budget, what an error code means, and lost positions."""

import pytest

from felice.consumer.budget import Budget, Frame
from felice.consumer.resets import Plight, decide, decide_cut, refusal
from felice.consumer.trail import UNKNOWN, Mark
from felice.consumer.verdicts import Verdict, judge
from felice.errors import ErrorCode, LogTruncated
from felice.types import TopicPartition

LETTERS_0 = TopicPartition("letters", 0)


def test_a_frame_is_counted_whole_until_its_last_piece_is_given_back() -> None:
    budget, frame = Budget(1000), Frame(400)
    budget.reserve(500)
    assert budget.free == 500
    budget.hold(frame)
    budget.hold(frame)
    budget.cancel(500)
    assert (budget.buffered, budget.free) == (400, 600)
    budget.release(frame)
    assert budget.buffered == 400
    budget.release(frame)
    assert (budget.buffered, budget.free) == (0, 1000)


def test_one_large_batch_may_pass_the_limit() -> None:
    budget = Budget(1000)
    budget.hold(Frame(5000))
    assert budget.free == -4000


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (ErrorCode.NONE, Verdict.TAKE),
        (ErrorCode.OFFSET_OUT_OF_RANGE, Verdict.RESET),
        (ErrorCode.NOT_LEADER_OR_FOLLOWER, Verdict.MOVED),
        (ErrorCode.FENCED_LEADER_EPOCH, Verdict.MOVED),
        (ErrorCode.UNKNOWN_TOPIC_ID, Verdict.MOVED),
        (ErrorCode.UNKNOWN_TOPIC_OR_PARTITION, Verdict.MOVED),
        (ErrorCode.KAFKA_STORAGE_ERROR, Verdict.MOVED),
        (ErrorCode.UNKNOWN_LEADER_EPOCH, Verdict.MOVED),
        (ErrorCode.OFFSET_NOT_AVAILABLE, Verdict.AGAIN),
        (ErrorCode.UNKNOWN_SERVER_ERROR, Verdict.AGAIN),
        (ErrorCode.CORRUPT_MESSAGE, Verdict.DAMAGED),
        (ErrorCode.TOPIC_AUTHORIZATION_FAILED, Verdict.FAIL),
        (ErrorCode.UNSUPPORTED_COMPRESSION_TYPE, Verdict.FAIL),
        (9999, Verdict.FAIL),
    ],
)
def test_error_codes_mean_what_they_should_in_a_fetch(code: int, verdict: Verdict) -> None:
    assert judge(code) is verdict


def test_3_no_code_that_tells_of_another_leader_stops_a_partition() -> None:
    """Row 3: retried, with fresh metadata, as long as anybody reads."""
    for code in ErrorCode:
        if code in (ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.FENCED_LEADER_EPOCH, ErrorCode.LEADER_NOT_AVAILABLE):
            assert judge(code) is Verdict.MOVED


def test_7_a_position_before_the_log_follows_the_policy_with_the_numbers() -> None:
    """Row 7: loudly, with the numbers."""
    plight = Plight(LETTERS_0, 10, 50, 100)
    for policy, target, moves in (("earliest", 50, True), ("latest", 100, True), ("error", 50, False)):
        reset = decide(plight, policy)  # type: ignore[arg-type]
        assert reset is not None
        assert (reset.target, reset.moves) == (target, moves)
        for number in ("10", "50", "100", "40 offsets have been deleted unread"):
            assert number in reset.reason


def test_7_truncation_is_checked_first_and_reading_goes_on_where_the_logs_part() -> None:
    """Rows 7 and 8: what was cut off is told, and what stands in its place is read, whatever the policy."""
    for policy in ("earliest", "latest"):
        reset = decide_cut(LETTERS_0, 90, Mark(3, 70), policy)
        assert reset is not None
        assert (reset.target, reset.moves) == (70, True)
        assert "20 offsets" in reset.reason
    stopped = decide_cut(LETTERS_0, 90, Mark(3, 70), "error")
    assert stopped is not None
    assert (stopped.target, stopped.moves) == (70, False)
    error = refusal(LETTERS_0, 90, stopped)
    assert isinstance(error, LogTruncated)
    assert (error.offset, error.next_offset, error.divergent_offset, error.divergent_epoch) == (90, 70, 70, 3)


def test_8_what_was_not_handed_out_is_no_loss() -> None:
    """Row 8: where a log was cut off at the position or behind it, nobody has read what is gone."""
    for offset in (69, 70):
        assert decide_cut(LETTERS_0, offset, Mark(3, 70), "error") is None


def test_8_where_nobody_can_tell_where_logs_part_the_policy_is_followed() -> None:
    """As Java's consumer does, although the offset would fit the log."""
    plight = Plight(LETTERS_0, 90, 0, 100, unknown=True)
    for policy, target in (("earliest", 0), ("latest", 100)):
        reset = decide(plight, policy)  # type: ignore[arg-type]
        assert reset is not None
        assert (reset.target, reset.moves, reset.cut) == (target, True, UNKNOWN)
    stopped = decide(plight, "error")
    assert stopped is not None
    error = refusal(LETTERS_0, 90, stopped)
    assert isinstance(error, LogTruncated)
    assert (error.offset, error.next_offset, error.divergent_offset, error.divergent_epoch) == (90, 0, -1, -1)


def test_7_a_position_behind_the_end_is_told_as_such() -> None:
    reset = decide(Plight(LETTERS_0, 150, 0, 100), "latest")
    assert reset is not None
    assert "shorter" in reset.reason
    assert reset.target == 100


def test_a_position_that_is_in_the_log_after_all_is_tried_again() -> None:
    for offset in (0, 50, 100):
        assert decide(Plight(LETTERS_0, offset, 0, 100), "error") is None


def test_5_a_recreated_topic_is_a_new_topic_even_where_the_offset_would_fit() -> None:
    """Row 5: positions of the old one mean nothing in the new one."""
    plight = Plight(LETTERS_0, 5, 0, 10, recreated=True)
    for policy, target, moves in (("earliest", 0, True), ("latest", 10, True), ("error", 0, False)):
        reset = decide(plight, policy)  # type: ignore[arg-type]
        assert reset is not None
        assert (reset.target, reset.moves) == (target, moves)
        assert "deleted and created anew" in reset.reason
