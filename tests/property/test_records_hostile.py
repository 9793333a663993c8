"""Hostile bytes at the record reader: records or a `WireError`, the same from both twins, in bounded memory.

`FELICE_FUZZ_ROUNDS` multiplies the batches of the fuzz runs, and `FELICE_FUZZ_SEED` repeats one.
"""

import os
import random
import struct
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import record_bytes as by_hand
from felice.errors import WireError
from felice.wire import _records, _records_plain
from felice.wire.records import Codec, check, compress, read_control, read_header, read_records, reading, split, unpack

ROUNDS = int(os.environ.get("FELICE_FUZZ_ROUNDS", "1"))
SEED = int(os.environ.get("FELICE_FUZZ_SEED", random.SystemRandom().getrandbits(32)))

TWINS = (_records, _records_plain)

LIMIT = 1 << 16
"""Bytes that a batch may unpack to here."""
MEMORY_FACTOR = 64
"""Bytes allocated for a byte of records, at most: the smallest record, of seven bytes, becomes a tuple of five."""
MEMORY_CONSTANT = 16 * 1024
"""Bytes that any batch may take besides."""

NASTY = [
    b"\x00",
    b"\x01",
    b"\x02",
    b"\x7f",
    b"\x80",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\x00\x00\x00",
    b"\xfe\xff\xff\xff\x0f",
    b"\xff\xff\xff\xff\x0f",
    b"\xfe\xff\xff\xff\x1f",
    b"\x80\x80\x80\x80\x00",
    b"\x80\x80\x80\x80\x80\x00",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
    b"\xed\xa0\x80",
]
"""Counts, lengths, varints and text at the edges and over them."""


def samples(rng: random.Random) -> list[bytes]:
    """Valid batches of every codec and some attributes, with keys, nulls, headers and gaps."""
    found = []
    for codec in Codec:
        rows = []
        delta = 0
        for _ in range(rng.randint(1, 8)):
            delta += rng.choice((1, 1, 1, 5, 200))
            headers = [(rng.randbytes(rng.randrange(4)), rng.choice((None, b"", b"x" * 70)))] * rng.randrange(3)
            rows.append(
                by_hand.record(
                    delta,
                    rng.choice((None, b"", rng.randbytes(5), bytes(200))),
                    rng.choice((None, b"", b"key")),
                    headers,
                    timestamp_delta=rng.choice((0, 1, -1, 300, -(2**40))),
                )
            )
        found.append(
            by_hand.batch(
                compress(codec, b"".join(rows)),
                count=len(rows),
                last_offset_delta=delta,
                base_offset=rng.choice((0, 5, 2**40)),
                attributes=codec | rng.choice((0, by_hand.LOG_APPEND, by_hand.CONTROL | by_hand.TRANSACTIONAL)),
            )
        )
    found.append(by_hand.batch([], last_offset_delta=5))
    return found


def mutated(batch: bytes, rng: random.Random) -> bytes:
    """Spoil a batch in one to four ways; mostly with a length and a checksum that hold, so that readers go on."""
    out = bytearray(batch)
    for _ in range(rng.randint(1, 4)):
        # As often in the header's counts and attributes as in the records.
        at = rng.choice((rng.randint(0, len(out)), rng.randint(21, 61), rng.randint(57, 80)))
        match rng.randrange(6):
            case 0:
                del out[at + rng.randrange(40) :]
            case 1:
                out[at : at + 1] = bytes((rng.randrange(256),))
            case 2:
                nasty = rng.choice(NASTY)
                out[at : at + len(nasty)] = nasty
            case 3:
                out[at:at] = rng.choice(NASTY)
            case 4:
                del out[at : at + rng.randint(1, 8)]
            case 5:
                out[at:at] = out[at : at + rng.randint(1, 40)] * rng.randint(1, 5)
    return by_hand.reseal(out) if len(out) >= 21 and rng.random() < 0.9 else bytes(out)


