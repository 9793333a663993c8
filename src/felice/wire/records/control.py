"""Control records: how a transaction's end stands in the log (KIP-98)."""

import struct
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from felice import native
from felice.errors import CorruptBatch
from felice.wire.record import Record

if TYPE_CHECKING:
    from felice.wire._records import BatchBuilder
else:
    BatchBuilder = native.pick("felice.wire._records").BatchBuilder

__all__ = ["ControlType", "control_batch", "read_control"]

_key = struct.Struct(">hh")
_value = struct.Struct(">hi")


class ControlType(IntEnum):
    """What a control record says of its producer's transaction."""

    ABORT = 0
    COMMIT = 1


def control_batch(
    kind: ControlType,
    *,
    producer_id: int,
    producer_epoch: int,
    coordinator_epoch: int,
    timestamp_ms: int,
    base_offset: int = 0,
    leader_epoch: int = -1,
) -> Any:
    """Return the batch that ends a transaction."""
    builder = BatchBuilder()
    builder.append(_value.pack(0, coordinator_epoch), _key.pack(0, kind), None, timestamp_ms)
    return builder.seal(
        base_offset=base_offset,
        leader_epoch=leader_epoch,
        producer_id=producer_id,
        producer_epoch=producer_epoch,
        transactional=True,
        control=True,
    )


def read_control(record: Record) -> ControlType | None:
    """Return what a control record says; None for a kind that is not known, which readers pass over."""
    if record.key is None or len(record.key) < _key.size:
        raise CorruptBatch("a control record without its key")
    _, kind = _key.unpack_from(record.key)
    return ControlType(kind) if kind in (0, 1) else None
