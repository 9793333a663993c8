"""Hostile bytes at every decoder of messages: a value or a `WireError`, in bounded memory and bounded steps.

`FELICE_FUZZ_ROUNDS` multiplies the frames of the fuzz run, and `FELICE_FUZZ_SEED` repeats one.
"""

import os
import random
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from types import FrameType
from typing import Any

import pytest
from hypothesis import strategies as st

from felice.errors import WireError
from felice.wire import frames
from felice.wire.messages.metadata import MetadataResponse
from felice.wire.messages.registry import REQUESTS
from felice.wire.primitives import varint
from felice.wire.schema import Message, Struct, array, int32
from hostile_bytes import hostile, mutated, samples
from message_values import each_version, for_all, name_of, written_down

ROUNDS = int(os.environ.get("FELICE_FUZZ_ROUNDS", "1"))
SEED = int(os.environ.get("FELICE_FUZZ_SEED", random.SystemRandom().getrandbits(32)))

EVERYTHING = each_version(written_down())
ENDS = [(message, version) for message, version in EVERYTHING if version in (message.min_version, message.max_version)]
"""The first and the last version of each: those between have the same structs, with more fields or fewer."""

MEMORY_FACTOR = 64
"""Bytes allocated for a byte of the frame, at most: an empty struct with a list is three bytes on the wire."""
MEMORY_CONSTANT = 8 * 1024
"""Bytes that any frame may take besides."""

STEPS_FACTOR = 20
"""Lines of generated code for a byte of the frame, at most."""
STEPS_CONSTANT = 200


def decoded(message: type[Message], version: int, frame: bytes) -> Message | None:
    """Read a frame; None where it was refused as it must be. What was read can be written and read again."""
    try:
        value = message.decode(frame, version)
    except WireError:
        return None
    again = message.decode(b"".join(value.encode(version)), version)
    assert again == value or "=nan" in repr(value)  # which equals nothing, not even itself
    return value


@pytest.mark.parametrize(("message", "version"), EVERYTHING, ids=name_of)
def test_any_bytes_are_a_value_or_a_wire_error(message: type[Message], version: int) -> None:
    """Arbitrary bytes, as hypothesis makes and shrinks them."""
    for_all(st.binary(max_size=60), partial(decoded, message, version), 25)


@pytest.mark.parametrize(("message", "version"), EVERYTHING, ids=name_of)
def test_spoiled_frames_are_a_value_or_a_wire_error(message: type[Message], version: int) -> None:
    """Valid frames with a few bytes changed, cut, doubled or replaced by the edges of lengths and counts."""
    seed = f"{SEED}/{message.__name__}/{version}"
    print(f"FELICE_FUZZ_SEED={SEED}")
    rng = random.Random(seed)
    for frame in hostile(message, version, rng, 100 * ROUNDS):
        decoded(message, version, frame)


@pytest.mark.parametrize(("message", "version"), EVERYTHING, ids=name_of)
def test_every_prefix_of_a_frame_is_refused(message: type[Message], version: int) -> None:
    """No message is the beginning of another one of itself: a cut is always noticed."""
    for frame in samples(message, version, 3):
        for size in range(min(len(frame), 400)):
            with pytest.raises(WireError):
                message.decode(frame[:size], version)


def test_spoiled_headers_are_a_value_or_a_wire_error() -> None:
    """Of requests and of responses, with the bodies behind them."""
    print(f"FELICE_FUZZ_SEED={SEED}")
    rng = random.Random(SEED)
    for key, request in REQUESTS.items():
        for version in (request.min_version, request.max_version):
            asked = b"".join(frames.encode_request(request(), version, 7, "felice"))[4:]
            answered = b"".join(frames.encode_response(request.response(), key, version, 7))[4:]
            for _ in range(100 * ROUNDS):
                try:
                    header = frames.decode_request_header(mutated(asked, rng))
                except WireError:
                    continue
                if header.api_key == key and header.api_version == version:
                    try:
                        frames.decode_request(asked, header)
                    except WireError:
                        continue
            for _ in range(100 * ROUNDS):
                frame = mutated(answered, rng)
                try:
                    frames.response_correlation_id(frame)
                    frames.decode_response(request.response, version, frame)
                except WireError:
                    continue


# Memory and steps


def crowded(struct: type[Struct], version: int, count: int) -> Iterator[Any]:
    """Values with many of the smallest elements in one of their arrays, at any depth, each array in turn."""
    for field in struct.__fields__:
        if version not in field.versions or field.type != "array":
            continue
        empty = field.of.of() if field.of.type == "struct" else field.of.default
        if field.of.type == "struct":
            # Deeper ones too: many elements inside one, and one inside many.
            for inner in crowded(field.of.of, version, count):
                yield struct(**{field.name: [inner]})
            empty = next(crowded(field.of.of, version, 0), empty)
        yield struct(**{field.name: [empty] * count})


