"""The notation for messages: what its classes are, and what happens to values that do not fit."""

import copy
import pickle
import subprocess
import sys

import pytest

from felice.errors import UnsupportedField, UnsupportedVersion, UsageError, WireError
from felice.wire import schema
from felice.wire.messages.api_versions import ApiVersionsRequest
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.fetch import FetchRequest, FetchResponse
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.messages.produce import ProduceRequest
from felice.wire.schema import Message, Struct, Versions, array, binary, boolean, int8, int32, string, struct, uuid
from felice.wire.schema.notation import parse
from message_values import written_down


class Point(Struct):
    x: int = int32("0+")
    y: int = int32("1+", default=-1)


class Everything(Message, versions="0-3", flexible="2+"):
    """Has what the messages written down so far do not have."""

    maybe: Point | None = struct(Point, "1+", nullable="1+", default=None)
    surely: Point = struct(Point, "1+")
    flags: list[bool] = array(boolean, "0+")
    ids: list[bytes] = array(uuid, "0+", nullable="0+", default=None)
    blobs: list[bytes] = array(binary, "0+")
    late: str | None = string("2+", nullable="2+", default=None, tag=3)
    point: Point | None = struct(Point, "0+", nullable="0+", default=None, tag=200, tagged="2+")
    weight: float = schema.float64("3+", default=1.5, tag=0)
    odd: str = string("0+", flexible="none")


def both_ways(message: Message, version: int) -> bytes:
    """Write, read, compare, and return the bytes."""
    written = b"".join(message.encode(version))
    assert type(message).decode(written, version) == message
    return written


def test_a_message_is_made_by_keyword_with_kafkas_defaults() -> None:
    """Fields not named have their defaults, lists and structs of their own; anything else is refused."""
    request = FetchRequest(max_wait_ms=500)
    assert (request.max_wait_ms, request.max_bytes, request.session_epoch) == (500, 2**31 - 1, -1)
    assert request.topics == []
    assert request.topics is not FetchRequest().topics
    assert request.replica_state is not FetchRequest().replica_state
    with pytest.raises(TypeError):
        FetchRequest(500)  # type: ignore[misc]
    with pytest.raises(TypeError):
        FetchRequest(max_wait=500)  # type: ignore[call-arg]


def test_a_message_has_no_room_for_what_it_does_not_declare() -> None:
    """A misspelt attribute is an error, not a new attribute."""
    with pytest.raises(AttributeError):
        FetchRequest().max_wait = 500  # type: ignore[attr-defined]


def test_messages_compare_by_value_and_cannot_be_keys() -> None:
    """Equality is by class and fields; mutable values have no hash."""
    assert Point(x=1) == Point(x=1)
    assert Point(x=1) != Point(x=2)
    assert Point(x=1) != (1, -1)
    assert MetadataRequest.Topic(name="a") != CreateTopicsRequest.CreatableTopic(name="a")
    with pytest.raises(TypeError):
        hash(Point())


def test_the_repr_shows_what_was_set_and_not_the_records() -> None:
    """What is at its default is left out, and long bytes are told by their size."""
    partition = ProduceRequest.PartitionProduceData(index=3, records=memoryview(bytes(5000)))
    assert repr(partition).endswith("PartitionProduceData(index=3, records=<5000 bytes>)")
    assert repr(Point()) == "Point()"


def test_messages_can_be_copied_and_pickled() -> None:
    """They are plain values."""
    request = MetadataRequest(topics=[MetadataRequest.Topic(name="letters")])
    assert copy.deepcopy(request) == request
    assert pickle.loads(pickle.dumps(request)) == request


def test_every_kind_of_field_keeps_its_value_in_every_version() -> None:
    """Null and not, tagged and not, compact and not."""
    for version in range(4):
        both_ways(Everything(), version)
        both_ways(Everything(flags=[True, False, True], ids=[bytes(range(16))], blobs=[b"", b"x" * 300]), version)
    for version in (1, 2, 3):
        both_ways(Everything(maybe=Point(x=1, y=2), surely=Point(x=3, y=4), odd="ö" * 100), version)
    both_ways(Everything(late="x" * 200, point=Point(x=1), weight=float("inf")), 3)
    both_ways(Everything(late="", point=Point(x=-1)), 2)


