"""The engine: one thread for all network state, and the ways to it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest

from felice.cluster.callbacks import Callbacks
from felice.cluster.engine import Engine
from felice.errors import ClosedError, DeadlineExceeded, FeliceError, UsageError


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = Engine()
    yield made
    made.stop()


async def double(value: int) -> int:
    await asyncio.sleep(0)
    return 2 * value


def run_script(script: str, *, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Run a program of its own and return what it printed."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_a_coroutine_runs_on_the_engine_and_its_result_comes_back(engine: Engine) -> None:
    async def where() -> tuple[int, int]:
        return threading.get_ident(), await double(21)

    assert engine.run(where, timeout=5) == (engine.ident, 42)


def test_an_error_of_the_coroutine_is_raised_in_the_caller(engine: Engine) -> None:
    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        engine.run(fail, timeout=5)


def test_a_call_that_is_no_coroutine_function_fails_in_the_caller(engine: Engine) -> None:
    with pytest.raises(TypeError):
        engine.run(double, timeout=5)


def test_a_run_ends_with_its_timeout_and_cancels_its_coroutine(engine: Engine) -> None:
    cancelled = threading.Event()

    async def hang() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    started = time.monotonic()
    with pytest.raises(DeadlineExceeded):
        engine.run(hang, timeout=0.05)
    assert time.monotonic() - started < 2
    assert cancelled.wait(5)


def test_ctrl_c_interrupts_a_run_at_once_and_cancels_its_coroutine(engine: Engine) -> None:
    cancelled = threading.Event()

    async def hang() -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        engine.run(hang, timeout=30)
    assert time.monotonic() - started < 5
    assert cancelled.wait(5)
    assert engine.run(double, 4, timeout=5) == 8, "the engine goes on"


def test_a_run_on_the_engine_itself_is_refused(engine: Engine) -> None:
    async def inside() -> None:
        engine.run(double, 1)

    with pytest.raises(UsageError, match="own thread"):
        engine.run(inside, timeout=5)


async def test_any_loop_can_await_the_engine(engine: Engine) -> None:
    assert await engine.run_async(double, 5) == 10


async def test_a_cancelled_await_cancels_the_coroutine(engine: Engine) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    task = asyncio.create_task(engine.run_async(hang))
    await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(cancelled.wait, 5)


def test_posts_run_on_the_engine_in_order(engine: Engine) -> None:
    made: list[int] = []
    done = threading.Event()
    for n in range(1000):
        engine.post(made.append, n)
    engine.post(done.set)
    assert done.wait(5)
    assert made == list(range(1000))


def test_posts_of_many_threads_all_arrive(engine: Engine) -> None:
    """The race of a post beside an engine that goes to sleep, a hundred thousand times."""
    made: list[int] = []

    def poster() -> None:
        for n in range(12_500):
            engine.post(made.append, n)
            if not n % 100:
                time.sleep(0)  # let the engine fall asleep now and then

    threads = [threading.Thread(target=poster) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = threading.Event()
    engine.post(done.set)
    assert done.wait(10)
    assert len(made) == 100_000


def test_a_lone_post_wakes_a_sleeping_engine_soon(engine: Engine) -> None:
    for _ in range(20):
        done = threading.Event()
        engine.run(asyncio.sleep, 0, timeout=5)
        engine.post(done.set)
        assert done.wait(2)


def test_a_task_that_exits_does_not_take_the_engine_with_it(engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        engine.run(leave, timeout=5)
    assert engine.run(double, 1, timeout=5) == 2
    assert "interrupted and goes on" in caplog.text


def test_a_stopped_engine_refuses_work() -> None:
    engine = Engine()
    engine.stop()
    engine.stop()
    engine.post(print)
    with pytest.raises(ClosedError):
        engine.run(double, 1)


def test_there_is_one_engine_a_process() -> None:
    found: list[Engine] = []
    threads = [threading.Thread(target=lambda: found.append(Engine.current())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(engine) for engine in found}) == 1


def test_importing_starts_no_thread() -> None:
    script = "import threading, felice.cluster.engine; print(threading.active_count())"
    assert run_script(script).stdout == "1\n"


def test_a_loop_that_is_held_up_is_told(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("felice.cluster.engine.LATE", 0.02)
    told: list[float] = []
    heard = threading.Event()

    async def watch() -> None:
        stops.append(engine.when_late(lambda seconds: (told.append(seconds), heard.set())))
        await asyncio.sleep(0.03)  # at least one tick on time

    stops: list[object] = []
    engine.run(watch, timeout=5)
    engine.post(time.sleep, 0.2)  # what holds the GIL does this to the engine
    assert heard.wait(5)
    assert told[-1] > 0.1
    engine.run(_call, stops[0], timeout=5)
    assert engine._tick is None, "nobody listens, so nothing ticks"


async def _call(function: object) -> None:
    assert callable(function)
    function()


def test_an_idle_engine_takes_no_cpu(engine: Engine) -> None:
    """Also with somebody who wants to hear of a late loop: below 0.3 % of a core."""

    async def spent() -> float:
        return time.thread_time()

    async def watch() -> None:
        engine.when_late(print)

    engine.run(watch, timeout=5)
    before = engine.run(spent, timeout=5)
    time.sleep(2.5)
    assert engine.run(spent, timeout=5) - before < 0.003 * 2.5


# -- callbacks --------------------------------------------------------------------------------------------------------


def test_callbacks_run_in_order_on_one_thread_that_starts_with_the_first() -> None:
    callbacks = Callbacks()
    assert callbacks.ident is None
    seen: list[tuple[int, int]] = []
    for n in range(100):
        callbacks.post(lambda n=n: seen.append((n, threading.get_ident())))
    assert callbacks.flush(5)
    assert [n for n, _ in seen] == list(range(100))
    assert {ident for _, ident in seen} == {callbacks.ident}
    assert callbacks.ident != threading.get_ident()


def test_callbacks_of_many_threads_share_one_thread() -> None:
    callbacks = Callbacks()
    idents: set[int] = set()
    threads = [
        threading.Thread(target=callbacks.post, args=(lambda: idents.add(threading.get_ident()),)) for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert callbacks.flush(5)
    assert len(idents) == 1


def test_a_callback_that_fails_is_logged_and_kills_nothing(caplog: pytest.LogCaptureFixture) -> None:
    callbacks = Callbacks()

    def leave() -> None:
        raise SystemExit

    callbacks.post(lambda: 1 / 0)
    callbacks.post(leave)
    assert callbacks.flush(5)
    assert "ZeroDivisionError" in caplog.text
    assert "SystemExit" in caplog.text


def test_who_posts_a_callback_learns_nothing_of_a_thread_that_cannot_be_started(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The system has no thread left: the calls wait for the next post that finds one."""
    callbacks = Callbacks()
    seen: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more_threads)
        callbacks.post(seen.append, 1)
        assert callbacks.offer(seen.append, 2)
    assert seen == []
    assert "can't start new thread" in caplog.text
    callbacks.post(seen.append, 3)
    assert callbacks.flush(5)
    assert seen == [1, 2, 3]


