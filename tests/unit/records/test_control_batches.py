"""Control batches: how the end of a transaction stands in the log (KIP-98)."""

import struct
from types import ModuleType

import pytest

import record_bytes as by_hand
from felice.errors import CorruptBatch
from felice.wire.records import ControlType, Record, check, control_batch, read_control, read_header, read_records


@pytest.mark.parametrize(("kind", "number"), [(ControlType.ABORT, 0), (ControlType.COMMIT, 1)])
def test_a_marker_is_written_as_kafka_writes_it(twin: ModuleType, kind: ControlType, number: int) -> None:
    """One record: version and kind as its key, version and the coordinator's epoch as its value."""
    made = control_batch(
        kind,
        producer_id=77,
        producer_epoch=3,
        coordinator_epoch=9,
        timestamp_ms=by_hand.BASE_TIME,
        base_offset=41,
        leader_epoch=2,
    )
    assert bytes(made) == by_hand.batch(
        [by_hand.record(0, struct.pack(">hi", 0, 9), struct.pack(">hh", 0, number))],
        base_offset=41,
        leader_epoch=2,
        attributes=by_hand.TRANSACTIONAL | by_hand.CONTROL,
        producer_id=77,
        producer_epoch=3,
    )


@pytest.mark.parametrize("kind", list(ControlType))
def test_a_marker_is_read_as_what_it_was_written(twin: ModuleType, kind: ControlType) -> None:
    """Through a batch that passes a broker's checks and is known for a control batch by its header."""
    made = control_batch(kind, producer_id=1, producer_epoch=0, coordinator_epoch=0, timestamp_ms=0)
    assert check(made).is_control
    assert read_header(made).is_transactional
    (record,) = read_records(made)
    assert read_control(record) is kind


@pytest.mark.parametrize("number", [-1, 2, 3, 4, 5, 6, 1000])
def test_kinds_that_mean_nothing_here_are_passed_over(number: int) -> None:
    """Kafka's own controllers write some of them, and later versions may write more."""
    assert read_control(Record(0, 0, struct.pack(">hh", 0, number), b"")) is None


def test_later_versions_of_the_key_are_read_by_what_they_begin_with() -> None:
    """Fields that are added come behind those that are known."""
    assert read_control(Record(0, 0, struct.pack(">hhi", 1, 1, 5), None)) is ControlType.COMMIT


@pytest.mark.parametrize("key", [None, b"", b"\0", b"\0\0\0"])
def test_a_control_record_without_its_key_is_damage(key: bytes | None) -> None:
    """Nothing can be said of it."""
    with pytest.raises(CorruptBatch):
        read_control(Record(0, 0, key, b""))
