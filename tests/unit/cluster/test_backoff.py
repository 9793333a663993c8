"""The pauses between tries."""

from random import Random

from felice.cluster.backoff import JITTER, Backoff


def test_row_50_pauses_double_up_to_the_most_and_are_jittered() -> None:
    backoff = Backoff(0.05, 1.0, Random(7))
    plain = [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 1.0]
    pauses = [backoff.next() for _ in plain]
    for pause, middle in zip(pauses, plain, strict=True):
        assert middle * (1 - JITTER) <= pause <= middle * (1 + JITTER)
    assert len({round(pause, 9) for pause in pauses[5:]}) == 3, "equal pauses would keep clients in step"


def test_a_success_begins_anew() -> None:
    backoff = Backoff(0.05, 1.0, Random(7))
    for _ in range(10):
        backoff.next()
    backoff.reset()
    assert backoff.next() < 0.07


def test_a_thousand_failures_overflow_nothing() -> None:
    backoff = Backoff(0.05, 1.0, Random(7))
    assert max(backoff.next() for _ in range(2000)) <= 1.2


def test_no_backoff_is_no_pause() -> None:
    assert Backoff(0.0, 0.0, Random(7)).next() == 0.0
