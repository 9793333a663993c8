"""The consumer when things go wrong: on the embedded broker with faults, and on one that sends nonsense."""

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import TopicPartition as ConfluentPartition
from confluent_kafka.admin import AdminClient

from felice import AsyncConsumer, Consumer
from felice.broker import Broker
from felice.consumer.start import Start
from felice.errors import ErrorCode, LogTruncated, OffsetReset, PartitionError
from felice.events import Event, PartitionFailed, PositionReset, TopicRecreated
from felice.types import TopicPartition
from felice.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from felice.wire.messages.fetch import FetchRequest, FetchResponse
from felice.wire.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponse
from felice.wire.records import Codec
from plain_produce import produce
from scripted_broker import HANG_UP, SILENCE, ScriptedBroker, topic
from wire_batches import batch, compacted

LETTERS_0 = TopicPartition("letters", 0)


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker(topics={"letters": 1}) as made:
        yield made


def write(broker: Broker, count: int, *, first: int = 0, partition: int = 0, each: int = 10) -> None:
    """Write the numbers from `first` on, in batches of ten."""
    batches = [batch(0, [b"%d" % n for n in range(at, at + each)]) for at in range(first, first + count, each)]
    produce(broker, "letters", [(partition, wire) for wire in batches])


def read(reading: Consumer[Any, Any], count: int, timeout: float = 20) -> list[int]:
    """Read so many numbers."""
    deadline = time.monotonic() + timeout
    found: list[int] = []
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} came within {timeout} s"
        found += map(int, reading.poll(1).values())
    return found


FAST: dict[str, Any] = {
    "retry_backoff": 0.01,
    "retry_backoff_max": 0.1,
    "reconnect_backoff": 0.01,
    "reconnect_backoff_max": 0.1,
}


class Heard(list[Event]):
    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self if type(event) is kind]


# -- errors that pass -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.UNKNOWN_TOPIC_ID,
        ErrorCode.INCONSISTENT_TOPIC_ID,
        ErrorCode.KAFKA_STORAGE_ERROR,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_SERVER_ERROR,
        ErrorCode.CORRUPT_MESSAGE,
        ErrorCode.OFFSET_OUT_OF_RANGE,
        ErrorCode.FETCH_SESSION_ID_NOT_FOUND,
        ErrorCode.INVALID_FETCH_SESSION_EPOCH,
        ErrorCode.FETCH_SESSION_TOPIC_ID_ERROR,
    ],
)
@pytest.mark.parametrize("nth", [1, 2, 3])
def test_3_an_error_that_passes_costs_no_record_and_repeats_none(broker: Broker, code: ErrorCode, nth: int) -> None:
    """Row 3: every code that another try may mend is survived, at the first fetch, the second and the third."""
    write(broker, 100)
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", partition_bytes=1024, **FAST) as reading:
        with broker.faults.error(code, "Fetch", nth=nth, times=2) as fault:
            assert read(reading, 100) == list(range(100))
            write(broker, 100, first=100)
            assert read(reading, 100) == list(range(100, 200))
            fault.wait()
        assert not reading.poll(0.02)


@pytest.mark.parametrize("code", [ErrorCode.NOT_LEADER_OR_FOLLOWER, ErrorCode.LEADER_NOT_AVAILABLE])
def test_3_a_start_is_looked_up_again_after_an_error(broker: Broker, code: ErrorCode) -> None:
    write(broker, 20)
    with (
        broker.faults.error(code, "ListOffsets", times=2) as fault,
        Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading,
    ):
        assert read(reading, 20) == list(range(20))
        assert fault.count == 2


@pytest.mark.parametrize("how", ["drop", "drop answer", "cut"])
def test_12_lost_and_partial_answers_cost_no_record_and_repeat_none(broker: Broker, how: str) -> None:
    """Row 12: a connection that ends in an answer is made anew, and the fetch session with it."""
    write(broker, 200)
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", partition_bytes=1024, **FAST) as reading:
        match how:
            case "drop":
                fault = broker.faults.drop("Fetch", nth=2, times=3)
            case "drop answer":
                fault = broker.faults.drop("Fetch", applied=True, nth=2, times=3)
            case _:
                fault = broker.faults.cut("Fetch", nth=2, times=3)
        with fault:
            assert read(reading, 200) == list(range(200))
            write(broker, 50, first=200)
            assert read(reading, 50) == list(range(200, 250))
            fault.wait(count=3)


