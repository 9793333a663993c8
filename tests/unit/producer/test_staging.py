"""The staging queue: records whose topic's partitions are not known yet."""

import gc
import sys
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from felice.errors import FeliceError
from felice.producer.staging import STAND_IN, Record, Staged, Staging


def record(value: bytes, topic: str = "letters") -> Record:
    return Record(topic, value, None, None, None, 5)


def never() -> bool:
    return False


def stage(twin: ModuleType) -> Staging:
    return Staging(lambda topic: twin.Batch())


def test_records_move_on_in_the_order_of_the_sends_and_then_the_topic_is_open(twin: ModuleType) -> None:
    """Each is placed once, then callers are let through."""
    staging = stage(twin)
    for n in range(50):
        assert staging.add(record(b"%d" % n), n, never) is not None
    assert (staging.names(), staging.count()) == (["letters"], 50)
    placed: list[bytes | None] = []
    opened: list[int] = []
    staging.move("letters", lambda _, s: placed.append(s.record.value), lambda: opened.append(len(placed)))
    assert placed == [b"%d" % n for n in range(50)]
    assert opened == [50]
    assert staging.names() == []


def test_topics_do_not_wait_for_each_other(twin: ModuleType) -> None:
    """Moving one topic leaves the others where they are."""
    staging = stage(twin)
    staging.add(record(b"a"), 0, never)
    staging.add(record(b"b", "cards"), 0, never)
    moved: list[bytes | None] = []
    staging.move("cards", lambda _, s: moved.append(s.record.value), lambda: None)
    assert moved == [b"b"]
    assert staging.names() == ["letters"]


def test_a_topic_that_became_known_takes_no_more(twin: ModuleType) -> None:
    """Whoever comes after the door was opened is told to go through it."""
    assert stage(twin).add(record(b"a"), 0, lambda: True) is None


def test_a_topic_without_staged_records_is_opened_at_once(twin: ModuleType) -> None:
    """There is nothing to wait for."""
    opened: list[bool] = []
    stage(twin).move("letters", lambda _, s: None, lambda: opened.append(True))
    assert opened == [True]


def test_a_record_that_comes_while_others_move_keeps_its_place(twin: ModuleType) -> None:
    """It is staged behind the others, and moved before the door is opened."""
    staging = stage(twin)
    staging.add(record(b"first"), 0, never)
    placed: list[bytes | None] = []

    def place(_: Any, staged: Staged) -> None:
        placed.append(staged.record.value)
        if len(placed) == 1:
            staging.add(record(b"second"), 0, never)

    staging.move("letters", place, lambda: placed.append(b"open"))
    assert placed == [b"first", b"second", b"open"]


def test_there_is_one_mover_a_topic(twin: ModuleType) -> None:
    """A second one returns at once and opens nothing."""
    staging = stage(twin)
    staging.add(record(b"a"), 0, never)
    told: list[str] = []

    def place(_: Any, staged: Staged) -> None:
        staging.move("letters", lambda _, s: told.append("placed twice"), lambda: told.append("opened early"))
        told.append("placed")

    staging.move("letters", place, lambda: told.append("open"))
    assert told == ["placed", "open"]


def test_a_finalizer_that_stages_while_the_door_opens_loses_nothing(twin: ModuleType) -> None:
    """A record that comes from inside the last step is moved too."""
    staging = stage(twin)
    staging.add(record(b"a"), 0, never)
    placed: list[bytes | None] = []
    opened: list[int] = []

    def admit() -> None:
        if not opened:
            staging.add(record(b"from a finalizer"), 0, never)
        opened.append(len(placed))

    staging.move("letters", lambda _, s: placed.append(s.record.value), admit)
    assert placed == [b"a", b"from a finalizer"]
    assert staging.names() == []


def test_old_records_are_taken_out_and_younger_ones_stay(twin: ModuleType) -> None:
    """By the time of their staging, in order."""
    staging = stage(twin)
    for n in range(10):
        staging.add(record(b"%d" % n), float(n), never)
    assert [s.record.value for _, s in staging.take("letters", 3.0)] == [b"0", b"1", b"2", b"3"]
    assert staging.count() == 6
    assert len(staging.take("letters", float("inf"))) == 6
    assert staging.names() == []
    assert staging.take("letters", float("inf")) == []


