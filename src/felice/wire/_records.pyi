# The types of the record loops, compiled and plain.
from typing import Any

from felice.wire.record import Record
from felice.wire.records.header import BatchHeader

def crc32c(data: Any, value: int = 0) -> int: ...
def murmur2(key: bytes) -> int: ...

class BatchBuilder:
    size: int
    capacity: int
    count: int
    base_timestamp: int
    max_timestamp: int
    exports: int
    def __init__(self, capacity: int = 16384) -> None: ...
    def __len__(self) -> int: ...
    def append(self, value: Any, key: Any = None, headers: Any = None, timestamp_ms: int = -1) -> int: ...
    def seal(
        self,
        *,
        codec: int = 0,
        level: int | None = None,
        base_offset: int = 0,
        leader_epoch: int = -1,
        producer_id: int = -1,
        producer_epoch: int = -1,
        base_sequence: int = -1,
        transactional: bool = False,
        control: bool = False,
        timestamp_type: int = 0,
    ) -> memoryview: ...
    def reset(self) -> None: ...

def stamp(batch: Any, *, producer_id: int, producer_epoch: int, base_sequence: int) -> None: ...
def scan(payload: Any, count: int, base_timestamp: int = 0) -> tuple[int, int]: ...
def decode(payload: Any, header: BatchHeader) -> list[Record]: ...