def test_49_a_connection_that_the_broker_ends_is_no_error(broker: Broker) -> None:
    """Row 49: idle closes are reopened on next use; here our own idle limit ends the side lane's connection."""
    write(broker, 10)
    options: dict[str, Any] = {**FAST, "connections_max_idle": 0.1, "fetch_max_wait": 0.3}
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", **options) as reading:
        assert read(reading, 10) == list(range(10))
        assert not reading.poll(0.5)
        write(broker, 10, first=10)
        assert read(reading, 10) == list(range(10, 20))
        assert reading.health.state == "up"


def test_1_a_broker_that_restarts_is_read_on(seed: int) -> None:
    """Row 1: reconnected with backoff, nothing lost, and health tells."""
    with Broker(topics={"letters": 2}, nodes=2, seed=seed) as broker:
        write(broker, 50)
        with Consumer[Any, Any](broker.bootstrap_servers, partitions=[("letters", 0)], **FAST) as reading:
            assert read(reading, 50) == list(range(50))
            for round_ in range(1, 4):
                broker.stop(broker.leader("letters", 0))
                write(broker, 50, first=50 * round_)
                assert read(reading, 50) == list(range(50 * round_, 50 * round_ + 50))
                for node in {1, 2} - set(broker.nodes):
                    broker.start(node)


def test_4_leaders_that_move_all_the_time_are_followed(seed: int) -> None:
    """Rows 3 and 4: every record once and in order while the leader changes under the reader."""
    with Broker(topics={"letters": 1}, nodes=3, seed=seed) as broker:
        stop = threading.Event()

        def stir() -> None:
            node = 0
            while not stop.wait(0.02):
                node = node % 3 + 1
                broker.move_leader("letters", 0, node)

        stirring = threading.Thread(target=stir)
        stirring.start()
        try:
            with Consumer[Any, Any](
                broker.bootstrap_servers, "letters", partition_bytes=1024, fetch_bytes=1024, **FAST
            ) as reading:
                for first in range(0, 1000, 100):
                    for at in range(first, first + 100, 10):
                        while True:
                            try:
                                write(broker, 10, first=at)
                                break
                            except Exception:
                                continue  # the leader moved under the writer
                    assert read(reading, 100) == list(range(first, first + 100))
        finally:
            stop.set()
            stirring.join()


# -- lost positions ---------------------------------------------------------------------------------------------------


def delete_before(broker: Broker, offset: int) -> None:
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    (done,) = admin.delete_records([ConfluentPartition("letters", 0, offset)]).values()
    done.result(10)


@pytest.mark.parametrize("policy", ["earliest", "latest"])
def test_7_a_deleted_position_follows_the_policy_and_is_told_with_the_numbers(broker: Broker, policy: Any) -> None:
    """Row 7."""
    write(broker, 100)
    delete_before(broker, 60)
    heard = Heard()
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", start=10, offset_reset=policy, listeners=[heard.append], **FAST
    ) as reading:
        if policy == "latest":
            assert not reading.poll(0.2)
            write(broker, 10, first=100)
        assert read(reading, 10)[0] == (60 if policy == "earliest" else 100)
        reading._core.engine.callbacks.flush(5)
        (event,) = heard.of(PositionReset)
        assert (event.topic, event.partition, event.before) == ("letters", 0, 10)
        assert (event.after, event.policy) == (60 if policy == "earliest" else 100, policy)
        assert "position 10 of letters-0" in event.reason
        assert "begins at 60 and ends before 100" in event.reason


def test_7_without_a_policy_a_deleted_position_is_an_error_with_the_numbers(broker: Broker) -> None:
    """Row 7: typed, once; the position has not moved; a seek sets the partition going again."""
    write(broker, 100)
    delete_before(broker, 60)
    heard = Heard()
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", start=10, offset_reset="error", listeners=[heard.append]
    ) as reading:
        for _ in range(2):
            with pytest.raises(OffsetReset, match=r"position 10 of letters-0 .* begins at 60") as caught:
                reading.poll(10)
        error = caught.value
        assert (error.topic, error.partition, error.offset, error.next_offset) == ("letters", 0, 10, 60)
        assert reading.position(LETTERS_0) == 10
        assert reading.failures == {LETTERS_0: error}
        assert not error.retriable
        reading.seek(LETTERS_0, error.next_offset)
        assert reading.failures == {}
        assert read(reading, 40) == list(range(60, 100))
        reading._core.engine.callbacks.flush(5)
        assert len(heard.of(PartitionFailed)) == 1