def test_the_newest_is_told_for_those_who_flush(twin: ModuleType) -> None:
    """None where nothing waits."""
    staging = stage(twin)
    assert staging.last("letters") is None
    staging.add(record(b"a"), 0, never)
    placed = staging.add(record(b"b"), 0, never)
    assert staging.last("letters") == placed


def test_row_47_nothing_is_kept_of_records_that_have_gone_while_others_come(twin: ModuleType) -> None:
    """Row 47: a topic that is never found, and always written to, costs what waits for it and no more."""
    staging = stage(twin)
    stand_ins = set()
    for n in range(5000):
        placed = staging.add(record(b"%d" % n), n, never)
        assert placed is not None
        stand_ins.add(placed[0])
        for stand_in, staged in staging.take("letters", n - 10):
            stand_in.settle_one(staged.index, FeliceError("no such topic"))
        assert staging.names() == ["letters"]
    assert max(map(len, stand_ins)) <= STAND_IN
    assert len({id(stand_in) for stand_in, _ in staging.take("letters", 5000)}) <= 2


def test_the_stand_in_says_where_a_record_went(twin: ModuleType) -> None:
    """Its handle has the outcome of the batch that it moved to, or its own error."""
    staging = stage(twin)
    handles = [
        twin.deliver(*placed, 5) for n in range(2) if (placed := staging.add(record(b"%d" % n), 0, never)) is not None
    ]
    (first, one), (second, two) = staging.take("letters", 0)
    target = twin.Batch()
    first.move(one.index, target, target.reserve())
    second.settle_one(two.index, FeliceError("no such topic"))
    assert handles[0]._place() == (target, 0)
    assert str(handles[1].exception(0)) == "no such topic"


def test_a_record_knows_the_most_that_it_may_take() -> None:
    """The size is never below what the record takes in a batch, and near to it."""
    from felice.wire.records import BatchBuilder

    for given in (
        Record("t", b"v" * 100, b"k" * 50, [("ä" * 10, b"1"), ("b", None)], None, 2**62),
        Record("t", None, None, None, None, 0),
        Record("t", b"", b"", [("", b"")] * 100, None, 0),
    ):
        builder = BatchBuilder(100_000)
        builder.append(b"", None, (), 1)
        before = builder.size
        builder.append(given.value, given.key, given.headers or (), given.timestamp_ms or 0)
        assert builder.size - before <= given.size() <= builder.size - before + 60 + 20 * len(given.headers or ())


@pytest.fixture
def busy_collector() -> Any:
    before = gc.get_threshold()
    gc.collect()
    gc.set_threshold(1)
    yield
    gc.set_threshold(*before)


class Stages:
    """Stages a record when it is collected; a cycle, so that only the collector frees it."""

    def __init__(self, stage: Callable[[], object]) -> None:
        self.stage = stage
        self.me = self

    def __del__(self) -> None:
        self.stage()


@pytest.mark.usefixtures("busy_collector")
def test_finalizers_that_stage_from_inside_a_stage_lose_nothing(twin: ModuleType) -> None:
    """Neither a deadlock nor a topic that is overwritten by its twin."""
    for _ in range(100):
        staging = stage(twin)
        sent: list[bytes] = []

        def add(value: bytes, staging: Staging = staging, sent: list[bytes] = sent) -> None:
            sent.append(value)
            assert staging.add(record(value), 0, never) is not None

        Stages(lambda add=add: add(b"finalizer"))  # type: ignore[misc]
        add(b"send")
        gc.collect()
        assert staging.count() == len(sent) == 2


def test_threads_that_stage_beside_a_mover_lose_nothing_and_keep_their_order(twin: ModuleType) -> None:
    """Every record is placed by the mover or let through by the door, each thread's in its order."""
    staging = stage(twin)
    open_door = threading.Event()
    placed: list[bytes] = []
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    staging.add(record(b"9:0"), 0, never)

    def caller(name: int) -> None:
        for n in range(400):
            value = b"%d:%d" % (name, n)
            if staging.add(record(value), 0, open_door.is_set) is None:
                placed.append(value)

    threads = [threading.Thread(target=caller, args=(name,)) for name in range(4)]
    try:
        for thread in threads:
            thread.start()
        staging.move("letters", lambda _, s: placed.append(s.record.value or b""), open_door.set)
        for thread in threads:
            thread.join(30)
    finally:
        sys.setswitchinterval(before)
    assert staging.count() == 0
    for name in range(4):
        assert [v for v in placed if v.startswith(b"%d:" % name)] == [b"%d:%d" % (name, n) for n in range(400)]
