"""What crosses between threads: the inbox, the bell and the result."""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable

import pytest

from felice.cluster.handoff import Inbox, Mailbox, OneShot
from felice.errors import DeadlineExceeded


class Wakes:
    """Counts wakes; `during` runs in the midst of one."""

    def __init__(self, during: Callable[[], object] = lambda: None) -> None:
        self.count = 0
        self.during = during

    def __call__(self) -> None:
        self.count += 1
        self.during()


def test_posts_to_a_sleeping_engine_wake_it_once() -> None:
    wakes = Wakes()
    inbox = Inbox(wakes)
    for _ in range(100):
        inbox.post(lambda: None)
    assert (wakes.count, len(inbox)) == (1, 100)


def test_posts_to_an_engine_that_is_awake_write_nothing() -> None:
    wakes = Wakes()
    inbox = Inbox(wakes)
    inbox.asleep = False
    inbox.post(lambda: None)
    assert wakes.count == 0


def test_calls_are_made_in_the_order_of_their_posts() -> None:
    inbox = Inbox(Wakes())
    made: list[int] = []
    for n in range(5):
        inbox.post(made.append, n)
    inbox.deliver()
    assert made == [0, 1, 2, 3, 4]


def test_a_call_that_posts_another_does_not_keep_the_loop() -> None:
    inbox = Inbox(Wakes())
    made: list[int] = []

    def again() -> None:
        made.append(1)
        inbox.post(again)

    inbox.post(again)
    inbox.deliver()
    assert (len(made), len(inbox)) == (1, 1)


def test_a_call_that_fails_is_logged_and_the_next_is_made(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox(Wakes())
    made: list[int] = []
    inbox.post(lambda: 1 / 0)
    inbox.post(made.append, 1)
    inbox.deliver()
    assert made == [1]
    assert "ZeroDivisionError" in caplog.text


def test_a_post_that_is_interrupted_before_the_wake_silences_nobody() -> None:
    """A signal handler raises inside the post, while another thread relies on its wake."""
    wakes = Wakes()
    inbox = Inbox(wakes)

    def interrupt() -> None:
        wakes.during = lambda: None
        inbox.post(print)  # the other thread: reads that a wake is under way, and writes none
        raise KeyboardInterrupt

    wakes.during = interrupt
    with pytest.raises(KeyboardInterrupt):
        inbox.post(print)
    assert wakes.count == 2, "the wake that was lost is made up for"
    assert inbox.asleep, "the next post wakes again"


def test_a_closed_inbox_wakes_nobody() -> None:
    wakes = Wakes()
    inbox = Inbox(wakes)
    inbox.closed = True
    inbox.post(print)
    assert wakes.count == 0


def test_a_bell_rung_many_times_drains_once() -> None:
    inbox = Inbox(Wakes())
    drains: list[int] = []
    mailbox = Mailbox(inbox.post, lambda: drains.append(1))
    for _ in range(10):
        mailbox.notify()
    inbox.deliver()
    assert drains == [1]
    mailbox.notify()
    inbox.deliver()
    assert drains == [1, 1]


def test_a_ring_during_the_drain_drains_again() -> None:
    """The flag falls before the drain looks, so work that comes during it is not lost."""
    inbox = Inbox(Wakes())
    drains: list[int] = []

    def drain() -> None:
        drains.append(1)
        if len(drains) == 1:
            mailbox.notify()

    mailbox = Mailbox(inbox.post, drain)
    mailbox.notify()
    inbox.deliver()
    inbox.deliver()
    assert drains == [1, 1]


def test_a_bell_interrupted_before_its_post_rings_for_those_who_read_its_flag() -> None:
    posts: list[object] = []

    def post(function: Callable[..., object], *args: object) -> None:
        posts.append(function)
        if len(posts) == 1:
            posts.clear()
            posts.append("lost")
            mailbox.notify()  # another thread reads the flag as set
            raise KeyboardInterrupt

    mailbox = Mailbox(post, lambda: None)
    with pytest.raises(KeyboardInterrupt):
        mailbox.notify()
    assert len(posts) == 2, "rung again on the way out"


def test_a_result_wakes_every_thread_that_waits() -> None:
    shot: OneShot[int] = OneShot()
    got: list[int] = []
    threads = [threading.Thread(target=lambda: got.append(shot.wait(10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    shot.set(7)
    for thread in threads:
        thread.join(10)
    assert got == [7] * 4


def test_the_first_result_counts() -> None:
    shot: OneShot[int] = OneShot()
    shot.set(1)
    shot.fail(ValueError())
    shot.set(2)
    assert (shot.done, shot.wait(), shot.result()) == (True, 1, 1)


def test_an_error_reaches_every_waiter() -> None:
    shot: OneShot[int] = OneShot()
    shot.fail(ValueError("no"))
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            shot.wait(0)


def test_a_wait_ends_with_its_timeout() -> None:
    shot: OneShot[int] = OneShot()
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        shot.wait(0.05)
    assert 0.04 < time.monotonic() - started < 2
    shot.set(1)
    assert shot.wait(0) == 1


def test_ctrl_c_ends_a_wait_at_once() -> None:
    shot: OneShot[int] = OneShot()
    threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        shot.wait(30)
    assert time.monotonic() - started < 5


def test_waiters_and_setter_may_meet_anywhere() -> None:
    """Two thousand results set beside a thread that is just beginning to wait; none is missed."""
    shots: list[OneShot[int]] = [OneShot() for _ in range(2000)]

    def setter() -> None:
        for n, shot in enumerate(shots):
            shot.set(n)

    thread = threading.Thread(target=setter)
    thread.start()
    assert [shot.wait(10) for shot in shots] == list(range(2000))
    thread.join()


async def test_a_result_set_by_another_thread_wakes_a_coroutine() -> None:
    shot: OneShot[str] = OneShot()
    threading.Timer(0.01, shot.set, ("done",)).start()
    assert await shot == "done"
    assert await shot == "done", "again, at once"


async def test_a_cancelled_await_leaves_the_result_to_others() -> None:
    shot: OneShot[str] = OneShot()

    async def wait() -> str:
        return await shot

    first, second = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    shot.set("done")
    assert await second == "done"
    assert first.cancelled()


def test_a_result_after_its_waiters_loop_has_closed_harms_nobody() -> None:
    shot: OneShot[str] = OneShot()

    async def wait() -> None:
        task = asyncio.ensure_future(shot)
        await asyncio.sleep(0)
        abandoned.append(task)

    abandoned: list[object] = []
    loop = asyncio.new_event_loop()
    loop.run_until_complete(wait())
    loop.close()
    shot.set("late")
    assert shot.result() == "late"
    # The task is gone with its loop; that it was pending is what asyncio would complain of.
    for task in abandoned:
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.get_coro().close()  # type: ignore[attr-defined]
    abandoned.clear()
    gc.collect()


def test_a_finalizer_that_posts_from_inside_a_post_does_not_deadlock() -> None:
    """There is no lock to meet oneself at: a post inside the wake of a post is just one more call."""
    wakes = Wakes()
    inbox = Inbox(wakes)
    shot: OneShot[int] = OneShot()

    class Finalized:
        def __del__(self) -> None:
            inbox.post(shot.set, 1)

    held = [Finalized()]
    wakes.during = held.clear
    inbox.post(lambda: None)
    inbox.deliver()
    assert shot.done