def test_7_what_was_fetched_before_the_position_was_lost_is_read_first(broker: Broker) -> None:
    write(broker, 5000)
    with Consumer[Any, Any](
        broker.bootstrap_servers,
        "letters",
        offset_reset="error",
        partition_bytes=1024,
        buffer_bytes=65536,
        fetch_bytes=1024,
        **FAST,
    ) as reading:
        seen = read(reading, 10)
        delete_before(broker, 5000)

        def read_on() -> None:
            while True:
                seen.extend(int(value) for value in reading.poll(10).values())

        with pytest.raises(OffsetReset) as caught:
            read_on()
        assert 10 < len(seen) < 4000
        assert seen == list(range(len(seen)))
        assert reading.position(LETTERS_0) == len(seen) == caught.value.offset


def test_5_a_topic_deleted_and_created_anew_is_a_new_topic(broker: Broker) -> None:
    """Row 5: known by its ID, even where the old position would fit; the policy says what becomes of it."""
    write(broker, 20)
    for policy, expected in (("earliest", list(range(100, 140))), ("latest", [])):
        heard = Heard()
        with Consumer[Any, Any](
            broker.bootstrap_servers, "letters", offset_reset=policy, listeners=[heard.append], **FAST
        ) as reading:
            read(reading, 20)
            broker.delete_topic("letters")
            broker.create_topic("letters", 1)
            write(broker, 40, first=100)
            if expected:
                assert read(reading, 40) == expected
            else:
                deadline = time.monotonic() + 10
                while not heard.of(PositionReset):
                    assert not reading.poll(0.01)
                    assert time.monotonic() < deadline
            reading._core.engine.callbacks.flush(5)
            (event,) = heard.of(PositionReset)
            assert "deleted and created anew" in event.reason
            assert event.before == 20
        broker.delete_topic("letters")
        broker.create_topic("letters", 1)
        write(broker, 20)


def test_5_without_a_policy_a_recreated_topic_is_an_error(broker: Broker) -> None:
    """Row 5."""
    write(broker, 20)
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", offset_reset="error", **FAST) as reading:
        read(reading, 20)
        broker.delete_topic("letters")
        broker.create_topic("letters", 1)
        write(broker, 40, first=100)
        with pytest.raises(OffsetReset, match="deleted and created anew: position 20 of letters-0") as caught:
            reading.poll(10)
        assert caught.value.next_offset == 0
        reading.seek(LETTERS_0, "earliest")
        assert read(reading, 40) == list(range(100, 140))


@pytest.mark.parametrize("times", [1, 2])
def test_5_a_new_topic_is_not_read_from_the_position_in_the_old_one(broker: Broker, times: int) -> None:
    """Row 5: what is on the shelf may have to be fetched again (Ctrl-C, damage, short memory); the old is gone then."""
    write(broker, 20)
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading:
        assert list(map(int, reading.poll(10, max_records=5).values())) == [0, 1, 2, 3, 4]
        partition = reading._core.outbox.partitions[LETTERS_0]
        broker.delete_topic("letters")
        broker.create_topic("letters", 1)
        write(broker, 40, first=100)

        async def fetch_again() -> None:
            async with asyncio.timeout(20):
                while not partition.shelf.jumps:  # noqa: ASYNC110  # nobody tells of it
                    await asyncio.sleep(0)
            old = partition.shelf
            for _ in range(times):
                reading._core._seek(partition, Start(5), instead_of=old)
                reading._core._on_ring()
                old = partition.shelf

        reading._core.engine.run(fetch_again)
        assert read(reading, 40) == list(range(100, 140))


