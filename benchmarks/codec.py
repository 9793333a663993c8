"""What a record costs in a record batch: built and read in memory, a megabyte a batch, no network."""

import random
import time
from collections.abc import Callable
from functools import cache

from measure import Benchmark, Metric, Setting

BATCH = 1_000_000
START_MS = 1_700_000_000_000

benchmark = Benchmark(
    "codec",
    "Record batches in memory",
    metrics=(Metric("cpu", "CPU ns a record", 1e9, 1, "× by CPU"),),
    seconds=1.0,
    quick_seconds=0.3,
)


@cache
def letters(size: int) -> list[bytes]:
    """Make values that compress as JSON does; always the same ones."""
    chance, words = random.Random(1912), ["letter", "Prag", "Berlin", "night", "office", "reply", "yesterday"]
    made = []
    for number in range(997):
        text = f'{{"number": {number}, "sent": {chance.randrange(10**9)}, "text": "'
        while len(text) < size:
            text += chance.choice(words) + " "
        made.append((text[: size - 2] + '"}').encode())
    return made


def measured(setting: Setting, batch: Callable[[], int]) -> dict[str, float]:
    """Call for batch after batch; each call tells how many records it handled."""
    batch()
    begin, cpu, records = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < setting.seconds:
        records += batch()
    return {"cpu": (time.process_time() - cpu) / records}


def aiokafka_bytes(setting: Setting, codec: int = 0) -> tuple[bytes, int]:
    """Build a batch with aiokafka's compiled builder."""
    from aiokafka.record.default_records import DefaultRecordBatchBuilder

    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=codec, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=BATCH,
    )  # fmt: skip
    append, values, count = builder.append, letters(setting.size), 0
    while append(count, START_MS, None, values[count % 997], []) is not None:
        count += 1
    return bytes(builder.build()), count


def felice_bytes(setting: Setting, codec: str = "none") -> tuple[memoryview, int]:
    """Build a batch with felice's builder."""
    from felice.wire.records import BatchBuilder, Codec

    builder = BatchBuilder(BATCH)
    append, values, limit = builder.append, letters(setting.size), BATCH - setting.size - 32
    for count in range(BATCH):
        append(values[count % 997], timestamp_ms=START_MS)
        if builder.size > limit:
            break
    return builder.seal(codec=Codec.parse(codec)), count + 1


@benchmark.case("build: aiokafka", reference=True)
def build_aiokafka(setting: Setting) -> dict[str, float]:
    """Its compiled builder."""
    return measured(setting, lambda: aiokafka_bytes(setting)[1])


@benchmark.case("build: kafka-python")
def build_kafka_python(setting: Setting) -> dict[str, float]:
    """Its builder in Python."""
    from kafka.record.default_records import DefaultRecordBatchBuilder

    values = letters(setting.size)

    def batch() -> int:
        builder = DefaultRecordBatchBuilder(2, 0, False, -1, -1, -1, BATCH)
        count = 0
        while builder.append(count, START_MS, None, values[count % 997], []) is not None:
            count += 1
        builder.build()
        return count

    return measured(setting, batch)


@benchmark.case("build: felice")
def build_felice(setting: Setting) -> dict[str, float]:
    """`BatchBuilder`, one append a record."""
    return measured(setting, lambda: felice_bytes(setting)[1])


@benchmark.case("build, lz4: aiokafka", reference=True)
def build_aiokafka_lz4(setting: Setting) -> dict[str, float]:
    """Compressed at its default level."""
    return measured(setting, lambda: aiokafka_bytes(setting, 3)[1])


@benchmark.case("build, lz4: felice")
def build_felice_lz4(setting: Setting) -> dict[str, float]:
    """Compressed at felice's default level."""
    return measured(setting, lambda: felice_bytes(setting, "lz4")[1])


@benchmark.case("read: aiokafka", reference=True)
def read_aiokafka(setting: Setting) -> dict[str, float]:
    """Its compiled reader, checksum verified, each value read."""
    from aiokafka.record.memory_records import MemoryRecords

    data, count = aiokafka_bytes(setting)

    def batch() -> int:
        records = MemoryRecords(data).next_batch()
        assert records.validate_crc()
        for record in records:
            record.value  # noqa: B018
        return count

    return measured(setting, batch)


@benchmark.case("read: kafka-python")
def read_kafka_python(setting: Setting) -> dict[str, float]:
    """Its reader in Python, checksum verified, each value read."""
    from kafka.record import MemoryRecords

    data, count = aiokafka_bytes(setting)

    def batch() -> int:
        records = MemoryRecords(data).next_batch()
        assert records.validate_crc()
        for record in records:
            record.value  # noqa: B018
        return count

    return measured(setting, batch)


def felice(setting: Setting, take: Callable[..., object], data: bytes | None = None) -> dict[str, float]:
    """The reader that the consumer uses, checksum verified."""
    from felice import native

    reader = native.pick("felice.consumer._batch").Reader
    made, count = aiokafka_bytes(setting)
    data = data or made

    def batch() -> int:
        one = reader("letters", 0, 0, 0)
        one.add(memoryview(data))
        one.decode(count)
        take(one.take(count))
        return count

    return measured(setting, batch)


def touch(batch) -> None:
    """Read the value of each message."""
    for message in batch:
        message.value  # noqa: B018


@benchmark.case("read: felice, messages")
def read_felice_messages(setting: Setting) -> dict[str, float]:
    """Every message made, each value read."""
    return felice(setting, touch)


@benchmark.case("read: felice, values()")
def read_felice_values(setting: Setting) -> dict[str, float]:
    """One list of values."""
    return felice(setting, lambda batch: batch.values())


if __name__ == "__main__":
    benchmark.main()