def test_a_tagged_field_is_written_only_where_it_differs_by_rising_tag() -> None:
    """KIP-482: count, then tag, size and content of each; the struct inside has a presence byte as it may be null."""
    before = "ff 00000000 ffffffff 00 01 00 01 0000"
    assert both_ways(Everything(), 3) == bytes.fromhex(before + "00")
    tags = "03 00 08 3fe0000000000000 03 03 036869 c801 0a 01 00000001 00000002 00"
    assert both_ways(Everything(late="hi", point=Point(x=1, y=2), weight=0.5), 3) == bytes.fromhex(before + tags)


class Absent(Message, versions="0-1", flexible="0+"):
    """Its struct is there by default, and may be null."""

    point: Point | None = struct(Point, "0+", nullable="0+", tag=0, tagged="1+")


def test_a_struct_that_is_null_is_told_otherwise_inside_a_tag() -> None:
    """There a varint tells, zero for null, as in the records of Kafka's coordinators; elsewhere a byte, -1 for null."""
    assert both_ways(Absent(point=None), 0) == bytes.fromhex("ff 00")
    assert both_ways(Absent(point=Point(x=1)), 0) == bytes.fromhex("01 00000001 00 00")
    assert both_ways(Absent(point=None), 1) == bytes.fromhex("01 00 01 00")
    assert both_ways(Absent(point=Point(x=1)), 1) == bytes.fromhex("01 00 0a 01 00000001 ffffffff 00")
    assert both_ways(Absent(), 1) == bytes.fromhex("00")
    assert Absent.decode(bytes.fromhex("01 00 02 8000"), 1).point is None


def test_a_tagged_field_has_its_own_place_in_versions_before_its_tag() -> None:
    """`tagged` begins later than the field: until then it stands among the others."""
    plain = "00000000 ffffffff 00000000 01 00000007 0000"
    assert both_ways(Everything(point=Point(x=7)), 0) == bytes.fromhex(plain)


def test_a_field_that_a_version_lacks_must_be_at_its_default_there() -> None:
    """Unless it may be ignored, a value that would be lost is an error that names field and version."""
    request = CreateTopicsRequest(validate_only=True)
    assert both_ways(request, 2)
    topics = [MetadataRequest.Topic(name="letters", topic_id=bytes(range(16)))]
    assert MetadataRequest(topics=topics).encode(9)  # topic_id may be ignored
    with pytest.raises(UnsupportedField, match=r"MetadataRequest version 3 has no field .*allow_auto_topic_creation"):
        MetadataRequest(allow_auto_topic_creation=False).encode(3)
    with pytest.raises(UnsupportedField, match="replica_state"):
        FetchRequest(replica_state=FetchRequest.ReplicaState(replica_id=1)).encode(14)
    with pytest.raises(UnsupportedField, match="surely"):
        Everything(surely=Point(x=1)).encode(0)


