"""Batches: lists, messages and slices of the records of one partition."""

import gc
import sys
import weakref
from types import ModuleType
from typing import Any

import pytest

from felice.consumer import _batch
from felice.errors import DeserializeError, PartitionError
from felice.types import TimestampType
from felice.wire.records import Codec
from wire_batches import BASE_TIME, batch, compacted


def read(twin: ModuleType, *pieces: bytes, position: int = 0, want: int = 10**6, **options: Any) -> Any:
    reader = twin.Reader("letters", 3, 7, position, **options)
    for piece in pieces:
        reader.add(piece)
    reader.decode(want)
    return reader.take(want)


def three_batches(codec: Codec = Codec.NONE) -> bytes:
    return (
        batch(10, [b"a", b"", None], keys=[b"k", None, b""], codec=codec)
        + batch(13, [b"d"], headers=[[("h", b"1"), ("n", None)]], codec=codec, timestamp_type=1)
        + batch(20, [b"e", b"f" * 1000], codec=codec, leader_epoch=9)
    )


@pytest.mark.parametrize("codec", list(Codec))
def test_lists_have_every_record_in_order(twin: ModuleType, codec: Codec) -> None:
    found = read(twin, three_batches(codec))
    assert found.values() == [b"a", b"", None, b"d", b"e", b"f" * 1000]
    assert found.keys() == [b"k", None, b"", None, None, None]
    assert found.offsets() == [10, 11, 12, 13, 20, 21]
    assert found.timestamps_ms() == [BASE_TIME, BASE_TIME + 1, BASE_TIME + 2, BASE_TIME, BASE_TIME, BASE_TIME + 1]
    assert found.headers() == [(), (), (), (("h", b"1"), ("n", None)), (), ()]
    assert len(found) == 6


def test_a_batch_knows_where_it_is_from(twin: ModuleType) -> None:
    found = read(twin, three_batches())
    assert (found.topic, found.partition, found.generation) == ("letters", 3, 7)
    assert (found.offset, found.next_offset) == (0, 22)
    assert found.leader_epoch == 9
    assert found.size == sum(message.size for message in found)
    assert repr(found) == "<Batch of letters-3: 6 records, offsets 0 to 21>"


@pytest.mark.parametrize("codec", [Codec.NONE, Codec.LZ4])
def test_messages_say_the_same_as_the_lists(twin: ModuleType, codec: Codec) -> None:
    found = read(twin, three_batches(codec))
    for messages in (list(found), found.messages(), [found[n] for n in range(len(found))]):
        assert [message.value for message in messages] == found.values()
        assert [message.key for message in messages] == found.keys()
        assert [message.offset for message in messages] == found.offsets()
        assert [message.timestamp_ms for message in messages] == found.timestamps_ms()
        assert [message.headers for message in messages] == found.headers()
        assert [message.leader_epoch for message in messages] == [3, 3, 3, 3, 9, 9]
        assert {(message.topic, message.partition) for message in messages} == {("letters", 3)}
        assert messages[3].timestamp_type is TimestampType.LOG_APPEND
        assert messages[4].timestamp_type is TimestampType.CREATE


def test_a_broker_that_stamps_gives_all_records_the_largest_timestamp(twin: ModuleType) -> None:
    found = read(twin, batch(0, [b"a", b"b", b"c"], timestamp_type=1))
    assert found.timestamps_ms() == [BASE_TIME + 2] * 3
    assert [message.timestamp_ms for message in found] == [BASE_TIME + 2] * 3


def test_slices_are_batches_whose_positions_follow_one_another(twin: ModuleType) -> None:
    found = read(twin, three_batches())
    first, second, third = found[:2], found[2:4], found[4:]
    assert first.values() + second.values() + third.values() == found.values()
    assert first.offsets() + second.offsets() + third.offsets() == found.offsets()
    assert (first.offset, first.next_offset) == (0, 12)
    assert (second.offset, second.next_offset) == (12, 14)
    assert (third.offset, third.next_offset) == (14, 22)
    assert second[1:].values() == [b"d"]
    assert [message.value for message in second] == [None, b"d"]
    assert found[-1].offset == found[5].offset == 21


def test_empty_slices_have_a_position_too(twin: ModuleType) -> None:
    found = read(twin, three_batches())
    for empty in (found[0:0], found[2:2], found[5:1], found[6:], found[100:]):
        assert len(empty) == 0
        assert empty.values() == empty.keys() == empty.offsets() == list(empty) == []
        assert empty.offset <= empty.next_offset
    assert found[0:0].next_offset == 0
    assert found[2:2].next_offset == 12
    assert found[6:].next_offset == 22