def test_5_partitions_that_a_new_topic_does_not_have_are_read_no_more(broker: Broker) -> None:
    """Row 5: nobody looks for them for ever, nor waits for them; where they come again, they are new partitions."""
    broker.create_topic("cards", 3)
    with Consumer[Any, Any](broker.bootstrap_servers, "cards", **FAST) as reading:

        def more(value: bytes, partitions: int) -> None:
            produce(broker, "cards", [(index, batch(0, [value])) for index in range(partitions)])
            found = [(each.partition, each.values()) for each in (reading.poll(10) for _ in range(partitions))]
            assert sorted(found) == [(index, [value]) for index in range(partitions)]

        more(b"old", 3)
        reading.pause(("cards", 2))
        broker.delete_topic("cards")
        broker.create_topic("cards", 1)
        more(b"new", 1)
        assert reading.assignment == (TopicPartition("cards", 0),)
        assert reading.lag(timeout=5) == {TopicPartition("cards", 0): 0}
        assert not reading._core._fetcher.finder._open
        broker.delete_topic("cards")
        broker.create_topic("cards", 3)
        more(b"newer", 3)


def test_5_a_partition_that_goes_while_its_end_is_asked_for_has_no_lag(broker: Broker) -> None:
    """Row 5: those that are left have."""
    broker.create_topic("cards", 3)
    cards_0 = TopicPartition("cards", 0)
    lags: list[dict[TopicPartition, int]] = []
    gone = threading.Event()

    def hear(event: Event) -> None:
        if isinstance(event, TopicRecreated):
            gone.set()

    with Consumer[Any, Any](
        broker.bootstrap_servers, "cards", metadata_max_age=0.1, listeners=[hear], **FAST
    ) as reading:
        reading.ready()
        with broker.faults.error(
            ErrorCode.NOT_LEADER_OR_FOLLOWER, "ListOffsets", topic="cards", partition=0, times=None
        ) as fault:
            asking = threading.Thread(target=lambda: lags.append(reading.lag(timeout=20)))
            asking.start()
            fault.wait()
            broker.delete_topic("cards")
            broker.create_topic("cards", 1)
            assert gone.wait(10)
        asking.join()
        assert lags == [{cards_0: 0}]


# -- a broker that sends what no broker should ------------------------------------------------------------------------


class Log:
    """A scripted broker with one partition, whose answers to fetches a test decides."""

    def __init__(self, server: ScriptedBroker) -> None:
        self.server = server
        self.begin, self.end = 0, 1000
        self.asked: list[FetchRequest.FetchPartition] = []
        self.pieces: dict[int, bytes] = {}
        self.error: dict[int, int] = {}
        self.epoch_end = -1
        server.topics["letters"] = topic("letters", server.node_id, epoch=3)
        server.on(ListOffsetsRequest, self.offsets)
        server.on(FetchRequest, self.fetch)
        server.on(OffsetForLeaderEpochRequest, self.epochs)

    def offsets(self, request: Any, _header: Any) -> ListOffsetsResponse:
        asked = request.topics[0].partitions[0]
        return ListOffsetsResponse(
            topics=[
                ListOffsetsResponse.ListOffsetsTopicResponse(
                    name="letters",
                    partitions=[
                        ListOffsetsResponse.ListOffsetsPartitionResponse(
                            partition_index=0, offset=self.end if asked.timestamp == -1 else self.begin
                        )
                    ],
                )
            ]
        )

    def epochs(self, request: Any, _header: Any) -> OffsetForLeaderEpochResponse:
        end = OffsetForLeaderEpochResponse.EpochEndOffset(partition=0, leader_epoch=3, end_offset=self.epoch_end)
        return OffsetForLeaderEpochResponse(
            topics=[OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(topic="letters", partitions=[end])]
        )

    async def fetch(self, request: Any, _header: Any) -> FetchResponse:
        asked = request.topics[0].partitions[0]
        self.asked.append(asked)
        offset = asked.fetch_offset
        data = self.pieces.get(offset, b"")
        if not data and offset not in self.error:
            await asyncio.sleep(request.max_wait_ms / 1000)
        return FetchResponse(
            responses=[
                FetchResponse.FetchableTopicResponse(
                    topic=request.topics[0].topic,
                    topic_id=request.topics[0].topic_id,
                    partitions=[
                        FetchResponse.PartitionData(
                            partition_index=0,
                            error_code=self.error.get(offset, 0),
                            high_watermark=self.end,
                            last_stable_offset=self.end,
                            records=data,
                        )
                    ],
                )
            ]
        )


def damaged(wire: bytes) -> bytes:
    return wire[:-1] + bytes([wire[-1] ^ 0xFF])