def test_null_in_a_version_that_cannot_say_it_is_an_error_that_names_the_versions() -> None:
    """`None` for the topics of Metadata means all of them, which version 0 says otherwise."""
    assert both_ways(MetadataRequest(topics=None), 1) == b"\xff\xff\xff\xff"
    with pytest.raises(UnsupportedField, match=r"topics cannot be null, only in versions 1\+"):
        MetadataRequest(topics=None).encode(0)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (FetchRequest(max_wait_ms=2**31), "max_wait_ms is 2147483648, not an int32"),
        (FetchRequest(isolation_level="1"), "isolation_level is '1', not an int8"),
        (FetchRequest(rack_id=b"b1"), "rack_id is b'b1', not a str"),
        (FetchRequest(rack_id="\ud800"), "no UTF-8"),
        (FetchRequest(rack_id="x" * 32768), "32768 bytes of UTF-8"),
        (FetchRequest(topics=[FetchRequest.FetchTopic(topic_id=b"short")]), r"topics\[0\].topic_id is b'short'"),
        (FetchRequest(topics=[None]), r"topics\[0\] cannot be None"),
        (FetchRequest(topics=["letters"]), r"topics\[0\] is 'letters', not a FetchRequest.FetchTopic"),
        (FetchRequest(topics=None), "topics cannot be None"),
        (
            ProduceRequest(
                topic_data=[
                    ProduceRequest.TopicProduceData(
                        partition_data=[ProduceRequest.PartitionProduceData(records="text")]
                    )
                ]
            ),
            r"topic_data\[0\].partition_data\[0\].records is 'text', not a buffer",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value_that_does_not_fit_is_named_with_its_path(message: Message, text: str) -> None:
    """The error says which field, where, holds what."""
    with pytest.raises(UsageError, match=text):
        message.encode(message.max_version)


def test_a_version_that_does_not_exist_is_refused_both_ways() -> None:
    """The error names the versions that there are."""
    with pytest.raises(UnsupportedVersion, match="no version 19, only 4-18"):
        FetchRequest().encode(19)
    with pytest.raises(UnsupportedVersion, match="no version 3, only 4-18"):
        FetchResponse.decode(b"", 3)


def test_records_are_neither_copied_into_the_frame_nor_out_of_it() -> None:
    """Each is a piece of its own, a view of the buffer given; what is read is a view of the frame."""
    buffers = [bytearray(b"first"), memoryview(b"second"), b"third"]
    data = [ProduceRequest.PartitionProduceData(index=n, records=buffer) for n, buffer in enumerate(buffers)]
    request = ProduceRequest(topic_data=[ProduceRequest.TopicProduceData(name="letters", partition_data=data)])
    pieces = request.encode(9)
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert [view.tobytes() for view in views] == [b"first", b"second", b"third"]
    assert list(pieces[1::2]) == views
    buffers[0][0:5] = b"FIRST"  # type: ignore[index]
    assert b"FIRST" in b"".join(pieces)
    frame = bytearray(b"".join(pieces))
    read = ProduceRequest.decode(frame, 9)
    records = read.topic_data[0].partition_data[1].records
    assert isinstance(records, memoryview)
    frame[frame.index(b"second")] = ord("S")
    assert bytes(records) == b"Second"


def test_a_buffer_of_larger_items_is_counted_in_bytes() -> None:
    """The length on the wire is that of the bytes, whatever the format of the buffer."""
    view = memoryview(bytes(8)).cast("i")
    data = ProduceRequest.PartitionProduceData(records=view)
    request = ProduceRequest(topic_data=[ProduceRequest.TopicProduceData(partition_data=[data])])
    read = ProduceRequest.decode(b"".join(request.encode(9)), 9)
    assert read.topic_data[0].partition_data[0].records == bytes(8)
    assert b"".join(Everything(blobs=[view]).encode(0)).count(bytes(8)) == 1  # type: ignore[list-item]


def test_decoding_may_start_inside_a_buffer_and_must_reach_its_end() -> None:
    """Bytes behind the message are an error, unless they are allowed."""
    written = both_ways(MetadataRequest(topics=[]), 4)
    assert MetadataRequest.decode(b"head" + written, 4, 4) == MetadataRequest()
    with pytest.raises(WireError, match="2 bytes are left behind MetadataRequest version 4"):
        MetadataRequest.decode(written + b"xx", 4)
    assert MetadataRequest.decode(written + b"xx", 4, allow_trailing=True) == MetadataRequest()


def test_unknown_tagged_fields_are_skipped() -> None:
    """A later version may add them without a new number (KIP-482)."""
    unknown = "02 07 03 616263 ac02 00"
    written = bytes.fromhex(f"01 01 00 {unknown}")
    assert MetadataRequest.decode(written, 11) == MetadataRequest(allow_auto_topic_creation=True)


@pytest.mark.parametrize("size", [2, 4])
def test_a_tagged_field_is_as_long_as_its_size_says(size: int) -> None:
    """Kafka trusts the content; here the two must agree, or what follows would be read from the wrong place."""
    before = "ff 00000000 ffffffff 00 01 00 01 0000"
    assert Everything.decode(bytes.fromhex(f"{before} 01 03 03 036869"), 2).late == "hi"
    with pytest.raises(WireError, match=r"Everything.late: its size ends at \d+, its content at \d+"):
        Everything.decode(bytes.fromhex(f"{before} 01 03 {size:02x} 036869 00 00"), 2, allow_trailing=True)


def test_a_length_beyond_the_end_is_refused_even_where_more_may_follow() -> None:
    """A slice would be cut without a word."""
    with pytest.raises(WireError, match=r"ApiVersionsRequest.client_software_version claims 9, and 2 bytes are left"):
        ApiVersionsRequest.decode(bytes.fromhex("01 0a 6869"), 3, allow_trailing=True)


def test_absent_fields_of_a_read_message_are_at_their_defaults() -> None:
    """What a version lacks reads as what the constructor would give."""
    response = MetadataResponse(brokers=[MetadataResponse.Broker(node_id=1, host="h", port=9092)])
    read = MetadataResponse.decode(b"".join(response.encode(0)), 0)
    assert read == response
    assert read.controller_id == -1
    assert read.brokers[0].rack is None


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [("0+", 0, 32767), ("3-7", 3, 7), ("4", 4, 4), ("none", 0, -1)],
)
def test_ranges_of_versions_are_read_and_written(text: str, low: int, high: int) -> None:
    """The four ways to write one."""
    assert parse(text) == Versions(low, high)
    assert str(parse(text)) == text


