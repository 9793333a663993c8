"""The record classes of aiokafka (compiled and not) and of kafka-python judge our batches, both ways."""

import warnings
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any

import pytest
from aiokafka.record import default_records as aiokafka

from felice.wire import _records, _records_plain
from felice.wire.record import Record
from felice.wire.records import Codec, check, read_header, unpack

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what it imports itself
    import kafka.record.default_records as kafka_python

TIME = 1_700_000_000_000

Row = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes | None]]]
"""Timestamp, key, value, headers."""

FEW: list[Row] = [
    (TIME, b"franz", b"dear felice", [("city", b"Praha"), ("p\u0159\u00edloha", None), ("", b"")]),
    (TIME - 70, None, b"v", []),
    (TIME + 10**7, b"k", None, []),
    (TIME, b"", b"", []),
    (TIME, None, None, []),
    (TIME + 64, bytes(5000), bytes(70_000), [(f"header {n}", bytes(n)) for n in range(70)]),
]
MANY: list[Row] = [(TIME + n, b"%d" % n, b"letter %d " % n * (n % 9), []) for n in range(4000)]

PEERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "aiokafka compiled": (aiokafka._DefaultRecordBatchBuilderCython, aiokafka._DefaultRecordBatchCython),
    "aiokafka plain": (aiokafka._DefaultRecordBatchBuilderPy, aiokafka._DefaultRecordBatchPy),
    "kafka-python": (kafka_python.DefaultRecordBatchBuilder, kafka_python.DefaultRecordBatch),
}

TWINS = pytest.mark.parametrize("twin", [_records, _records_plain], ids=["compiled", "plain"])
EACH_PEER = pytest.mark.parametrize("peer", PEERS)
EACH_CODEC = pytest.mark.parametrize("codec", Codec, ids=lambda codec: codec.name.lower())
ROWS = pytest.mark.parametrize("rows", [FEW, MANY], ids=["few", "many"])


def records(rows: Sequence[Row], base_offset: int = 0) -> list[Record]:
    """The rows as we read them."""
    return [Record(base_offset + n, row[0], row[1], row[2], tuple(row[3])) for n, row in enumerate(rows)]


@TWINS
@EACH_PEER
@EACH_CODEC
@ROWS
@pytest.mark.parametrize("transactional", [False, True])
def test_we_read_what_peers_write(
    twin: ModuleType, peer: str, codec: Codec, rows: list[Row], transactional: bool
) -> None:
    """And find it worth a broker's log: the checksum, the counts and every record hold."""
    builder = PEERS[peer][0](2, int(codec), transactional, 77, 3, 41, 1 << 30)
    for n, (time, key, value, headers) in enumerate(rows):
        assert builder.append(n, time, key, value, headers) is not None
    data = bytes(builder.build())
    header = check(data)
    assert (header.codec, header.is_transactional, header.count) == (codec, transactional, len(rows))
    assert (header.producer_id, header.producer_epoch, header.base_sequence) == (77, 3, 41)
    assert (header.base_timestamp, header.max_timestamp) == (TIME, max(row[0] for row in rows))
    assert twin.decode(unpack(header, data), header) == records(rows)


@TWINS
@EACH_PEER
@EACH_CODEC
@ROWS
@pytest.mark.parametrize("timestamp_type", [0, 1])
def test_peers_read_what_we_write(
    twin: ModuleType, peer: str, codec: Codec, rows: list[Row], timestamp_type: int
) -> None:
    """Their check of the checksum passes, and they find what was put in; the broker's timestamp where it stamps."""
    builder = twin.BatchBuilder()
    for time, key, value, headers in rows:
        builder.append(value, key, headers, time)
    sealed = builder.seal(
        codec=codec, base_offset=1000, producer_id=77, producer_epoch=3, base_sequence=41, timestamp_type=timestamp_type
    )
    batch = PEERS[peer][1](bytes(sealed))
    assert batch.validate_crc()
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == (77, 3, 41)
    assert (batch.timestamp_type, batch.next_offset) == (timestamp_type, 1000 + len(rows))
    latest = read_header(sealed).max_timestamp
    found = [(r.offset, r.timestamp, r.key, r.value, list(r.headers)) for r in batch]
    assert found == [
        (1000 + n, latest if timestamp_type else time, key, value, headers)
        for n, (time, key, value, headers) in enumerate(rows)
    ]


@EACH_PEER
def test_without_a_codec_the_bytes_are_the_same(peer: str) -> None:
    """There is one way to write a batch: any other implementation's, to the byte."""
    theirs = PEERS[peer][0](2, 0, False, 77, 3, 41, 1 << 30)
    ours = _records.BatchBuilder()
    for n, (time, key, value, headers) in enumerate(FEW + MANY):
        theirs.append(n, time, key, value, headers)
        ours.append(value, key, headers, time)
    written, sealed = bytes(theirs.build()), bytes(ours.seal(producer_id=77, producer_epoch=3, base_sequence=41))
    # kafka-python leaves the leader's epoch, which is the broker's to write, at 0.
    assert sealed[:12] + sealed[16:] == written[:12] + written[16:]