def test_what_cannot_be_indexed_is_refused(twin: ModuleType) -> None:
    found = read(twin, three_batches())
    for wrong in (6, -7, 10**6):
        with pytest.raises(IndexError):
            found[wrong]
    with pytest.raises(ValueError, match="no step"):
        found[::2]
    with pytest.raises(TypeError):
        found["a"]


def test_an_empty_batch_is_falsy_and_has_nothing(twin: ModuleType) -> None:
    empty = twin.Batch.empty()
    assert not empty
    assert (empty.topic, empty.partition, empty.generation, empty.offset, empty.next_offset) == ("", -1, -1, -1, -1)
    assert empty.values() == list(empty) == empty.messages() == []
    assert (empty.leader_epoch, empty.size) == (-1, 0)


def test_batches_are_not_made_by_hand(twin: ModuleType) -> None:
    with pytest.raises(TypeError, match="come from a consumer"):
        twin.Batch()


def test_offsets_with_gaps_are_told_as_they_are(twin: ModuleType) -> None:
    found = read(twin, compacted(100, 120, [(103, b"a"), (117, b"b")]))
    assert found.offsets() == [103, 117]
    assert found[:1].next_offset == 104
    assert found.next_offset == 121


def test_deserializers_make_keys_and_values_but_not_of_null(twin: ModuleType) -> None:
    pieces = batch(0, [b"1", None, b"3"], keys=[b"a", b"b", None])
    found = read(twin, pieces, deserializers=(bytes.decode, int))
    assert found.values() == [1, None, 3]
    assert found.keys() == ["a", "b", None]
    assert [(message.key, message.value) for message in found] == [("a", 1), ("b", None), (None, 3)]
    assert found[2].value == 3
    only_values = read(twin, pieces, deserializers=(None, int))
    assert (only_values.keys(), only_values.values()) == ([b"a", b"b", None], [1, None, 3])


def test_34_a_poison_pill_names_its_place_and_leaves_the_messages_before_it(twin: ModuleType) -> None:
    """Row 34: decoded at delivery, and the error carries topic, partition and offset."""
    found = read(twin, batch(40, [b"1", b"2", b"x", b"4"]), deserializers=(None, int))
    messages = iter(found)
    assert [next(messages).value, next(messages).value] == [1, 2]
    with pytest.raises(DeserializeError, match="letters-3 at offset 42") as caught:
        next(messages)
    error = caught.value
    assert isinstance(error, PartitionError)
    assert (error.topic, error.partition, error.offset, error.next_offset) == ("letters", 3, 42, 43)
    assert isinstance(error.__cause__, ValueError)
    with pytest.raises(DeserializeError):
        found.values()
    assert found[3].value == 4


def test_a_compiled_batch_keeps_the_bytes_it_reads_from_exported() -> None:
    """A buffer that somebody still looks at is never reused: it cannot even be resized. (The plain twin copies.)"""
    frame = bytearray(batch(0, [b"a" * 100, b"b" * 100]))
    reader = _batch.Reader("letters", 0, 0, 0)
    reader.add(memoryview(frame))
    reader.decode(10)
    found = reader.take(10)
    del reader
    with pytest.raises(BufferError):
        frame.append(0)
    part = found[1:]
    del found
    with pytest.raises(BufferError):
        frame.append(0)
    message = part[0]
    del part
    frame.append(0)
    assert message.value == b"b" * 100


def test_messages_do_not_keep_their_batch_in_memory(twin: ModuleType) -> None:
    class Frame(bytearray):
        pass

    frame = Frame(batch(0, [b"a"], headers=[[("h", b"1")]]))
    watched = weakref.ref(frame)
    found = read(twin, frame)  # type: ignore[arg-type]
    message = found[0]
    del frame, found
    gc.collect()
    assert watched() is None
    assert message.headers == (("h", b"1"),)


def test_messages_and_lists_leak_no_references(twin: ModuleType) -> None:
    found = read(twin, batch(0, [b"x" * 50] * 100, keys=[b"k"] * 100))
    topic = found[0].topic
    before = sys.getrefcount(topic)
    for _ in range(20):
        found.values(), found.keys(), found.messages()
        iterator = iter(found)
        next(iterator)
        del iterator
        messages = [*found]
        del messages
    gc.collect()
    assert sys.getrefcount(topic) - before <= 1


def test_header_keys_that_are_not_utf_8_do_not_stop_the_reader(twin: ModuleType) -> None:
    wire = bytearray(batch(0, [b"a"], headers=[[("hh", b"1")]]))
    wire[wire.index(b"hh") : wire.index(b"hh") + 2] = b"\xff\xfe"
    found = read(twin, bytes(wire), check_crc=False)
    ((name, value),) = found[0].headers
    assert name.encode("utf-8", "surrogateescape") == b"\xff\xfe"
    assert value == b"1"