@pytest.mark.parametrize("text", ["", "+", "3-", "a", "1.2", "-1"])
def test_a_misspelt_range_is_refused(text: str) -> None:
    """It raises where it is written, not at the first message."""
    with pytest.raises(TypeError, match="no range of versions"):
        parse(text)


def test_declarations_that_cannot_hold_are_refused() -> None:
    """A default None that is never null, a field named like a method, records in a tag, arrays of arrays."""
    with pytest.raises(TypeError, match="never nullable"):
        string("0+", default=None)
    with pytest.raises(TypeError, match="a name of its own"):
        type(Struct)("Bad", (Message,), {"encode": int8("0+")}, versions="0")
    with pytest.raises(TypeError, match="records cannot be tagged"):
        schema.records("0+", tag=1)
    with pytest.raises(TypeError, match="does not exist"):
        array(schema.records, "0+")
    with pytest.raises(TypeError, match="have an end"):
        type(Struct)("Bad", (Message,), {}, versions="0+")


def structs_in(outer: type[Struct]) -> list[type[Struct]]:
    """All structs inside a struct, in any depth."""
    fields = [(f.of if f.type == "array" else f) for f in outer.__fields__]
    found = [field.of for field in fields if field.type == "struct"]
    return found + [deeper for one in found for deeper in structs_in(one)]


def test_every_struct_is_an_attribute_of_its_message() -> None:
    """Nested ones under a short name too, as `ProduceRequest.PartitionProduceData`."""
    assert ProduceRequest.PartitionProduceData is ProduceRequest.TopicProduceData.PartitionProduceData
    for message in written_down():
        for inner in structs_in(message):
            assert getattr(message, inner.__name__) is inner


def test_importing_a_message_compiles_nothing() -> None:
    """The modules that generate code are imported with the first message that is read or written."""
    program = (
        "import sys; import felice.wire.messages.fetch as m; "
        "assert not [n for n in sys.modules if n.startswith('felice.wire.schema.') and n.endswith(('er', 'tion')) "
        "and n != 'felice.wire.schema.notation'], sys.modules; "
        "m.FetchRequest().encode(18); assert 'felice.wire.schema.writer' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_the_registry_knows_all_requests_without_importing_one() -> None:
    """Of eighty modules a program loads those that it speaks."""
    program = (
        "import sys; from felice.wire.messages.registry import API_NAMES, REQUESTS; "
        "loaded = lambda: {n for n in sys.modules if n.startswith('felice.wire.messages.')}; "
        "before = loaded(); assert before == {'felice.wire.messages.registry'}, before; "
        "assert 60 in REQUESTS and len(API_NAMES) == len(REQUESTS) > 70; assert loaded() == before; "
        "REQUESTS[60]; assert loaded() - before == {'felice.wire.messages.describe_cluster'}"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
