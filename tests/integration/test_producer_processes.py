"""Producers and the life of their process: its end, its forks, and Ctrl-C. Each in a process of its own."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from felice.broker import Broker
from producer_faces import log, values

TESTS = Path(__file__).resolve().parent.parent
PRELUDE = """
import asyncio, os, signal, sys, time
from felice import AsyncProducer, Producer
from felice.errors import ClosedError, ForkedError
servers = sys.argv[1]
def say(*words):
    print(*words, flush=True)
"""


@contextmanager
def running(broker: Broker, script: str) -> Iterator[subprocess.Popen[str]]:
    """Run a script against a broker, in a process that does not outlive the test."""
    child = subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + textwrap.dedent(script), broker.bootstrap_servers],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # a background job ignores it
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def tell(child: subprocess.Popen[str]) -> None:
    """Let a script go on that reads a line."""
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def run(broker: Broker, script: str, timeout: float = 30) -> tuple[str, str]:
    """Run a script to its end, which must be clean; return what it printed and what it complained of."""
    with running(broker, script) as child:
        out, err = child.communicate(timeout=timeout)
        assert child.returncode == 0, err
        return out, err


# -- its end ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("topic", ["letters", "cards"])
def test_the_end_of_the_interpreter_delivers_what_was_accepted(broker: Broker, topic: str) -> None:
    """Nothing is closed or flushed, and everything lingers; staged records go too when their topic comes."""
    if topic == "cards":
        threading.Timer(0.5, broker.create_topic, ["cards", 2]).start()
    _, err = run(
        broker,
        f"""
        producer = Producer(servers, linger=60)
        for n in range(500):
            producer.send({topic!r}, b"%d" % n, key=b"k")
        """,
    )
    assert "lost" not in err
    (filled,) = [partition for partition in log(broker, topic).values() if partition]
    assert filled == [b"%d" % n for n in range(500)]


@pytest.mark.parametrize("used", [False, True])
def test_large_batches_are_compressed_at_the_exit_too(broker: Broker, used: bool) -> None:
    """By then Python takes no more work for its thread pools."""
    _, err = run(
        broker,
        f"""
        producer = Producer(servers, linger=60, compression="lz4", batch_bytes=100_000)
        if {used}:
            producer.send_many("letters", [b"x" * 1000] * 500, partition=1).result()
        for n in range(500):
            producer.send("letters", b"%d " % n * 100, partition=0)
        """,
    )
    assert err == ""
    assert len(log(broker)[0]) == 500


def test_row_41_the_end_of_the_interpreter_reports_what_is_left(broker: Broker) -> None:
    """Row 41: up to a deadline (here shortened), then a line with the number, and the process ends."""
    with broker.faults.freeze():
        started = time.monotonic()
        _, err = run(
            broker,
            """
            import felice.cluster.engine
            felice.cluster.engine.EXIT_DRAIN = 0.5
            producer = Producer(servers, linger=60)
            for n in range(500):
                producer.send("letters", b"%d" % n)
            """,
        )
        assert time.monotonic() - started < 10
    assert "the interpreter ends and 500 records of" in err
    assert "close it before" in err


def test_an_async_producer_is_drained_at_exit_too(broker: Broker) -> None:
    """Although its loop is gone by then: the network has a thread of its own."""
    run(
        broker,
        """
        async def main():
            producer = AsyncProducer(servers, linger=60)
            for n in range(100):
                await producer.send("letters", b"%d" % n)
        asyncio.run(main())
        """,
    )
    assert len(values(broker)) == 100


# -- its forks ----------------------------------------------------------------------------------------------------


def test_row_42_a_child_is_told_at_once_and_the_parent_goes_on(broker: Broker) -> None:
    """Row 42: every call of the child raises ForkedError, also a wait for an old delivery; no silent hang.

    The child may make a producer of its own, and neither takes anything from the other.
    """
    out, _ = run(
        broker,
        """
        producer = Producer(servers, linger=60)
        producer.send_and_wait("letters", b"before")
        pending = producer.send("letters", b"pending")
        staged = producer.send("cards", b"staged")
        bulk = producer.send_many("letters", [b"bulk"] * 3)
        child = os.fork()
        if child == 0:
            calls = {
                "send": lambda: producer.send("letters", b"x"),
                "try_send": lambda: producer.try_send("letters", b"x"),
                "send_many": lambda: producer.send_many("letters", [b"x"]),
                "flush": producer.flush,
                "ready": producer.ready,
                "partitions_for": lambda: producer.partitions_for("letters"),
                "result": pending.result,
                "staged result": staged.result,
                "bulk result": bulk.result,
            }
            for name, call in calls.items():
                began = time.monotonic()
                try:
                    call()
                except ForkedError as error:
                    assert time.monotonic() - began < 1
                    say("refused", name, "(" + error.hint + ")")
                else:
                    say("NOT REFUSED", name)
            producer.close()
            with Producer(servers) as own:
                own.send_and_wait("letters", b"of the child")
            say("child done")
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
        producer.send("letters", b"after")
        say(pending.result(10).topic, bulk.result(10)[0].length)
        producer.send_and_wait("letters", b"last")
        os._exit(0)
        """,
    )
    lines = out.splitlines()
    assert [line for line in lines if "NOT" in line] == []
    assert len([line for line in lines if line.startswith("refused")]) == 9
    assert lines[-2:] == ["child done", "letters 3"]
    assert sorted(map(bytes, filter(None, values(broker)))) == sorted(
        [b"before", b"pending", b"bulk", b"bulk", b"bulk", b"of the child", b"after", b"last"]
    )


def test_row_42_an_async_producer_is_refused_in_a_child_too(broker: Broker) -> None:
    """Row 42: as the sync one."""
    out, _ = run(
        broker,
        """
        async def before():
            producer = AsyncProducer(servers, linger=60)
            await producer.send_and_wait("letters", b"before")
            return producer, await producer.send("letters", b"pending")
        producer, pending = asyncio.run(before())
        async def wait(made):
            return await made
        child = os.fork()
        if child == 0:
            for call in (lambda: producer.send("letters", b"x"), producer.flush, lambda: wait(pending)):
                try:
                    asyncio.run(call())
                except ForkedError:
                    say("refused")
            asyncio.run(producer.close())
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        say(asyncio.run(wait(pending)).topic)
        """,
    )
    assert out.splitlines() == ["refused"] * 3 + ["letters"]


def test_row_42_a_fork_while_other_threads_send_hurts_nobody(broker: Broker) -> None:
    """Row 42: whatever was going on in the parent, the child is told and the parent loses nothing."""
    run(
        broker,
        """
        import threading, warnings
        producer = Producer(servers, linger=0.001)
        stop = threading.Event()
        sent = []
        def work(name):
            n = 0
            while not stop.is_set():
                sent.append(producer.send("letters", b"%d:%d" % (name, n)))
                n += 1
        threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range(10):
            child = os.fork()
            if child == 0:
                try:
                    producer.send("letters", b"x")
                except ForkedError:
                    os._exit(0)
                os._exit(1)
            children.append(child)
            while len(sent) < 300 * len(children):
                time.sleep(0)
        stop.set()
        for thread in threads:
            thread.join()
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 10
        producer.flush(20)
        assert len({tuple(delivery.result(0))[1:3] for delivery in sent}) == len(sent)
        """,
    )


# -- Ctrl-C -------------------------------------------------------------------------------------------------------

WAITS = {
    "result": 'delivery = producer.send("letters", b"x"); say("waiting"); delivery.result()',
    "result with a time": 'delivery = producer.send("letters", b"x"); say("waiting"); delivery.result(60)',
    "bulk result": 'bulk = producer.send_many("letters", [b"x"] * 9); say("waiting"); bulk.result()',
    "flush": 'producer.send("letters", b"x"); say("waiting"); producer.flush()',
    "send without room": 'say("waiting")\n    while True: producer.send("letters", b"x" * 1000)',
    "send_many without room": 'say("waiting"); producer.send_many("letters", [b"x" * 1000] * 1000)',
    "close": 'producer.send("letters", b"x"); say("waiting"); producer.close()',
    "partitions_for": 'say("waiting"); producer.partitions_for("cards", 60)',
}


@pytest.mark.parametrize("wait", WAITS)
def test_ctrl_c_interrupts_every_wait_at_once(broker: Broker, wait: str) -> None:
    """KeyboardInterrupt within a second, from whichever wait; the program may then end in its own way."""
    script = f"""
