"""CRC-32C and the hash that chooses partitions, against numbers that others have published."""

import random
from types import ModuleType

import crc32c as judge
import pytest

from felice.wire import _records

# RFC 3720, appendix B.4, and the usual check of a CRC's parameters.
CHECKSUMS = [
    (b"", 0),
    (b"123456789", 0xE3069283),
    (bytes(32), 0x8A9136AA),
    (b"\xff" * 32, 0x62A8AB43),
    (bytes(range(32)), 0x46DD794E),
    (bytes(reversed(range(32))), 0x113FDB5C),
]

# Those of Kafka's own tests of its Java client.
HASHES = [
    (b"21", -973932308),
    (b"foobar", -790332482),
    (b"a-little-bit-long-string", -985981536),
    (b"a-little-bit-longer-string", -1486304829),
    (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    (b"abc", 479470107),
]


@pytest.mark.parametrize(("data", "wanted"), CHECKSUMS)
def test_checksums_are_castagnolis(twin: ModuleType, data: bytes, wanted: int) -> None:
    """The numbers of the standard."""
    assert twin.crc32c(data) == wanted
    assert _records._crc32c_by_tables(data) == wanted


LENGTHS = [*range(70), 1023, 1024, 1025, 3071, 3072, 3073, 3080, 6143, 6144, 6151, 9216 + 7, 65_535, 65_536, 200_003]
"""Around the words, the three streams of 1024 bytes, and the size from which the GIL is let go."""


@pytest.mark.parametrize("begin", range(9))
def test_checksums_of_any_length_and_alignment(twin: ModuleType, seed: int, begin: int) -> None:
    """By the processor's instruction and by the tables that other processors need."""
    data = memoryview(random.Random(seed).randbytes(200_003 + 9))
    for length in LENGTHS:
        part = data[begin : begin + length]
        assert twin.crc32c(part) == _records._crc32c_by_tables(part) == judge.crc32c(part)


@pytest.mark.parametrize("cut", [0, 1, 7, 8, 1000, 5000, 9999, 10_000])
def test_a_checksum_goes_on_from_another(twin: ModuleType, seed: int, cut: int) -> None:
    """Data in two pieces have the checksum of the whole."""
    data = random.Random(seed).randbytes(10_000)
    assert twin.crc32c(data[cut:], twin.crc32c(data[:cut])) == twin.crc32c(data)
    assert _records._crc32c_by_tables(data[cut:], twin.crc32c(data[:cut])) == twin.crc32c(data)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_checksums_of_any_buffer(twin: ModuleType, kind: type) -> None:
    """Of views of wider items too: a buffer is its bytes."""
    assert twin.crc32c(kind(b"123456789")) == 0xE3069283
    assert twin.crc32c(memoryview(bytes(32)).cast("I")) == 0x8A9136AA


def test_checksums_of_what_has_no_bytes_in_one_piece(twin: ModuleType) -> None:
    """TypeError for what is no buffer, BufferError for one with gaps."""
    with pytest.raises(TypeError):
        twin.crc32c("text")
    with pytest.raises(BufferError):
        twin.crc32c(memoryview(bytes(8))[::2])


@pytest.mark.parametrize(("key", "wanted"), HASHES)
def test_keys_hash_as_in_the_java_client(twin: ModuleType, key: bytes, wanted: int) -> None:
    """So that both send a key to the same partition; there the number is signed."""
    assert twin.murmur2(key) == wanted & 0xFFFFFFFF


@pytest.mark.filterwarnings("ignore:(read|open)_text is deprecated:DeprecationWarning")  # kafka-python's, when imported
def test_hashes_are_those_of_other_clients(twin: ModuleType, seed: int) -> None:
    """For keys of every length and of all bytes: aiokafka and kafka-python agree with the Java client."""
    from aiokafka.partitioner import murmur2 as of_aiokafka
    from kafka.partitioner.default import murmur2 as of_kafka_python

    rng = random.Random(seed)
    for length in range(70):
        key = rng.randbytes(length)
        mine = twin.murmur2(key)
        assert mine == of_aiokafka(key) & 0xFFFFFFFF
        assert mine == of_kafka_python(key) & 0xFFFFFFFF


@pytest.mark.parametrize("key", ["text", bytearray(b"k"), memoryview(b"k"), None, 5])
def test_keys_to_hash_are_bytes(twin: ModuleType, key: object) -> None:
    """The callers have made them so, and the hash is on their hot path."""
    with pytest.raises(TypeError):
        twin.murmur2(key)