async def test_16_a_damaged_batch_is_fetched_once_more_and_that_may_be_all(seed: int) -> None:
    """Row 16: refetch once. Here the damage happened on the way."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {0: batch(0, [b"0"]) + damaged(batch(1, [b"1"])), 1: batch(1, [b"1"]), 2: batch(2, [b"2"])}
        async with AsyncConsumer[Any, bytes](server.address, "letters", start=0, **FAST) as reading:
            messages = aiter(reading)
            assert [(await anext(messages)).value for _ in range(3)] == [b"0", b"1", b"2"]


async def test_16_a_batch_that_stays_damaged_stops_its_partition_at_its_offset() -> None:
    """Row 16: then a typed partition error with topic, partition, offset; position unmoved; skip only on request."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {
            0: batch(0, [b"0"]) + damaged(batch(1, [b"1", b"2"])) + batch(3, [b"3"]),
            1: damaged(batch(1, [b"1", b"2"])),
            3: batch(3, [b"3"]),
        }
        heard = Heard()
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, listeners=[heard.append], **FAST
        ) as reading:
            assert (await reading.poll(5)).values() == [b"0"]
            for _ in range(3):
                with pytest.raises(PartitionError, match=r"letters-0 has stopped at offset 1: .*checksum") as caught:
                    await reading.poll(5)
                error = caught.value
                assert (error.topic, error.partition, error.offset, error.next_offset) == ("letters", 0, 1, 3)
                assert await reading.position(LETTERS_0) == 1
            assert sum(asked.fetch_offset == 1 for asked in log.asked) == 1
            await asyncio.to_thread(reading._core.engine.callbacks.flush, 5)
            assert len(heard.of(PartitionFailed)) == 1
            await reading.seek(LETTERS_0, error.next_offset)
            assert (await reading.poll(5)).values() == [b"3"]


async def test_17_a_compression_bomb_stops_its_partition_once_with_the_next_offset() -> None:
    """Row 17: capped, never in a loop; the others go on; the cap can be raised, or the bomb skipped."""
    async with ScriptedBroker() as server:
        log = Log(server)
        bomb = batch(1, [b"\0" * 1_000_000], codec=Codec.ZSTD)
        log.pieces = {0: batch(0, [b"0"]) + bomb, 2: batch(2, [b"2"])}
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, max_batch_bytes=100_000, **FAST
        ) as reading:
            assert (await reading.poll(5)).values() == [b"0"]
            with pytest.raises(PartitionError, match="unpacks to more than 100000 bytes") as caught:
                await reading.poll(5)
            assert (caught.value.offset, caught.value.next_offset) == (1, 2)
            fetched = len(log.asked)
            with pytest.raises(PartitionError):
                await reading.poll(0.1)
            assert len(log.asked) <= fetched + 1
            await reading.seek(LETTERS_0, 2)
            assert (await reading.poll(5)).values() == [b"2"]
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, max_batch_bytes=10_000_000, **FAST
        ) as reading:
            assert [len(await reading.poll(5)) for _ in range(1)] == [2]


async def test_a_stopped_partition_does_not_stop_the_others() -> None:
    """The error is raised once, and again only where no other partition is left to read."""
    with Broker(topics={"letters": 2}) as broker:
        await asyncio.to_thread(write, broker, 10, partition=0)
        await asyncio.to_thread(write, broker, 10, partition=1)
        async with AsyncConsumer[Any, bytes](
            broker.bootstrap_servers, "letters", start={("letters", 0): 500}, offset_reset="error"
        ) as reading:
            seen: list[bytes] = []
            raised = 0
            while len(seen) < 10 or not raised:
                try:
                    seen += (await reading.poll(5)).values()
                except OffsetReset:
                    raised += 1
            assert raised == 1
            assert not await reading.poll(0.05)
            await reading.pause(("letters", 1))
            with pytest.raises(OffsetReset):
                await reading.poll(5)


