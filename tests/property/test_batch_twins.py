"""The reader's twins are equal: on records of every kind, however they are taken, and on bytes that make no sense."""

import inspect
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from felice.consumer import _batch, _batch_plain
from felice.errors import FeliceError
from felice.wire.records import Codec
from wire_batches import batch, marker, sealed_again

TWINS = (_batch, _batch_plain)

blobs = st.none() | st.binary(max_size=40)
headers = st.lists(st.tuples(st.text(max_size=5), blobs), max_size=3)
records = st.lists(st.tuples(blobs, blobs, headers), max_size=12)


@st.composite
def record_sets(draw: st.DrawFn) -> tuple[bytes, list[tuple[int, int]]]:
    """Some batches and markers one after the other, and a list of aborted transactions."""
    offset = draw(st.integers(0, 50))
    wire = b""
    for _ in range(draw(st.integers(0, 6))):
        producer = draw(st.sampled_from([-1, 7, 8]))
        if producer >= 0 and draw(st.booleans()):
            wire += marker(offset, producer, abort=draw(st.booleans()))
            offset += 1
        else:
            rows = draw(records)
            if not rows:
                continue
            wire += batch(
                offset,
                [row[1] for row in rows],
                keys=[row[0] for row in rows],
                headers=[row[2] for row in rows],
                codec=draw(st.sampled_from(list(Codec))),
                producer_id=producer,
                transactional=producer >= 0 and draw(st.booleans()),
                timestamp_type=draw(st.integers(0, 1)),
                leader_epoch=draw(st.integers(-1, 5)),
            )
            offset += len(rows)
        offset += draw(st.integers(0, 3))
    aborted = draw(st.lists(st.tuples(st.sampled_from([7, 8]), st.integers(0, 60)), max_size=4))
    return wire, aborted


def history(twin: Any, wire: bytes, aborted: Any, position: int, wants: list[int], check_crc: bool = True) -> list[Any]:
    """Everything that reading shows, step by step."""
    seen: list[Any] = [twin.scan(wire, position)]
    reader = twin.Reader("letters", 3, 1, position, check_crc=check_crc, max_batch_bytes=10_000)
    reader.add(wire, aborted)
    for step in range(200):
        want = wants[step % len(wants)]
        try:
            count = reader.decode(want)
        except FeliceError as error:
            seen.append((type(error), reader.position, reader.failed_next))
            return seen
        taken = reader.take(want)
        seen.append((count, reader.position, reader.pending, reader.dry, reader.leader_epoch))
        seen.append((taken.values(), taken.keys(), taken.offsets(), taken.timestamps_ms(), taken.headers()))
        seen.append((taken.offset, taken.next_offset, taken.size, taken.leader_epoch, len(taken)))
        seen.append([message._fields() for message in taken])
        seen.append([(part.offset, part.next_offset, part.values()) for part in (taken[:2], taken[2:], taken[1:-1])])
        if reader.dry:
            return seen
    raise AssertionError("reading does not end")


@settings(max_examples=150, deadline=None)
@given(record_sets(), st.integers(0, 60), st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(0, 40))
def test_the_twins_read_the_same(
    made: tuple[bytes, list[tuple[int, int]]], position: int, wants: list[int], cut: int
) -> None:
    wire, aborted = made
    wire = wire[: len(wire) - cut] if cut else wire
    compiled, plain = (history(twin, wire, aborted, position, wants) for twin in TWINS)
    assert compiled == plain


@settings(max_examples=300, deadline=None)
@given(record_sets(), st.data())
def test_14_the_twins_agree_on_bytes_that_make_no_sense(
    made: tuple[bytes, list[tuple[int, int]]], data: st.DataObject
) -> None:
    """Row 14: damaged lengths, counts and contents give the same records before the damage and the same error."""
    wire = bytearray(made[0])
    for _ in range(data.draw(st.integers(1, 4))):
        if wire:
            at = data.draw(st.integers(0, len(wire) - 1))
            wire[at] = data.draw(st.integers(0, 255))
    compiled, plain = (history(twin, bytes(wire), made[1], 0, [5], check_crc=False) for twin in TWINS)
    assert compiled == plain


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=80), st.integers(0, 2**31 - 1))
def test_14_the_twins_agree_on_nonsense_behind_a_header_that_holds(body: bytes, count: int) -> None:
    wire = bytearray(batch(0, [b"x"]))
    wire[61:] = body
    wire[8:12] = (len(wire) - 12).to_bytes(4, "big")
    wire[23:27] = max(0, count - 1).to_bytes(4, "big")
    wire[57:61] = count.to_bytes(4, "big")
    compiled, plain = (history(twin, sealed_again(wire), None, 0, [5]) for twin in TWINS)
    assert compiled == plain


def test_the_twins_have_the_same_names_and_signatures() -> None:
    for name in _batch_plain.__all__:
        compiled, plain = getattr(_batch, name), getattr(_batch_plain, name)
        if not isinstance(plain, type):
            assert shape(compiled) == shape(plain)
            continue
        public = {each for each in dir(plain) if not each.startswith("_")}
        offered = {each for each in dir(compiled) if not each.startswith("_")}
        instance_only = {"position", "failed_next", "leader_epoch"} if name == "Reader" else set()
        assert public | instance_only == offered, name
        for method in public:
            if inspect.isfunction(inspect.getattr_static(plain, method)):
                assert shape(getattr(compiled, method)) == shape(getattr(plain, method)), f"{name}.{method}"


def shape(function: Any) -> list[tuple[str, Any, Any]]:
    """The parameters of a function, without annotations."""
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]
