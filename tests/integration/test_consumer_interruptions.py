"""The consumer on the embedded broker, interrupted at any instruction of taking a batch, as Ctrl-C may."""

import dis
import functools
import itertools
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import CodeType
from typing import Any

import pytest

from felice import Consumer
from felice.broker import Broker
from felice.consumer import Timestamp
from felice.consumer.trail import Mark
from felice.errors import ErrorCode, PartitionError
from felice.events import Event, PositionReset
from felice.types import TopicPartition
from plain_produce import produce
from wire_batches import BASE_TIME, batch


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(topics={"cards": 1}) as made:
        yield made


def in_its_own_thread(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a thread that ends with it.

    What is raised between two instructions of an exception's handling stays in the thread as that being handled, and
    would stand in the traceback of every failure afterwards.
    """

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(test, **fixtures).result()

    return run


class InterruptedPollError(Exception):
    """What comes in between, as a KeyboardInterrupt would."""


class Interruption:
    """Raises at the n-th instruction of the code that takes batches, once."""

    def __init__(self, nth: int) -> None:
        self.left = nth
        self.raised = False

    def __call__(self, frame: Any, event: str, _argument: Any) -> Any:
        if not self.concerns(frame):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and not self.raised and self.strikes(frame):
            self.left -= 1
            if self.left < 0:
                self.raised = True
                raise InterruptedPollError
        return self

    def concerns(self, frame: Any) -> bool:
        file: str = frame.f_code.co_filename
        return file.endswith("consumer/taker.py")

    def strikes(self, _frame: Any) -> bool:
        return True


class Signal(Interruption):
    """Raises where a signal's handler does: only after a call, at the start of a function and at the end of a loop.

    But in the face too, whose last instructions nothing could make good for.
    """

    def concerns(self, frame: Any) -> bool:
        return frame.f_code.co_filename.endswith(("consumer/taker.py", "consumer/consumer.py"))

    def strikes(self, frame: Any) -> bool:
        return frame.f_lasti in looked_for_signals(frame.f_code)


@functools.cache
def looked_for_signals(code: CodeType) -> frozenset[int]:
    """The instructions before which the interpreter runs the handlers of signals."""
    found = list(dis.get_instructions(code))
    return frozenset(
        after.offset
        for before, after in itertools.pairwise(found)
        if before.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
    )


@in_its_own_thread
@pytest.mark.parametrize("how", ["poll", "iterate"])
def test_an_interruption_at_any_instruction_loses_and_repeats_nothing(broker: Broker, how: str, seed: int) -> None:
    """Ctrl-C in the middle of taking a batch: whoever reads on gets the same messages as without it."""
    wire = batch(0, [b"x"] * 10)
    produce(broker, "cards", [(0, wire) for _ in range(4)])
    with Consumer(broker.bootstrap_servers, "cards") as reading:
        for nth in range(seed % 11, 10_000, 11):  # all of them take half a minute
            reading.seek(("cards", 0), 0)
            interruption = Interruption(nth)
            seen: list[int] = []
            while len(seen) < 40:
                sys.settrace(interruption)
                try:
                    if how == "poll":
                        seen += reading.poll(5, max_records=7).offsets()
                    else:
                        seen.append(next(iter(reading)).offset)
                except InterruptedPollError:
                    sys.settrace(None)
                    assert reading.position(("cards", 0)) == len(seen)
                finally:
                    sys.settrace(None)
            assert seen == list(range(40)), nth
            if not interruption.raised:
                break
        assert 100 < nth < 9_900


def poll_again(reading: Any, interruption: Interruption) -> Any:
    """Poll, and where that is interrupted once more."""
    sys.settrace(interruption)
    try:
        return reading.poll(5)
    except InterruptedPollError:
        sys.settrace(None)
        return reading.poll(5)
    finally:
        sys.settrace(None)


class InterruptedOpening(Interruption):
    """Raises at the n-th instruction of what begins with a chunk, and gives it back."""

    def concerns(self, frame: Any) -> bool:
        return super().concerns(frame) and frame.f_code.co_name in ("_open", "_give_back")


@in_its_own_thread
def test_an_interruption_before_the_first_message_does_not_forget_where_reading_begins(broker: Broker) -> None:
    """Where it begins was looked up: by a time, and not at the beginning of the log."""
    produce(broker, "cards", [(0, batch(0, [b"x"] * 10))])
    with Consumer(broker.bootstrap_servers, "cards") as reading:
        for nth in range(1000):
            reading.seek(("cards", 0), Timestamp(BASE_TIME + 5))
            interruption = InterruptedOpening(nth)
            found = poll_again(reading, interruption)
            assert found.offsets() == [5, 6, 7, 8, 9], nth
            if not interruption.raised:
                break
        assert 50 < nth < 999


@in_its_own_thread
def test_an_interruption_does_not_keep_anybody_from_hearing_that_a_partition_has_stopped(broker: Broker) -> None:
    with (
        Consumer(broker.bootstrap_servers, "cards") as reading,
        broker.faults.error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "Fetch", topic="cards", times=None),
    ):
        for nth in range(1000):
            reading.seek(("cards", 0), 0)
            interruption = InterruptedOpening(nth)
            with pytest.raises(PartitionError):
                poll_again(reading, interruption)
            assert list(reading.failures) == [("cards", 0)]
            if not interruption.raised:
                break
        assert 30 < nth < 999


class InterruptedReturn(Interruption):
    """Raises at the n-th instruction of what goes back to where a log was cut off."""

    def concerns(self, frame: Any) -> bool:
        return super().concerns(frame) and frame.f_code.co_name == "_go_back"


@in_its_own_thread
def test_an_interruption_does_not_keep_anybody_from_hearing_that_a_log_was_cut_off(broker: Broker) -> None:
    heard: list[Event] = []
    produce(broker, "cards", [(0, batch(0, [b"x"] * 10))])
    with Consumer(broker.bootstrap_servers, "cards", listeners=[heard.append]) as reading:
        core = reading._core
        for nth in range(1000):
            reading.seek(("cards", 0), 0)
            assert len(reading.poll(5)) == 10
            heard.clear()
            partition = core.outbox.partitions[TopicPartition("cards", 0)]
            partition.shelf.cut = Mark(0, 7)
            core.engine.run(announce, core, partition)
            interruption = InterruptedReturn(nth)
            found = poll_again(reading, interruption)
            assert found.offsets() == [7, 8, 9], nth
            core.engine.callbacks.flush(5)
            events = [event for event in heard if isinstance(event, PositionReset)]
            assert {(event.before, event.after) for event in events} == {(10, 7)}, nth
            if not interruption.raised:
                assert len(events) == 1
                break
        assert 30 < nth < 999


async def announce(core: Any, partition: Any) -> None:
    core.outbox.announce(partition)


@in_its_own_thread
@pytest.mark.parametrize("how", ["poll", "iterate"])
def test_a_signal_at_any_moment_leaves_a_consumer_that_can_be_polled(broker: Broker, how: str, seed: int) -> None:
    """Ctrl-C on the way into a poll or out of it: no batch falls between the two, and nobody else seems to poll."""
    wire = batch(0, [b"x"] * 10)
    produce(broker, "cards", [(0, wire) for _ in range(2)])
    with Consumer(broker.bootstrap_servers, "cards") as reading:
        for nth in range(seed % 3, 3_000, 3):
            reading.seek(("cards", 0), 0)
            interruption = Signal(nth)
            seen: list[int] = []
            while len(seen) < 20:
                sys.settrace(interruption)
                try:
                    if how == "poll":
                        found = reading.poll(5, max_records=7)
                    else:
                        seen.append(next(iter(reading)).offset)
                except InterruptedPollError:
                    continue
                finally:
                    sys.settrace(None)
                if how == "poll":
                    seen += found.offsets()
            assert seen == list(range(20)), nth
            if not interruption.raised:
                break
        assert 30 < nth < 2_900