def compiled(message: type[Message], version: int) -> None:
    """Have the code for a message generated, so that it is not counted with the first frame."""
    message.decode(b"".join(message().encode(version)), version)


def crowded_frames(message: type[Message], version: int, count: int) -> list[bytes]:
    """The frames of these values."""
    return [b"".join(value.encode(version)) for value in crowded(message, version, count)]


def peak_of(message: type[Message], version: int, frame: bytes) -> int:
    """Return the most bytes allocated at a time while a frame is read."""
    tracemalloc.start()
    try:
        with suppress(WireError):
            message.decode(frame, version)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("message", "version"), ENDS, ids=name_of)
def test_memory_stays_within_a_factor_of_the_frame(message: type[Message], version: int) -> None:
    """For frames crowded with the smallest elements there are, and for spoiled ones."""
    rng = random.Random(f"{SEED}/{message.__name__}/{version}")
    print(f"FELICE_FUZZ_SEED={SEED}")
    compiled(message, version)
    crowds = crowded_frames(message, version, 500)
    for frame in [*crowds, *map(partial(mutated, rng=rng), crowds), *hostile(message, version, rng, 10 * ROUNDS)]:
        assert peak_of(message, version, frame) <= MEMORY_FACTOR * len(frame) + MEMORY_CONSTANT, frame[:100].hex()


def steps_of(message: type[Message], version: int, frame: bytes) -> int:
    """Return how many lines of the wire's code are executed while a frame is read."""
    steps = 0

    def count(_: FrameType, event: str, __: Any) -> Any:
        nonlocal steps
        steps += event == "line"
        return count

    def enter(frame: FrameType, _: str, __: Any) -> Any:
        name = frame.f_code.co_filename
        return count if name.startswith("<felice") or name.endswith("primitives.py") else None

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        message.decode(frame, version)
    except WireError:
        pass
    finally:
        sys.settrace(before)
    return steps


@pytest.mark.parametrize(("message", "version"), EVERYTHING, ids=name_of)
def test_no_loop_runs_longer_than_its_input_allows(message: type[Message], version: int) -> None:
    """Lines executed are counted for crowded and for spoiled frames."""
    rng = random.Random(f"{SEED}/{message.__name__}/{version}")
    print(f"FELICE_FUZZ_SEED={SEED}")
    compiled(message, version)
    for frame in [*crowded_frames(message, version, 100), *hostile(message, version, rng, 30 * ROUNDS)]:
        assert steps_of(message, version, frame) <= STEPS_FACTOR * len(frame) + STEPS_CONSTANT, frame.hex()


class Hollow(Message, versions="0-2", flexible="2+"):
    """Its elements take no bytes in version 0."""

    class Nothing(Struct):
        later: int = int32("1+")

    nothings: list[Nothing] = array(Nothing, "0+")
    rest: list[int] = array(int32, "0+")


@pytest.mark.parametrize("count", [5, 2**20, 2**31 - 1])
def test_elements_without_bytes_count_for_one_each(count: int) -> None:
    """As in Kafka, a count above the bytes left is refused, so that a lie of billions costs nothing."""
    frame = count.to_bytes(4) + bytes(4)
    assert steps_of(Hollow, 0, frame) < 20
    with pytest.raises(WireError, match=f"claims {count}, and 4 bytes are left"):
        Hollow.decode(frame, 0)
    assert len(Hollow.decode((4).to_bytes(4) + bytes(4), 0).nothings) == 4


@pytest.mark.parametrize("size", [2**31 - 1, 2**32 - 1])
def test_a_lying_count_or_length_of_billions_is_refused_at_once(size: int) -> None:
    """In a plain and in a compact array, a string, and a tagged field: nothing of that size is allocated."""
    count = varint(size)
    head = bytes.fromhex("00000000")
    frames_ = [
        (head + (2**31 - 1).to_bytes(4), 8),
        (head + count, 9),
        (head + bytes.fromhex("02 00000001") + count, 9),
        (head + bytes.fromhex("01 00 00000000 01 00000000") + count, 9),
        (head + bytes.fromhex("01 00 00000000 01 00000000 01 05") + count, 9),
    ]
    for frame, version in frames_:
        with pytest.raises(WireError):
            MetadataResponse.decode(frame, version)
        assert peak_of(MetadataResponse, version, frame) < 8192
        assert steps_of(MetadataResponse, version, frame) < 80
