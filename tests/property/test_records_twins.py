"""Record batches of any content: the twins write the same bytes, read the same records and refuse the same things."""

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import record_bytes as by_hand
from felice.errors import FeliceError
from felice.wire import _records, _records_plain
from felice.wire.record import Record
from felice.wire.records import Codec, check, read_header, split, unpack

TWINS = (_records, _records_plain)
PROFILE = settings(deadline=None, max_examples=150)

# Any text, and what a reader makes of bytes that are none.
NAMES = st.text(max_size=12) | st.binary(max_size=12).map(lambda name: name.decode("utf-8", "surrogateescape"))
CONTENTS = st.none() | st.binary(max_size=40) | st.integers(0, 300).map(bytes)
HEADERS = st.lists(st.tuples(NAMES, CONTENTS), max_size=5)
TIMES = st.integers(-1, 2**63 - 2) | st.integers(0, 50).map(lambda later: by_hand.BASE_TIME + later)


@dataclass
class Given:
    """What a record is made of."""

    value: bytes | None
    key: bytes | None
    headers: list[tuple[str, bytes | None]]
    time: int


GIVENS = st.lists(st.builds(Given, CONTENTS, CONTENTS, HEADERS, TIMES), min_size=1, max_size=12)
NUMBERS = st.fixed_dictionaries(
    {
        "producer_id": st.integers(-1, 2**63 - 1),
        "producer_epoch": st.integers(-1, 2**15 - 1),
        "base_sequence": st.integers(-1, 2**31 - 1),
    }
)
FIELDS = st.fixed_dictionaries(
    {
        "codec": st.sampled_from(Codec),
        "base_offset": st.integers(0, 2**62),
        "leader_epoch": st.integers(-1, 2**31 - 1),
        "transactional": st.booleans(),
        "control": st.booleans(),
        "timestamp_type": st.integers(0, 1),
    }
)


def build(twin: ModuleType, records: list[Given], capacity: int, **fields: Any) -> bytes:
    """Make a batch of these records."""
    builder = twin.BatchBuilder(capacity)
    for record in records:
        builder.append(record.value, record.key, record.headers, record.time)
    return bytes(builder.seal(**fields))


def outcome(call: Any, *arguments: Any, **named: Any) -> Any:
    """What a call gives: its result, or the class of its error."""
    try:
        return call(*arguments, **named)
    except (FeliceError, TypeError, BufferError, OverflowError) as error:
        return type(error)


@PROFILE
@given(GIVENS, st.integers(0, 2000), FIELDS, NUMBERS)
def test_both_write_the_same_bytes_and_read_back_what_was_given(
    records: list[Given], capacity: int, fields: dict[str, Any], numbers: dict[str, int]
) -> None:
    """Whatever the capacity; and the broker's checks pass."""
    compiled, plain = (build(twin, records, capacity, **fields, **numbers) for twin in TWINS)
    assert compiled == plain
    assert check(compiled).count == len(records)
    header = read_header(compiled)
    latest = max(record.time for record in records)
    wanted = [
        Record(
            fields["base_offset"] + n,
            latest if fields["timestamp_type"] else record.time,
            record.key,
            record.value,
            tuple(record.headers),
        )
        for n, record in enumerate(records)
    ]
    for twin in TWINS:
        assert twin.decode(unpack(header, compiled), header) == wanted


@PROFILE
@given(GIVENS, NUMBERS, st.sampled_from(Codec))
def test_a_stamped_batch_is_one_sealed_with_those_numbers(
    records: list[Given], numbers: dict[str, int], codec: Codec
) -> None:
    """On both, from any numbers to any others."""
    wanted = build(_records, records, 0, codec=codec, **numbers)
    for twin in TWINS:
        batch = bytearray(build(twin, records, 0, codec=codec))
        twin.stamp(batch, **numbers)
        assert bytes(batch) == wanted


@PROFILE
@given(st.lists(GIVENS, min_size=1, max_size=4), st.integers(0, 5000))
def test_a_record_set_is_cut_into_what_it_was_joined_of(sets: list[list[Given]], cut: int) -> None:
    """Up to the first batch that is not all there."""
    batches = [build(_records, records, 0) for records in sets]
    whole = b"".join(batches)[: max(0, sum(map(len, batches)) - cut)]
    found = [bytes(view) for _, view in split(whole)]
    assert found == batches[: len(found)]
    left = whole[sum(map(len, found)) :]
    assert len(found) == len(batches) or len(left) < len(batches[len(found)])


JUNK = st.none() | st.text(max_size=3) | st.integers() | st.floats() | st.binary(max_size=3) | st.just([("h",)])
ODD = st.one_of(
    JUNK,
    st.lists(st.tuples(NAMES, CONTENTS) | JUNK | st.tuples(JUNK, JUNK), max_size=3),
    st.tuples(st.tuples(st.text(st.characters(categories=["Cs"]), min_size=1, max_size=2), CONTENTS)),
)
TIME_LIKE = st.integers(-(2**65), 2**65) | st.sampled_from([-2, -1, 2**63 - 2, 2**63 - 1, 2**63]) | JUNK


@PROFILE
@given(JUNK, JUNK, ODD, TIME_LIKE)
def test_both_take_and_refuse_the_same_records(value: Any, key: Any, headers: Any, time: Any) -> None:
    """With the same class of error, and both are as they were before."""
    builders = [twin.BatchBuilder() for twin in TWINS]
    found = [outcome(builder.append, value, key, headers, time) for builder in builders]
    assert found[0] == found[1]
    for builder in builders:
        builder.append(b"behind", None, None, by_hand.BASE_TIME)
    assert bytes(builders[0].seal()) == bytes(builders[1].seal())
    assert builders[0].count == (2 if found[0] == 0 else 1)


@PROFILE
@given(
    st.fixed_dictionaries(
        {},
        optional={
            "codec": st.integers(-1, 5) | JUNK,
            "level": st.none() | st.integers(-1, 25) | JUNK,
            "base_offset": TIME_LIKE,
            "leader_epoch": TIME_LIKE,
            "producer_id": TIME_LIKE,
            "producer_epoch": st.integers(-3, 2**16) | JUNK,
            "base_sequence": st.integers(-3, 2**32) | JUNK,
        },
    )
)
def test_both_take_and_refuse_the_same_headers(fields: dict[str, Any]) -> None:
    """With the same class of error; and what they take are the same bytes."""
    found = []
    for twin in TWINS:
        builder = twin.BatchBuilder()
        builder.append(b"value", None, None, by_hand.BASE_TIME)
        sealed = outcome(builder.seal, **fields)
        found.append(sealed if isinstance(sealed, type) else bytes(sealed))
    assert found[0] == found[1]


@PROFILE
@given(st.binary(max_size=200), st.integers(0, 2**32 - 1))
def test_both_compute_the_same_checksums_and_hashes(data: bytes, value: int) -> None:
    """Going on from any number; the tables too."""
    assert _records.crc32c(data, value) == _records_plain.crc32c(data, value) == _records._crc32c_by_tables(data, value)
    assert _records.murmur2(data) == _records_plain.murmur2(data)


@pytest.mark.parametrize("value", [-1, 2**32, 1.0, None])
def test_both_go_on_from_a_checksum_only(value: Any) -> None:
    """A number of 32 bits."""
    found = [outcome(twin.crc32c, b"data", value) for twin in TWINS]
    assert found[0] == found[1]
    assert isinstance(found[0], type)