async def test_10_a_log_of_nothing_but_gaps_is_moved_through() -> None:
    """Row 10: batches that the cleaner has emptied bring no record, and no standstill."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {0: compacted(0, 99, []), 100: compacted(100, 199, []), 200: batch(200, [b"at last"])}
        async with AsyncConsumer[Any, bytes](server.address, "letters", start=0, **FAST) as reading:
            found = await reading.poll(5)
            assert (found.values(), found.offsets()) == ([b"at last"], [200])


async def test_a_batch_larger_than_every_limit_is_fetched_all_the_same() -> None:
    """One batch may pass the limits, or it could never be read: the next request asks for its size."""
    async with ScriptedBroker() as server:
        log = Log(server)
        large = batch(0, [b"x" * 100_000])
        log.pieces = {0: large[:2000], 1: batch(1, [b"1"])}

        async def fetch(request: Any, header: Any) -> FetchResponse:
            if request.topics[0].partitions[0].partition_max_bytes >= len(large):
                log.pieces[0] = large
            return await log.fetch(request, header)

        server.on(FetchRequest, fetch)
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, partition_bytes=2000, fetch_bytes=2000, **FAST
        ) as reading:
            assert [len(value) for value in (await reading.poll(5)).values()] == [100_000]
            assert (await reading.poll(5)).values() == [b"1"]
            assert [asked.partition_max_bytes for asked in log.asked[:3]] == [2000, len(large), 2000]


async def test_7_a_log_that_was_cut_off_is_noticed_and_read_on_from_there() -> None:
    """Rows 7 and 8 (KIP-320): truncation is checked before the policy, and reading goes on where the logs part."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {0: batch(0, [b"old"] * 10), 6: batch(6, [b"new"])}
        log.error = {10: ErrorCode.OFFSET_OUT_OF_RANGE}
        log.end, log.epoch_end = 7, 6
        heard = Heard()
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, offset_reset="latest", listeners=[heard.append], **FAST
        ) as reading:
            assert len(await reading.poll(5)) == 10
            found = await reading.poll(5)
            assert (found.values(), found.offsets()) == ([b"new"], [6])
            await asyncio.to_thread(reading._core.engine.callbacks.flush, 5)
            (event,) = heard.of(PositionReset)
            assert "cut off at 6" in event.reason
            assert "4 offsets below it are lost" in event.reason
            assert (event.before, event.after, event.divergent_offset, event.divergent_epoch) == (10, 6, 6, 3)


@pytest.mark.parametrize("unknown", ["fetch 12", "epochs at all"])
async def test_8_a_broker_that_cannot_tell_of_epochs_is_read_on(unknown: str) -> None:
    """Row 8: the last epoch is sent from Fetch 12 on; without OffsetForLeaderEpoch the position is taken as it is."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {0: batch(0, [b"old"] * 10)}
        log.epoch_end = 10

        async def fetch(request: Any, header: Any) -> FetchResponse:
            if request.topics[0].partitions[0].current_leader_epoch == 4:
                log.error, log.pieces = {}, {10: batch(10, [b"new"], leader_epoch=4)}
            return await log.fetch(request, header)

        server.on(FetchRequest, fetch)
        if unknown == "fetch 12":
            server.ranges[1] = (4, 11)
        else:
            del server.ranges[23]
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, offset_reset="error", **FAST
        ) as reading:
            assert len(await reading.poll(5)) == 10
            log.error = {10: ErrorCode.FENCED_LEADER_EPOCH}
            server.topics["letters"] = topic("letters", 1, epoch=4)
            assert (await reading.poll(5)).values() == [b"new"]
            assert any(type(request) is OffsetForLeaderEpochRequest for _, request in server.requests) == (
                unknown == "fetch 12"
            )
            assert {asked.last_fetched_epoch for asked in log.asked} == ({-1} if unknown == "fetch 12" else {-1, 3})


@pytest.mark.parametrize("policy", ["earliest", "latest", "error"])
async def test_8_a_leader_that_knows_no_such_epoch_has_the_policy_followed(policy: Any) -> None:
    """Row 8: as Java's consumer does, also where the position would be in the log; loudly, and not silently."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {0: batch(0, [b"old"] * 10), 5: batch(5, [b"first"]), 50: batch(50, [b"last"])}
        log.begin, log.end, log.epoch_end = 5, 50, -1
        heard = Heard()
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start=0, offset_reset=policy, listeners=[heard.append], **FAST
        ) as reading:
            assert len(await reading.poll(5)) == 10
            log.error = {10: ErrorCode.FENCED_LEADER_EPOCH}
            server.topics["letters"] = topic("letters", 1, epoch=4)
            if policy == "error":
                with pytest.raises(LogTruncated, match="nothing of the leader epoch that was read last") as caught:
                    await reading.poll(5)
                assert (caught.value.offset, caught.value.next_offset, caught.value.divergent_offset) == (10, 5, -1)
                return
            assert (await reading.poll(5)).values() == [b"first" if policy == "earliest" else b"last"]
            await asyncio.to_thread(reading._core.engine.callbacks.flush, 5)
            (event,) = heard.of(PositionReset)
            assert (event.before, event.divergent_offset, event.divergent_epoch) == (10, -1, -1)


