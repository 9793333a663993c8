"""Unsigned varints and tagged fields (KIP-482)."""

import struct

import pytest

from felice.errors import WireError
from felice.wire.primitives import MAX_STRING, SHORT_VARINTS, long_string, long_varint, skip_tags, tag_section, varint


def read(data: bytes) -> tuple[int, int]:
    """Read a varint as the generated code does."""
    return (data[0], 1) if data[0] < 128 else long_varint(data, 1, data[0])


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16384, "808001"), (2**32 - 1, "ffffffff0f")],
)
def test_a_varint_is_seven_bits_a_byte_low_ones_first(number: int, written: str) -> None:
    """And is read back."""
    assert varint(number).hex() == written
    assert read(bytes.fromhex(written)) == (number, len(written) // 2)


def test_the_table_of_short_varints_holds_what_the_function_gives() -> None:
    """All 128 of them."""
    assert [varint(number) for number in range(128)] == list(SHORT_VARINTS)


@pytest.mark.parametrize("number", [-1, 2**32])
def test_a_number_that_is_no_unsigned_32_bits_is_not_written(number: int) -> None:
    """It raises what the generated code turns into a usage error."""
    with pytest.raises(struct.error):
        varint(number)


@pytest.mark.parametrize(
    ("written", "number"),
    [("8000", 0), ("8180808000", 1), ("ffffffff7f", 2**32 - 1), ("8080808010", 0)],
)
def test_longer_varints_than_needed_are_read_as_kafka_reads_them(written: str, number: int) -> None:
    """Up to five bytes; what is above 32 bits is dropped."""
    assert read(bytes.fromhex(written)) == (number, len(written) // 2)


def test_a_varint_of_six_bytes_is_refused() -> None:
    """Whatever its value would be."""
    with pytest.raises(WireError, match="five bytes"):
        read(bytes.fromhex("808080808000"))


def test_a_compact_string_is_no_longer_than_a_plain_one() -> None:
    """Kafka refuses more than 32,767 bytes in either."""
    longest = varint(MAX_STRING + 1)
    assert long_string(longest, 1, longest[0]) == (MAX_STRING + 1, 3)
    longer = varint(MAX_STRING + 2)
    with pytest.raises(WireError, match="32768 bytes is longer"):
        long_string(longer, 1, longer[0])


def test_tagged_fields_are_stepped_over() -> None:
    """Many of them, of any size, with tags of any size."""
    many = [(tag * 3, [bytes(tag), b"x"]) for tag in range(200)]
    section = tag_section(many)
    assert skip_tags(section, 1, len(section), section[0]) == len(section)


def test_a_tagged_field_larger_than_what_is_left_is_refused() -> None:
    """Its size is checked before anything else."""
    with pytest.raises(WireError, match="tagged field 5 claims 9, and 1 bytes are left"):
        skip_tags(bytes.fromhex("05 09 00"), 0, 3, 1)