producer = Producer(servers, buffer_bytes=100_000, batch_bytes=20_000, request_timeout=60)
producer.send_and_wait("letters", b"first")
say("go")
sys.stdin.readline()
try:
    {WAITS[wait]}
except KeyboardInterrupt:
    say("interrupted")
    os._exit(0)
say("not interrupted")
"""
    with running(broker, script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        with broker.faults.freeze():
            tell(child)
            assert child.stdout.readline() == "waiting\n"
            time.sleep(0.2)  # It says so before it waits; a signal that came earlier would prove less.
            started = time.monotonic()
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "interrupted\n"
            assert time.monotonic() - started < 1


def test_ctrl_c_in_a_with_block_ends_the_program(broker: Broker) -> None:
    """The block's end delivers what was sent, and the interrupt is what comes out of it."""
    script = """
    try:
        with Producer(servers, linger=60) as producer:
            producer.send("letters", b"x")
            say("waiting")
            time.sleep(60)
    except KeyboardInterrupt:
        say("interrupted")
    """
    with running(broker, script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "waiting\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.readline() == "interrupted\n"
        assert child.wait(10) == 0
    assert values(broker) == [b"x"]


def test_an_interrupted_close_leaves_nothing_running(broker: Broker) -> None:
    """After Ctrl-C in close() the rest has failed, as its deliveries tell, and the exit is quick."""
    script = """
    producer = Producer(servers, request_timeout=60)
    producer.send_and_wait("letters", b"first")
    say("go")
    sys.stdin.readline()
    delivery = producer.send("letters", b"x")
    time.sleep(0.2)
    try:
        say("waiting")
        producer.close()
    except KeyboardInterrupt:
        say(type(delivery.exception(5)).__name__)
    """
    with running(broker, script) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "go\n"
        with broker.faults.freeze():
            tell(child)
            assert child.stdout.readline() == "waiting\n"
            time.sleep(0.1)
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == "ClosedError\n"
            assert child.wait(5) == 0