async def test_a_refused_partition_tells_its_code() -> None:
    async with ScriptedBroker() as server:
        log = Log(server)
        log.error = {0: ErrorCode.TOPIC_AUTHORIZATION_FAILED}
        async with AsyncConsumer[Any, bytes](server.address, "letters", start=0, **FAST) as reading:
            with pytest.raises(PartitionError, match="TOPIC_AUTHORIZATION_FAILED") as caught:
                await reading.poll(5)
            assert caught.value.offset == 0
            log.error = {}
            log.pieces = {0: batch(0, [b"allowed now"])}
            await reading.seek(LETTERS_0, 0)
            assert (await reading.poll(5)).values() == [b"allowed now"]


async def test_a_broker_that_refuses_a_first_request_is_connected_to_again() -> None:
    """An error code in answer to ApiVersions ends one connection, as a broken one would, and not the reading."""
    async with ScriptedBroker() as server:
        log = Log(server)
        async with AsyncConsumer[Any, bytes](server.address, "letters", start=0, **FAST) as reading:
            await reading.ready()
            refusals = [ApiVersionsResponse(error_code=ErrorCode.INVALID_REQUEST)] * 3
            asked = server.count(ApiVersionsRequest)
            server.script(ApiVersionsRequest, *refusals)
            server.hang_up()
            await server.wait_for(ApiVersionsRequest, asked + 4)
            log.pieces = {0: batch(0, [b"all the same"])}
            assert (await reading.poll(5)).values() == [b"all the same"]


async def test_a_broker_that_does_not_answer_holds_up_no_lookup_at_another() -> None:
    """Where to begin is asked of each leader for itself: a seek at one takes effect while another one is frozen."""
    async with ScriptedBroker(1) as well, ScriptedBroker(2) as frozen:
        well.peers = frozen.peers = [well, frozen]
        log = Log(well)
        log.end = 0
        well.topics["letters"] = frozen.topics["letters"] = topic("letters", 1, 2, epoch=3)
        frozen.on(ListOffsetsRequest, lambda _request, _header: SILENCE)
        log.pieces = {0: batch(0, [b"read"])}
        async with AsyncConsumer[Any, bytes](well.address, "letters", start="latest", **FAST) as reading:
            assert (await reading.poll(5)).values() == [b"read"]
            await frozen.wait_for(ListOffsetsRequest)
            log.end, log.pieces = 7, {7: batch(7, [b"sought"])}
            await reading.seek(LETTERS_0, "latest")
            assert (await reading.poll(5)).values() == [b"sought"]


async def test_a_partition_that_never_had_a_position_says_why() -> None:
    """Neither position() nor lag() make up a number for it; poll() tells it, too."""
    async with ScriptedBroker() as server:
        log = Log(server)
        refused = ErrorCode.TOPIC_AUTHORIZATION_FAILED

        def offsets(request: Any, header: Any) -> ListOffsetsResponse:
            answer = log.offsets(request, header)
            if request.topics[0].partitions[0].timestamp == -2:
                answer.topics[0].partitions[0].error_code = refused
            return answer

        server.on(ListOffsetsRequest, offsets)
        async with AsyncConsumer[Any, bytes](server.address, "letters", start="earliest", **FAST) as reading:
            for _ in range(2):
                with pytest.raises(PartitionError, match="TOPIC_AUTHORIZATION_FAILED"):
                    await reading.position(LETTERS_0)
                assert await reading.lag() == {}
                with pytest.raises(PartitionError, match="TOPIC_AUTHORIZATION_FAILED"):
                    await reading.poll(5)
            await reading.seek(LETTERS_0, "latest")
            assert await reading.position(LETTERS_0) == 1000
            assert await reading.lag() == {LETTERS_0: 0}


async def test_14_an_answer_that_lies_about_its_batches_harms_nobody() -> None:
    """Row 14: batches of other offsets than were asked for, empty answers and foreign partitions end in no loop."""
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {10: batch(0, [b"below"] * 5)}
        async with AsyncConsumer[Any, bytes](server.address, "letters", start=10, **FAST) as reading:
            assert not await reading.poll(0.3)
            assert 1 <= len(log.asked) < 30
            log.pieces = {10: batch(10, [b"right"])}
            assert (await reading.poll(5)).values() == [b"right"]