def test_callbacks_that_have_no_thread_are_made_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the interpreter's end Python starts no more threads, but what was delivered there has its callbacks."""
    callbacks = Callbacks()
    monkeypatch.setattr(threading.Thread, "start", no_more_threads)
    idents: list[int] = []
    callbacks.post(lambda: idents.append(threading.get_ident()))
    callbacks.post(lambda: 1 / 0)
    callbacks.post(lambda: idents.append(threading.get_ident()))
    assert callbacks.flush(5)
    assert idents == [threading.get_ident()] * 2


def no_more_threads(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


def test_events_are_dropped_and_counted_when_too_many_wait_and_deliveries_never() -> None:
    callbacks = Callbacks(limit=10)
    gate, running = threading.Event(), threading.Event()
    seen: list[str] = []
    callbacks.post(lambda: (running.set(), gate.wait(10)))
    assert running.wait(5)
    assert sum(callbacks.offer(seen.append, "event") for _ in range(25)) == 10
    assert callbacks.dropped == 15
    for _ in range(20):
        callbacks.post(seen.append, "delivery")
    gate.set()
    assert callbacks.flush(5)
    assert (seen.count("event"), seen.count("delivery")) == (10, 20)


# -- fork and exit ----------------------------------------------------------------------------------------------------


def test_row_42_a_forked_child_refuses_the_parents_engine_and_may_make_its_own() -> None:
    done = run_script(
        """
        import asyncio, os, sys
        from felice.cluster import engine as module
        from felice.cluster.engine import Engine
        from felice.errors import ForkedError

        async def double(n):
            await asyncio.sleep(0)
            return 2 * n

        engine = Engine.current()
        flags = []
        engine.when_forked(lambda: flags.append(1))
        assert engine.run(double, 1, timeout=5) == 2
        pid = os.fork()
        if pid == 0:
            assert (flags, module.generation, engine.forked) == ([1], 1, True)
            for _ in range(2):
                try:
                    engine.run(double, 1, timeout=5)
                except ForkedError as error:
                    assert "parent" in str(error)
                else:
                    os._exit(3)
            assert Engine.current() is not engine
            assert Engine.current().run(double, 2, timeout=5) == 4
            print("child well", flush=True)
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert (flags, module.generation) == ([], 0)
        assert engine.run(double, 3, timeout=5) == 6
        print("parent well", flush=True)
        """
    )
    assert (done.stdout, done.stderr) == ("child well\nparent well\n", "")


def test_row_42_the_parents_sockets_live_through_a_fork() -> None:
    """The selector is shared: had the child unregistered anything, the parent's connection would be deaf."""
    done = run_script(
        """
        import asyncio, os, socket, sys
        from felice.cluster.engine import Engine

        engine = Engine.current()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)

        async def read():
            return await asyncio.wait_for(engine.loop.sock_recv(ours, 100), 5)

        theirs.send(b"before")
        assert engine.run(read, timeout=10) == b"before"

        async def begin():
            return asyncio.ensure_future(read())

        task = engine.run(begin, timeout=5)      # registered with the selector during the fork
        pid = os.fork()
        if pid == 0:
            Engine.current().run(asyncio.sleep, 0, timeout=5)
            import gc; gc.collect()
            for sock in (ours, theirs): sock.close()
            sys.exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        theirs.send(b"after")

        async def result():
            return await task

        assert engine.run(result, timeout=10) == b"after"
        for sock in (ours, theirs): sock.close()
        print("well")
        """
    )
    assert (done.stdout, done.stderr) == ("well\n", "")


def test_row_42_a_fork_while_another_thread_starts_the_engine_leaves_no_lock_behind() -> None:
    done = run_script(
        """
        import asyncio, os, sys
        from felice.cluster import engine as module

        module._starting.acquire()               # as another thread would hold it at the moment of the fork
        pid = os.fork()
        if pid == 0:
            module.Engine.current().run(asyncio.sleep, 0, timeout=5)
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        print("well")
        """
    )
    assert (done.stdout, done.stderr) == ("well\n", "")


def test_row_41_at_exit_clients_are_drained_and_what_is_left_is_told() -> None:
    done = run_script(
        """
        import asyncio, logging, time
        from felice.cluster.engine import Engine
        logging.basicConfig()
        engine = Engine.current()

        async def flush():
            await asyncio.sleep(0.05)
            print("flushed on the engine", flush=True)

        class Client:
            def __init__(self, name, left): self.name, self.left = name, left
            def __repr__(self): return self.name
            def drain_at_exit(self, deadline):
                assert 0 < deadline - time.monotonic() <= 5
                engine.run(flush, timeout=2)
                engine.callbacks.post(print, "called back")
                return self.left

        class Broken(Client):
            def drain_at_exit(self, deadline): raise ValueError("broken")

        clients = [Broken("broken", 0), Client("good", 0), Client("slow", 17), Client("closed", 5)]
        for client in clients: engine.register(client)
        engine.unregister(clients[3])

        async def hang(): await asyncio.sleep(60)
        async def begin(): asyncio.ensure_future(hang())
        engine.run(begin, timeout=5)
        """
    )
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == ["called back"] * 2 + ["flushed on the engine"] * 2
    assert "17 records of slow are lost" in done.stderr
    assert "ValueError: broken" in done.stderr
    assert "destroyed" not in done.stderr
    assert "good" not in done.stderr


def test_work_after_the_end_is_refused_by_name(engine: Engine) -> None:
    engine.stop()
    with pytest.raises(FeliceError, match="ending"):
        engine.check()
