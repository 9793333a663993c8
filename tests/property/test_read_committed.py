"""read_committed against a model: whatever producers do and wherever reading begins, what committed is seen."""

from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from felice.consumer import _batch, _batch_plain
from felice.wire.records import Codec
from wire_batches import batch, marker

PRODUCERS = (7, 8, 9)


class History(NamedTuple):
    """A log, and what is in it."""

    pieces: list[tuple[int, bytes]]
    """The batches by their first offset."""
    end: int
    visible: list[int]
    """The offsets that a reader of committed records sees."""
    aborted: list[tuple[int, int, int]]
    """Aborted transactions: producer ID, first offset, offset of the marker."""


steps = st.lists(
    st.tuples(
        st.sampled_from(["write", "write", "write", "plain", "commit", "abort"]),
        st.sampled_from(PRODUCERS),
        st.integers(1, 3),
        st.sampled_from([Codec.NONE, Codec.LZ4]),
    ),
    max_size=25,
)


def play(chosen: list[tuple[str, int, int, Codec]]) -> History:
    """Write the log that these steps make; all that is open at the end is aborted, so that everything is stable."""
    pieces: list[tuple[int, bytes]] = []
    visible: list[int] = []
    aborted: list[tuple[int, int, int]] = []
    open_: dict[int, list[int]] = {}
    at = 0
    for what, producer, count, codec in [*chosen, *(("abort", producer, 0, Codec.NONE) for producer in PRODUCERS)]:
        values = [b"%d" % (at + n) for n in range(count)]
        if what == "write":
            pieces.append((at, batch(at, values, producer_id=producer, transactional=True, codec=codec)))
            open_.setdefault(producer, []).extend(range(at, at + count))
            at += count
        elif what == "plain":
            pieces.append((at, batch(at, values, codec=codec)))
            visible += range(at, at + count)
            at += count
        elif producer in open_:
            offsets = open_.pop(producer)
            pieces.append((at, marker(at, producer, abort=what == "abort")))
            if what == "commit":
                visible += offsets
            else:
                aborted.append((producer, offsets[0], at))
            at += 1
    return History(pieces, at, sorted(visible), aborted)


def fetch(history: History, offset: int, batches: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Answer as Kafka does: whole batches, and the aborted transactions that reach into them."""
    ends = [first for first, _ in history.pieces[1:]] + [history.end]
    begin = next(n for n, end in enumerate(ends) if end > offset)
    chosen = history.pieces[begin : begin + batches]
    last = ends[begin + len(chosen) - 1]
    listed = [(producer, first) for producer, first, mark in history.aborted if mark >= offset and first < last]
    return b"".join(wire for _, wire in chosen), listed


@settings(max_examples=300, deadline=None)
@given(steps, st.data())
def test_what_is_seen_is_what_committed(chosen: list[tuple[str, int, int, Codec]], data: st.DataObject) -> None:
    history = play(chosen)
    start = data.draw(st.integers(0, history.end), label="start")
    sizes = data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4), label="batches an answer")
    wants = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4), label="records at a time")
    for twin in (_batch, _batch_plain):
        assert read(twin, history, start, sizes, wants) == [offset for offset in history.visible if offset >= start]


def read(twin: Any, history: History, start: int, sizes: list[int], wants: list[int]) -> list[int]:
    reader = twin.Reader("letters", 0, 0, start)
    seen: list[int] = []
    ask, turn = start, 0
    while ask < history.end:
        wire, aborted = fetch(history, ask, sizes[turn % len(sizes)])
        _, ask, _, _ = twin.scan(wire, ask)
        reader.add(wire, aborted)
        turn += 1
        while reader.decode(wants[turn % len(wants)]):
            taken = reader.take(wants[turn % len(wants)])
            assert taken.values() == [b"%d" % offset for offset in taken.offsets()]
            seen += taken.offsets()
            turn += 1
    assert reader.position == max(start, history.end)
    return seen