async def test_48_a_preferred_replica_is_followed_and_left_when_it_is_gone() -> None:
    """Row 48 (KIP-392): the hint is followed; when the replica fails, the leader is asked again."""
    async with ScriptedBroker(1) as leader, ScriptedBroker(2) as replica:
        leader.peers = replica.peers = [leader, replica]
        log, copy = Log(leader), Log(replica)
        leader.topics["letters"] = replica.topics["letters"] = topic("letters", 1, epoch=3)
        hint = 2

        async def lead(request: Any, header: Any) -> FetchResponse:
            answer = await log.fetch(request, header)
            if request.rack_id == "here" and hint >= 0:
                answer.responses[0].partitions[0].preferred_read_replica = hint
                answer.responses[0].partitions[0].records = b""
            return answer

        leader.on(FetchRequest, lead)
        copy.pieces = {0: batch(0, [b"from the replica"])}
        log.pieces = {1: batch(1, [b"from the leader"])}
        async with AsyncConsumer[Any, bytes](leader.address, "letters", start=0, rack="here", **FAST) as reading:
            assert (await reading.poll(5)).values() == [b"from the replica"]
            hint = -1
            replica.on(FetchRequest, lambda _request, _header: HANG_UP)
            replica.hang_up()
            assert (await reading.poll(5)).values() == [b"from the leader"]


async def test_48_a_replica_that_nobody_knows_is_not_asked_for_over_and_over() -> None:
    """Row 48: the leader that names it is asked again after a pause, and metadata before that."""
    async with ScriptedBroker(1) as leader:
        log = Log(leader)
        known = False

        async def lead(request: Any, header: Any) -> FetchResponse:
            if known:
                return await log.fetch(request, header)
            asked.append(request)
            return FetchResponse(
                responses=[
                    FetchResponse.FetchableTopicResponse(
                        topic_id=request.topics[0].topic_id,
                        partitions=[FetchResponse.PartitionData(partition_index=0, preferred_read_replica=9)],
                    )
                ]
            )

        asked: list[Any] = []
        leader.on(FetchRequest, lead)
        log.pieces = {0: batch(0, [b"from the leader"])}
        async with AsyncConsumer[Any, bytes](leader.address, "letters", start=0, rack="here", **FAST) as reading:
            assert not await reading.poll(0.4)
            assert 1 < len(asked) < 100
            known = True
            assert (await reading.poll(5)).values() == [b"from the leader"]


async def test_new_partitions_are_noticed_and_read_from_their_beginning() -> None:
    async with ScriptedBroker() as server:
        log = Log(server)
        log.pieces = {1000: batch(1000, [b"old partition"])}

        async def fetch(request: Any, header: Any) -> FetchResponse:
            answers = []
            for asked in request.topics[0].partitions:
                data = log.pieces.get(asked.fetch_offset, b"") if asked.partition == 0 else b""
                if asked.partition == 1 and asked.fetch_offset == 0:
                    data = batch(0, [b"new partition"])
                answers.append(
                    FetchResponse.PartitionData(
                        partition_index=asked.partition, high_watermark=2000, last_stable_offset=2000, records=data
                    )
                )
            if not any(answer.records for answer in answers):
                await asyncio.sleep(request.max_wait_ms / 1000)
            topic_id = request.topics[0].topic_id
            return FetchResponse(
                responses=[FetchResponse.FetchableTopicResponse(topic_id=topic_id, partitions=answers)]
            )

        def offsets(request: Any, header: Any) -> ListOffsetsResponse:
            answer = log.offsets(request, header)
            answer.topics[0].partitions[0].partition_index = request.topics[0].partitions[0].partition_index
            return answer

        server.on(FetchRequest, fetch)
        server.on(ListOffsetsRequest, offsets)
        async with AsyncConsumer[Any, bytes](
            server.address, "letters", start="latest", metadata_max_age=0.05, **FAST
        ) as reading:
            assert (await reading.poll(5)).values() == [b"old partition"]
            server.topics["letters"] = topic("letters", 1, 1, epoch=3)
            found = await reading.poll(5)
            assert (found.partition, found.values()) == (1, [b"new partition"])
            assert reading.assignment == (LETTERS_0, TopicPartition("letters", 1))