def hostile(rng: random.Random, count: int) -> Iterator[bytes]:
    """Spoiled batches, random records behind a good header, and random bytes."""
    valid: list[bytes] = []
    for number in range(count):
        if number % 50 == 0:
            valid = samples(rng)
        kind = rng.random()
        if kind < 0.75:
            yield mutated(rng.choice(valid), rng)
        elif kind < 0.9:
            body = bytes(rng.choices((0, 0, 1, 1, 2, 4, 6, 12, 14, 127, 128, 255), k=rng.randrange(60)))
            yield by_hand.batch(body, count=rng.randrange(5), attributes=rng.choice((0, 0, 0, 1, 2, 3, 4, 5)))
        else:
            yield rng.randbytes(rng.randrange(200))


def outcome(call: Any, *arguments: Any, **named: Any) -> Any:
    """What a call gives: its result, or the class of its WireError; nothing else may come out."""
    try:
        return call(*arguments, **named)
    except WireError as error:
        return type(error)


def read_all(twin: ModuleType, data: bytes, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every way to read these bytes, on one of the twins."""
    with monkeypatch.context() as patch:
        for name in ("crc32c", "decode", "scan"):
            patch.setattr(reading, name, getattr(twin, name))
        found = [
            outcome(read_records, data, limit=LIMIT),
            outcome(read_records, data, check_crc=False, limit=LIMIT),
            outcome(check, data, limit=LIMIT),
        ]
    if isinstance(found[1], list):
        found += [outcome(read_control, record) for record in found[1]]
    return found


def examine(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read these bytes in every way, and hold what comes out against what must be true of it."""
    compiled, plain = (read_all(twin, data, monkeypatch) for twin in TWINS)
    assert compiled == plain, data.hex()
    cut = outcome(split, data)
    if isinstance(cut, list):
        assert sum(len(view) for _, view in cut) <= len(data)
        assert all(header.next_offset > header.base_offset >= 0 for header, _ in cut)
    if isinstance(compiled[1], list):
        header = read_header(data)
        offsets = [record.offset for record in compiled[1]]
        assert offsets == sorted(set(offsets))
        assert all(header.base_offset <= offset <= header.last_offset for offset in offsets)
        assert len(offsets) == header.count


def test_spoiled_batches_are_records_or_a_wire_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lengths, counts, varints and packed data changed, cut, doubled or replaced by the edges of what can be."""
    print(f"FELICE_FUZZ_SEED={SEED}")
    for data in hostile(random.Random(SEED), 4000 * ROUNDS):
        examine(data, monkeypatch)


def test_spoiled_record_sets_are_batches_or_a_wire_error() -> None:
    """Several batches behind one another, spoiled as one."""
    print(f"FELICE_FUZZ_SEED={SEED}")
    rng = random.Random(SEED)
    for _ in range(500 * ROUNDS):
        data = bytearray(b"".join(rng.choices(samples(rng), k=3)))
        for _ in range(rng.randint(1, 3)):
            nasty = rng.choice(NASTY)
            at = rng.randrange(len(data))
            data[at : at + len(nasty)] = nasty
        found = outcome(split, bytes(data[: rng.randint(0, len(data))]))
        if isinstance(found, list):
            for _, view in found:
                outcome(read_records, view, limit=LIMIT)


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=80), st.integers(0, 12), st.integers(0, 2**31 - 1))
def test_any_records_are_read_or_refused_by_both(body: bytes, count: int, last: int) -> None:
    """Arbitrary bytes behind a good header, as hypothesis makes and shrinks them."""
    batch = by_hand.batch(body, count=count, last_offset_delta=last)
    header = outcome(read_header, batch)
    if isinstance(header, type):
        return
    compiled, plain = (outcome(twin.decode, unpack(header, batch), header) for twin in TWINS)
    assert compiled == plain
    compiled, plain = (outcome(twin.scan, body, count, header.base_timestamp) for twin in TWINS)
    assert compiled == plain


@settings(deadline=None, max_examples=300)
@given(st.binary(min_size=61, max_size=61))
def test_any_header_is_read_or_refused(data: bytes) -> None:
    """Arbitrary bytes with the right format's number: what is read leads forward, inside of 64 bits."""
    header = outcome(read_header, data[:16] + b"\x02" + data[17:])
    if not isinstance(header, type):
        assert 0 <= header.base_offset <= header.last_offset < header.next_offset < 2**63
        assert 0 <= header.count <= header.last_offset_delta + 1
        assert header.size >= 61


# Memory


def peak_of(twin: ModuleType, payload: bytes, header: Any) -> int:
    """Return the most bytes allocated at a time while records are read."""
    tracemalloc.start()
    try:
        with suppress(WireError):
            twin.decode(payload, header)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


CROWDS = {
    "the smallest records": [by_hand.record(n) for n in range(3000)],
    "one-byte keys and values": [by_hand.record(n, b"v", b"k") for n in range(3000)],
    "two-byte keys and values": [by_hand.record(n, b"vv", b"kk") for n in range(3000)],
    "the smallest headers": [by_hand.record(0, headers=[(b"", None)] * 5000)],
    "short headers": [by_hand.record(0, headers=[(b"\xff\xfe", b"xx")] * 5000)],
    "records of one header": [by_hand.record(n, headers=[(b"h%d" % n, b"")]) for n in range(2000)],
}


@pytest.mark.parametrize("twin", TWINS, ids=["compiled", "plain"])
@pytest.mark.parametrize("rows", CROWDS.values(), ids=CROWDS)
def test_memory_stays_within_a_factor_of_the_records(twin: ModuleType, rows: list[bytes]) -> None:
    """For records crowded with the smallest things there are, whole and cut."""
    batch = by_hand.batch(rows)
    header = read_header(batch)
    payload = batch[61:]
    assert len(twin.decode(payload, header)) == len(rows)
    for size in (len(payload), len(payload) - 1, len(payload) // 2):
        assert peak_of(twin, payload[:size], header) <= MEMORY_FACTOR * size + MEMORY_CONSTANT


@pytest.mark.parametrize("twin", TWINS, ids=["compiled", "plain"])
def test_row_14_lying_counts_and_lengths_cost_nothing(twin: ModuleType) -> None:
    """Two billion records, headers or bytes where there are a few: refused before anything is allocated for them."""
    most = by_hand.varint(2**31 - 1)
    lies = [
        (by_hand.record(0), 2**31 - 1),
        (most + bytes(50), 1),
        (by_hand.varint(40) + b"\0\0\0" + most + bytes(50), 1),
        (by_hand.varint(40) + b"\0\0\0\1" + most + bytes(50), 1),
        (by_hand.varint(40) + b"\0\0\0\1\1" + most + bytes(50), 1),
        (by_hand.varint(40) + b"\0\0\0\1\1\2" + most + bytes(50), 1),
        (by_hand.varint(40) + b"\0\0\0\1\1\2\0" + most + bytes(50), 1),
    ]
    for payload, count in lies:
        header = read_header(by_hand.batch(payload, count=count, last_offset_delta=2**31 - 2))
        assert peak_of(twin, payload, header) < MEMORY_CONSTANT
        with pytest.raises(WireError):
            twin.decode(payload, header)
        with pytest.raises(WireError):
            twin.scan(payload, count)


def test_checking_a_batch_takes_no_memory_for_its_records() -> None:
    """A broker does it for all that comes in: the compiled loop keeps nothing."""
    payload = b"".join(by_hand.record(n) for n in range(20_000))
    tracemalloc.start()
    try:
        assert _records.scan(payload, 20_000) == (0, 19_999)
        assert tracemalloc.get_traced_memory()[1] < 2048
    finally:
        tracemalloc.stop()


def test_spoiled_batches_stay_within_the_factor_of_what_they_unpack_to() -> None:
    """Of the limit, whatever is packed in them; read by the compiled loops."""
    print(f"FELICE_FUZZ_SEED={SEED}")
    for data in hostile(random.Random(SEED ^ 1), 300 * ROUNDS):
        (attributes,) = struct.unpack_from(">h", data.ljust(61, b"\0"), 21)
        unpacked = len(data) if not attributes & 7 else LIMIT
        tracemalloc.start()
        try:
            outcome(read_records, data, check_crc=False, limit=LIMIT)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak <= MEMORY_FACTOR * unpacked + MEMORY_CONSTANT, data.hex()
