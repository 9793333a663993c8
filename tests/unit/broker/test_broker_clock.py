"""The broker's clock: what is due happens in its order, when time passes or is made to."""

import asyncio

import pytest

from felice.broker.clock import BrokerClock, Deadline, StoppedClock
from felice.clock import SystemClock
from felice.errors import UsageError


class Stopped:
    """A clock that stands still."""

    def monotonic(self) -> float:
        """Return the same always."""
        return 100.0

    def time_ms(self) -> int:
        """Return the same always."""
        return 1_000_000


def made() -> BrokerClock:
    """Return a clock over one that stands still."""
    return BrokerClock(Stopped(), lambda function: function())


def test_time_passes_only_by_advancing_over_a_clock_that_stands_still():
    clock = made()
    assert (clock.monotonic(), clock.time_ms()) == (100.0, 1_000_000)
    clock.advance(2.5)
    assert (clock.monotonic(), clock.time_ms()) == (102.5, 1_002_500)


def test_what_is_due_happens_in_the_order_of_its_times_each_at_its_own():
    clock = made()
    seen: list[tuple[str, float]] = []
    clock.call_later(3, lambda: seen.append(("late", clock.monotonic())))
    clock.call_later(1, lambda: seen.append(("early", clock.monotonic())))
    clock.call_later(9, lambda: seen.append(("never", clock.monotonic())))
    clock.advance(5)
    assert seen == [("early", 101.0), ("late", 103.0)]


def test_what_follows_from_a_timer_happens_in_the_same_advance():
    clock = made()
    seen: list[float] = []

    def again() -> None:
        seen.append(clock.monotonic())
        clock.call_later(2, again)

    clock.call_later(2, again)
    clock.advance(7)
    assert seen == [102.0, 104.0, 106.0]


def test_cancelled_timers_do_not_pile_up():
    """Where each transaction has a timeout that is cancelled, as many are kept as there are open at a time."""
    clock = made()
    kept = [clock.call_later(60 + number, lambda: None) for number in range(10)]
    for _ in range(10_000):
        clock.call_later(30, lambda: None).cancel()
        clock.call_later(300, lambda: None).cancel()
    assert len(clock._timers) < 1000
    seen: list[float] = []
    for timer in kept:
        timer.function = lambda: seen.append(clock.monotonic())
    clock.advance(1000)
    assert seen == [160.0 + number for number in range(10)]


def test_a_cancelled_timer_does_not_happen():
    clock = made()
    seen: list[int] = []
    timer = clock.call_later(1, seen.append, 1)
    clock.call_later(1, seen.append, 2)
    timer.cancel()
    timer.cancel()
    clock.advance(1)
    assert seen == [2]


def test_time_does_not_go_back():
    with pytest.raises(UsageError, match="does not go back"):
        made().advance(-1)


def test_in_real_time_timers_ring_by_themselves_and_advancing_rings_them_at_once():
    async def run() -> list[str]:
        clock = BrokerClock(SystemClock(), lambda function: function())
        seen: list[str] = []
        rang = asyncio.Event()
        clock.call_later(0.02, lambda: (seen.append("soon"), rang.set()))
        clock.call_later(3600, seen.append, "in an hour")
        clock.start(asyncio.get_running_loop())
        await asyncio.wait_for(rang.wait(), 10)
        clock.advance(3600)
        clock.call_later(0.01, rang.clear)
        clock.clear()
        await asyncio.sleep(0.05)
        assert rang.is_set()
        return seen

    assert asyncio.run(run()) == ["soon", "in an hour"]


async def test_nobody_waits_for_a_time_that_does_not_come() -> None:
    """Over a `StoppedClock` the loop sets no alarm for a later time, but what is due now happens soon."""
    clock = BrokerClock(StoppedClock(1_000), lambda function: function())
    clock.start(asyncio.get_running_loop())
    seen: list[str] = []
    now = asyncio.Event()
    clock.call_later(0.001, lambda: seen.append("later"))
    assert clock._alarm is None
    clock.call_later(0, now.set)
    await asyncio.wait_for(now.wait(), 10)
    assert seen == []
    clock.advance(1)
    assert seen == ["later"]
    assert (clock.monotonic(), clock.time_ms()) == (1.0, 2_000)


async def test_a_call_that_fails_does_not_stop_the_others() -> None:
    """The loop hears of the error, and what is due later happens."""
    loop = asyncio.get_running_loop()
    errors: list[object] = []
    loop.set_exception_handler(lambda _, context: errors.append(context["exception"]))
    clock = BrokerClock(SystemClock(), lambda function: function())
    clock.start(loop)
    happened = asyncio.Event()
    clock.call_later(0.001, lambda: 1 / 0)
    clock.call_later(0.002, happened.set)
    await asyncio.wait_for(happened.wait(), 10)
    assert isinstance(errors[0], ZeroDivisionError)


def test_a_reset_forgets_what_was_ahead() -> None:
    """The clock is where the one underneath is, and nothing of before happens."""
    clock = made()
    clock.call_later(1, lambda: pytest.fail("it was forgotten"))
    clock.advance(0.5)
    clock.reset()
    assert clock.monotonic() == 100.0
    clock.advance(10)


def test_a_deadline_that_is_put_off_comes_at_its_last_time_and_once() -> None:
    """Later or nearer than before: what was said last counts."""
    clock = made()
    seen: list[float] = []
    deadline = Deadline(clock, lambda: seen.append(clock.monotonic()))
    deadline.put_off(5)
    clock.advance(4)
    deadline.put_off(5)
    clock.advance(4)
    deadline.put_off(2)
    clock.advance(1.5)
    assert seen == []
    clock.advance(20)
    assert seen == [110.0]
    deadline.put_off(1)
    clock.advance(1)
    assert seen == [110.0, 130.5]


def test_a_deadline_that_is_cancelled_does_not_come() -> None:
    """Until it is put off anew."""
    clock = made()
    seen: list[float] = []
    deadline = Deadline(clock, lambda: seen.append(clock.monotonic()))
    deadline.put_off(5)
    deadline.cancel()
    deadline.cancel()
    clock.advance(10)
    assert seen == []
    deadline.put_off(5)
    clock.advance(10)
    assert seen == [115.0]
