"""A consumer whose partition's log is cut off by an unclean election, and one whose leaders merely move (KIP-320)."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

import pytest

from felice import AsyncConsumer, Consumer, Producer
from felice.broker import Broker
from felice.errors import ErrorCode, LogTruncated, PartitionError
from felice.events import Event, PartitionFailed, PositionReset
from felice.types import TopicPartition
from felice.wire.messages.fetch import FetchResponse

LETTERS_0 = TopicPartition("letters", 0)
ROUNDS = int(os.environ.get("FELICE_FAULT_ROUNDS", "5"))
FAST: dict[str, Any] = {
    "retry_backoff": 0.01,
    "retry_backoff_max": 0.1,
    "reconnect_backoff": 0.01,
    "reconnect_backoff_max": 0.1,
}
Heard = list[Event]


@pytest.fixture
def broker() -> Iterator[Broker]:
    """Two nodes; partition 0 of `letters` holds a and b on both, c and d on node 1 alone, which leads."""
    with Broker(topics={"letters": 1}, nodes=2) as made:
        write(made, "ab")
        made.shrink_isr("letters", 0, 2)
        write(made, "cd")
        yield made


def write(broker: Broker, letters: str) -> None:
    """Write each letter, as a batch of its own."""
    with Producer(broker.bootstrap_servers, **FAST) as producer:
        for letter in letters:
            producer.send_and_wait("letters", letter.encode(), partition=0)


def cut_off(broker: Broker, letters: str) -> None:
    """Lose the records c and d, and write others in their place."""
    broker.stop(1)
    broker.elect_leader("letters", 0, unclean=True)
    write(broker, letters)


def read(reading: Consumer[Any, Any], count: int, **how: Any) -> str:
    """Read so many letters."""
    found = ""
    while len(found) < count:
        batch = reading.poll(20, **how)
        assert batch, f"only {found!r} of {count} letters came"
        found += b"".join(batch.values()).decode()
    return found


def wait_until(reading: Consumer[Any, Any], true: Callable[[Any], bool]) -> None:
    """Wait until something is true of the partition, as the engine sees it."""

    async def wait() -> None:
        async with asyncio.timeout(20):
            while not true(reading._core.outbox.partitions[LETTERS_0]):  # noqa: ASYNC110  # nobody tells of it
                await asyncio.sleep(0)

    reading._core.engine.run(wait)


def told(reading: Consumer[Any, Any], heard: Heard, kind: type[Event]) -> list[Any]:
    """Return the events of a kind."""
    reading._core.engine.callbacks.flush(5)
    return [event for event in heard if type(event) is kind]


# -- records that were read are lost ----------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["earliest", "latest"])
@pytest.mark.parametrize("instead", ["e", "ef", "efgh"])
def test_8_reading_goes_on_where_the_logs_part(broker: Broker, policy: Any, instead: str) -> None:
    """Row 8: whether the log is shorter than the position now, as long, or longer; no new record is missed."""
    heard: Heard = []
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", offset_reset=policy, listeners=[heard.append], **FAST
    ) as reading:
        assert read(reading, 4) == "abcd"
        cut_off(broker, instead)
        assert read(reading, len(instead)) == instead
        (event,) = told(reading, heard, PositionReset)
        assert (event.topic, event.partition, event.before, event.after) == ("letters", 0, 4, 2)
        assert (event.divergent_offset, event.divergent_epoch, event.policy) == (2, 0, policy)
        assert "cut off at 2" in event.reason
        assert "2 offsets below it are lost" in event.reason
        write(broker, "z")
        assert read(reading, 1) == "z"


@pytest.mark.parametrize("how", ["start", "seek", "reset"])
def test_8_who_waits_at_the_end_misses_nothing_of_what_is_written_below(broker: Broker, how: str) -> None:
    """Row 8: a position that a leader told comes with its epoch, so it is held against the next leader's log, too."""
    heard: Heard = []
    start: Any = {"start": "latest", "seek": 0, "reset": 1000}[how]
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", start=start, offset_reset="latest", listeners=[heard.append], **FAST
    ) as reading:
        reading.ready()
        if how == "seek":
            reading.seek(LETTERS_0, "latest")
        wait_until(reading, lambda partition: partition.shelf is partition.adopted and partition.fetch_offset == 4)
        assert not reading.poll(0.02)
        assert reading.position(LETTERS_0) == 4
        cut_off(broker, "efg")
        assert read(reading, 3) == "efg"
        event = told(reading, heard, PositionReset)[-1]
        assert (event.before, event.after, event.divergent_offset) == (4, 2, 2)
        assert (2, [0]) in questions(broker)


def test_8_an_iteration_goes_on_where_the_logs_part(broker: Broker) -> None:
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading:
        messages = iter(reading)
        assert [next(messages).offset for _ in range(4)] == [0, 1, 2, 3]
        cut_off(broker, "efg")
        assert [(m.offset, m.value) for m in (next(messages) for _ in range(3))] == [(2, b"e"), (3, b"f"), (4, b"g")]
        assert reading.position(LETTERS_0) == 5


def test_8_the_policy_error_raises_where_the_logs_part(broker: Broker) -> None:
    """Row 8: typed, with the numbers, once; the position has not moved, and a seek goes on."""
    heard: Heard = []
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", offset_reset="error", listeners=[heard.append], **FAST
    ) as reading:
        assert read(reading, 4) == "abcd"
        cut_off(broker, "efg")
        for _ in range(2):
            with pytest.raises(LogTruncated, match="cut off at 2, in leader epoch 0, below position 4") as caught:
                reading.poll(20)
            error = caught.value
            assert (error.topic, error.partition, error.offset, error.next_offset) == ("letters", 0, 4, 2)
            assert (error.divergent_offset, error.divergent_epoch) == (2, 0)
            assert reading.position(LETTERS_0) == 4
        assert reading.failures == {LETTERS_0: error}
        assert len(told(reading, heard, PartitionFailed)) == 1
        reading.seek(LETTERS_0, error.next_offset)
        assert read(reading, 3) == "efg"


async def test_8_the_async_face_raises_it_too(broker: Broker) -> None:
    async with AsyncConsumer[Any, Any](broker.bootstrap_servers, "letters", offset_reset="error", **FAST) as reading:
        messages = aiter(reading)
        assert [(await anext(messages)).value for _ in range(4)] == [b"a", b"b", b"c", b"d"]
        await asyncio.to_thread(cut_off, broker, "efg")
        with pytest.raises(LogTruncated) as caught:
            await anext(messages)
        await reading.seek(LETTERS_0, caught.value.next_offset)
        assert [(await anext(messages)).value for _ in range(3)] == [b"e", b"f", b"g"]


@pytest.mark.parametrize("policy", ["earliest", "latest", "error"])
@pytest.mark.parametrize("handed_out", [0, 1, 2])
def test_8_what_was_fetched_and_not_handed_out_is_dropped(broker: Broker, policy: Any, handed_out: int) -> None:
    """Nobody has read what is lost then: it is neither handed out nor an error, and the rest comes once."""
    heard: Heard = []
    with Consumer[Any, Any](
        broker.bootstrap_servers, "letters", offset_reset=policy, listeners=[heard.append], **FAST
    ) as reading:
        reading.ready()
        assert read(reading, handed_out, max_records=1) == "abcd"[:handed_out]
        wait_until(reading, lambda partition: partition.fetch_offset == 4)
        cut_off(broker, "efg")
        wait_until(reading, lambda partition: partition.shelf.cut is not None)
        assert read(reading, 5 - handed_out) == "abefg"[handed_out:]
        assert not told(reading, heard, PositionReset)
        assert not told(reading, heard, PartitionFailed)


def test_8_a_paused_partition_learns_of_it_when_it_is_resumed(broker: Broker) -> None:
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading:
        assert read(reading, 3, max_records=3) == "abc"
        reading.pause(LETTERS_0)
        cut_off(broker, "efg")
        wait_until(reading, lambda partition: partition.shelf.cut is not None)
        assert not reading.poll(0)
        reading.resume(LETTERS_0)
        assert read(reading, 3) == "efg"


def test_8_records_that_come_back_before_anybody_misses_them_are_no_loss(broker: Broker) -> None:
    """The old leader returns with all it had, and what was fetched is its log after all."""
    heard: Heard = []
    options = {**FAST, "offset_reset": "error", "metadata_max_age": 0.2}  # nothing is asked that would tell sooner
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", listeners=[heard.append], **options) as reading:
        assert read(reading, 1, max_records=1) == "a"
        wait_until(reading, lambda partition: partition.fetch_offset == 4)
        cut_off(broker, "e")
        wait_until(reading, lambda partition: partition.shelf.cut is not None)
        broker.stop(2)
        broker.start(1)
        broker.elect_leader("letters", 0, unclean=True)
        wait_until(reading, lambda partition: partition.shelf.cut is None and not partition.looking)
        write(broker, "f")
        assert read(reading, 4) == "bcdf"
        assert not told(reading, heard, PositionReset)


def test_8_a_seek_comes_before_what_was_cut_off(broker: Broker) -> None:
    """Who seeks meanwhile is where they wanted to be, and is not told of a loss."""
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", offset_reset="error", **FAST) as reading:
        assert read(reading, 4) == "abcd"
        cut_off(broker, "efg")
        wait_until(reading, lambda partition: partition.shelf.cut is not None)
        reading.seek(LETTERS_0, 1)
        assert read(reading, 4) == "befg"


def diverging(reading: Consumer[Any, Any], epoch: int, offset: int) -> Callable[[Any, Any], FetchResponse]:
    """Answer a Fetch as a broker does whose log parts there from what was fetched (KIP-595)."""
    view = reading._core._cluster.metadata.topic("letters")
    assert view is not None

    def answer(request: Any, _asked: Any) -> FetchResponse:
        told = FetchResponse.EpochEndOffset(epoch=epoch, end_offset=offset)
        data = FetchResponse.PartitionData(partition_index=0, high_watermark=4, diverging_epoch=told, records=b"")
        topic = FetchResponse.FetchableTopicResponse(topic_id=view.topic_id, partitions=[data])
        return FetchResponse(session_id=request.session_id, responses=[topic])

    return answer


def test_8_a_fetch_that_tells_where_logs_part_is_believed_when_the_leader_says_so_too(broker: Broker) -> None:
    heard: Heard = []
    with Consumer[Any, Any](broker.bootstrap_servers, "letters", listeners=[heard.append], **FAST) as reading:
        assert read(reading, 4) == "abcd"
        with broker.answer("Fetch", diverging(reading, 0, 2), times=1) as own:
            own.wait()
            write(broker, "e")
            assert read(reading, 1) == "e"
        assert not told(reading, heard, PositionReset)

        def end(_request: Any, asked: Any) -> Any:
            answer = asked.pass_on()
            answer.topics[0].partitions[0].end_offset = 3
            return answer

        with (
            broker.answer("OffsetForLeaderEpoch", end, times=1),
            broker.answer("Fetch", diverging(reading, 0, 3), times=1),
        ):
            assert read(reading, 2) == "de"
        (event,) = told(reading, heard, PositionReset)
        assert (event.before, event.after, event.divergent_offset) == (5, 3, 3)


def test_8_a_follower_whose_log_parts_from_what_was_read_is_left(seed: int) -> None:
    """It may lag behind, and have lost nothing: only the leader knows (KIP-392)."""
    rack_aware = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
    with (
        Broker(topics={"letters": 1}, nodes=2, racks=["north", "south"], configs=rack_aware, seed=seed) as broker,
        Consumer[Any, Any](broker.bootstrap_servers, "letters", rack="south", offset_reset="error", **FAST) as reading,
    ):
        write(broker, "abcd")
        assert read(reading, 4) == "abcd"
        broker.requests.wait_for("Fetch", where=lambda seen: seen.node == 2)
        with broker.answer("Fetch", diverging(reading, 0, 2), node=2, times=1) as own:
            own.wait()
            write(broker, "ef")
            assert read(reading, 2) == "ef"
        assert not questions(broker)


def test_8_what_a_follower_handed_out_is_held_against_the_next_leader(seed: int) -> None:
    """Records read from a follower count as any others, and the next leader names a replica anew (KIP-392)."""
    rack_aware = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}
    racks = ["north", "west", "south"]
    heard: Heard = []
    with (
        Broker(topics={"letters": 1}, nodes=3, racks=racks, configs=rack_aware, seed=seed) as broker,
        Consumer[Any, Any](
            broker.bootstrap_servers, "letters", rack="south", listeners=[heard.append], **FAST
        ) as reading,
    ):
        write(broker, "ab")
        broker.shrink_isr("letters", 0, 2)
        write(broker, "cd")
        assert read(reading, 4) == "abcd"
        broker.requests.wait_for("Fetch", where=lambda seen: seen.node == 3)
        broker.stop(1)
        broker.stop(3)
        broker.elect_leader("letters", 0, unclean=True)
        write(broker, "efg")
        assert read(reading, 3) == "efg"
        (event,) = told(reading, heard, PositionReset)
        assert (event.before, event.after, event.divergent_offset) == (4, 2, 2)
        broker.start(3)
        before = len(broker.requests.of("Fetch", node=3))
        broker.requests.wait_for("Fetch", count=before + 1, where=lambda seen: seen.node == 3)
        write(broker, "h")
        assert read(reading, 1) == "h"


# -- leaders that move and lose nothing -------------------------------------------------------------------------------


def questions(broker: Broker, after: int = 0) -> list[tuple[int, list[int]]]:
    """Return the node and the partitions of each question for the end of an epoch."""
    seen = broker.requests.of("OffsetForLeaderEpoch")[after:]
    return [(one.node, sorted(index for _, index in one.partitions)) for one in seen]


@pytest.mark.parametrize("how", ["stop", "move"])
def test_a_leader_that_moves_costs_one_small_request_and_nothing_else(how: str, seed: int) -> None:
    """One for all partitions that a leader takes over; nothing is read twice, and nothing is missed."""
    with (
        Broker(topics={"letters": 6}, nodes=3, seed=seed) as broker,
        Producer(broker.bootstrap_servers, **FAST) as producer,
        Consumer[Any, Any](broker.bootstrap_servers, "letters", offset_reset="error", **FAST) as reading,
    ):
        found: list[int] = []

        def more(first: int) -> None:
            for number in range(first, first + 120):
                producer.send("letters", b"%d" % number, partition=number % 6)
            producer.flush(20)
            while len(found) < first + 120:
                batch = reading.poll(20)
                assert batch
                found.extend(map(int, batch.values()))

        more(0)
        assert not questions(broker)
        led = [index for index in range(6) if broker.leader("letters", index) == 1]
        assert len(led) == 2
        if how == "stop":
            broker.stop(1)
        else:
            for index in led:
                broker.move_leader("letters", index, 2)
        leaders: dict[int, list[int]] = {}
        for index in led:
            leaders.setdefault(broker.leader("letters", index), []).append(index)
        more(120)
        if how == "stop":
            assert sorted(questions(broker)) == sorted(leaders.items())
        else:  # one after the other, and so the client may hear of it
            assert sorted(index for node, indexes in questions(broker) for index in indexes if node == 2) == led
        assert sorted(found) == list(range(240))
        assert not reading.poll(0.02)


def test_where_no_epoch_is_known_there_is_nothing_to_ask_for(seed: int) -> None:
    """After a seek to an offset, as with Java's consumer."""
    with (
        Broker(topics={"letters": 1}, nodes=3, seed=seed) as broker,
        Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading,
    ):
        write(broker, "abcd")
        assert read(reading, 4) == "abcd"
        reading.seek(LETTERS_0, 4)
        wait_until(reading, lambda partition: partition.shelf is partition.adopted)
        broker.move_leader("letters", 0, 2)
        write(broker, "e")
        assert read(reading, 1) == "e"
        assert not questions(broker)
        broker.move_leader("letters", 0, 3)
        write(broker, "f")
        assert read(reading, 1) == "f"
        assert questions(broker) == [(3, [0])]


def test_a_leader_that_does_not_say_holds_up_its_own_partitions_only(seed: int) -> None:
    with (
        Broker(topics={"letters": 3}, nodes=3, seed=seed) as broker,
        Producer(broker.bootstrap_servers, **FAST) as producer,
        Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading,
    ):

        def more(value: str, partitions: int = 3) -> str:
            for index in range(partitions):
                producer.send_and_wait("letters", value.encode(), partition=index)
            return read(reading, partitions)

        for index in range(3):
            broker.move_leader("letters", index, 1)
        assert more("a") == "aaa"
        with broker.faults.hold("OffsetForLeaderEpoch", node=3, times=None) as fault:
            broker.move_leader("letters", 1, 2)
            broker.move_leader("letters", 2, 3)
            fault.wait()
            for value in "bcd":
                assert more(value, 2) == 2 * value
            producer.send_and_wait("letters", b"last", partition=2)
        assert read(reading, 4) == "last"
        assert not reading.poll(0.02)


def test_a_leader_that_does_not_tell_where_to_begin_holds_up_its_own_partitions_only(seed: int) -> None:
    """Also where the partitions were named, and asked for before anybody knew who leads them."""
    with Broker(topics={"letters": 3}, nodes=3, seed=seed) as broker, Producer(broker.bootstrap_servers) as producer:
        for index in range(3):
            broker.move_leader("letters", index, index + 1)
            producer.send_and_wait("letters", b"%d" % index, partition=index)
        named = [("letters", index) for index in range(3)]
        with Consumer[Any, Any](broker.bootstrap_servers, partitions=named, **FAST) as reading:
            with broker.faults.hold("ListOffsets", node=3, times=None) as fault:
                fault.wait()
                assert sorted(read(reading, 2)) == ["0", "1"]
            assert read(reading, 1) == "2"


# -- answers that do not come, or say no ------------------------------------------------------------------------------

FAULTS: dict[str, Callable[[Broker], Any]] = {
    "late": lambda broker: broker.faults.delay(0.3, "OffsetForLeaderEpoch", times=2),
    "silence": lambda broker: broker.faults.half_open("OffsetForLeaderEpoch", times=2),
    "lost": lambda broker: broker.faults.drop("OffsetForLeaderEpoch", applied=True, times=3),
    "never asked": lambda broker: broker.faults.drop("OffsetForLeaderEpoch", times=3),
    "half of it": lambda broker: broker.faults.cut("OffsetForLeaderEpoch", times=3),
} | {
    code.name: lambda broker, code=code: broker.faults.error(code, "OffsetForLeaderEpoch", times=3)
    for code in (
        ErrorCode.NOT_LEADER_OR_FOLLOWER,
        ErrorCode.FENCED_LEADER_EPOCH,
        ErrorCode.UNKNOWN_LEADER_EPOCH,
        ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ErrorCode.OFFSET_NOT_AVAILABLE,
        ErrorCode.UNKNOWN_SERVER_ERROR,
    )
}


@pytest.mark.parametrize("fault", FAULTS)
def test_8_no_lost_or_refused_answer_hides_what_was_cut_off(broker: Broker, fault: str) -> None:
    """Row 8: it is asked again until a leader says, and nothing is fetched before."""
    options = {**FAST, "request_timeout": 0.5}
    with (
        Consumer[Any, Any](broker.bootstrap_servers, "letters", **options) as reading,
        Consumer[Any, Any](broker.bootstrap_servers, "letters", offset_reset="error", **options) as strict,
    ):
        assert read(reading, 4) == read(strict, 4) == "abcd"
        with FAULTS[fault](broker) as made:
            cut_off(broker, "efghi")
            assert read(reading, 5) == "efghi"
            with pytest.raises(LogTruncated) as caught:
                strict.poll(20)
            assert (caught.value.offset, caught.value.divergent_offset) == (4, 2)
            made.wait(count=2)


@pytest.mark.parametrize("fault", FAULTS)
def test_8_no_lost_or_refused_answer_costs_a_record_or_repeats_one(seed: int, fault: str) -> None:
    """Row 8: where nothing was cut off."""
    with (
        Broker(topics={"letters": 1}, nodes=3, seed=seed) as broker,
        Consumer[Any, Any](
            broker.bootstrap_servers, "letters", offset_reset="error", **FAST, request_timeout=0.5
        ) as reading,
    ):
        write(broker, "ab")
        assert read(reading, 2) == "ab"
        with FAULTS[fault](broker) as made:
            broker.move_leader("letters", 0, 2)
            write(broker, "cd")
            assert read(reading, 2) == "cd"
            made.wait()
        assert not reading.poll(0.02)


def test_a_reader_who_may_not_ask_is_told(broker: Broker) -> None:
    """A code that waiting does not mend stops the partition, as it does in an answer to Fetch."""
    with (
        Consumer[Any, Any](broker.bootstrap_servers, "letters", **FAST) as reading,
        broker.faults.error(ErrorCode.TOPIC_AUTHORIZATION_FAILED, "OffsetForLeaderEpoch"),
    ):
        assert read(reading, 4) == "abcd"
        cut_off(broker, "e")
        with pytest.raises(PartitionError, match="asking for the end of a leader epoch of letters-0") as caught:
            reading.poll(20)
        assert caught.value.offset == 4
        reading.seek(LETTERS_0, 2)
        assert read(reading, 1) == "e"


# -- whatever happens -------------------------------------------------------------------------------------------------


def lose_what_one_has_not(broker: Broker, random: Random) -> None:
    """Stop all nodes but the one that has least, and have that one lead; then start the others again."""
    state = broker.replication("letters", 0)
    survivor = min(state.replicas, key=lambda node: (state.ends[node], random.random()))
    others = [node for node in state.replicas if node != survivor]
    for node in others:
        broker.stop(node)
    if broker.leader("letters", 0) < 0:
        broker.elect_leader("letters", 0, unclean=True)
    if random.random() < 0.7:
        write(broker, f"{random.randrange(1000)},")
    for node in others:
        broker.start(node)


@pytest.mark.parametrize("policy", ["earliest", "error"])
@pytest.mark.parametrize("round_", range(ROUNDS))
def test_8_after_any_number_of_elections_exactly_the_log_was_read(round_: int, policy: Any, seed: int) -> None:
    """Row 8: at the end each record that exists was read, at its offset, and after what was lost had been told of.

    Replicas lag and catch up, leaders move with and without loss, questions are refused and lost, and the reader takes
    what there is in small and large pieces, or nothing for a while. Told of a loss, it begins anew where it is strict.
    """
    random = Random(seed * ROUNDS + round_)
    heard: Heard = []
    with (
        Broker(topics={"letters": 1}, nodes=3, seed=seed) as broker,
        Consumer[Any, Any](
            broker.bootstrap_servers,
            "letters",
            offset_reset=policy,
            listeners=[heard.append],
            **FAST,
            metadata_max_age=0.05,
            request_timeout=0.3,
            fetch_max_wait=0.1,
        ) as reading,
    ):
        found: dict[int, bytes] = {}
        refused: list[tuple[int, int, int, int]] = []
        backward = 0

        def take(timeout: float) -> None:
            nonlocal backward
            try:
                batch = reading.poll(timeout, max_records=random.choice((1, 2, 500)))
            except LogTruncated as error:
                refused.append((error.next_offset, error.divergent_offset, error.offset, max(found, default=-1) + 1))
                reading.seek(LETTERS_0, 0)
                found.clear()
                return
            for message in batch:
                backward += message.offset in found
                for gone in [offset for offset in found if offset >= message.offset]:
                    del found[gone]
                assert message.offset == max(found, default=-1) + 1
                found[message.offset] = message.value

        for _ in range(40):
            state = broker.replication("letters", 0)
            followers = [node for node in state.replicas if node != state.leader]
            match random.randrange(8):
                case 0 | 1:
                    write(broker, f"{random.randrange(1000)},")
                case 2 | 3:
                    broker.shrink_isr("letters", 0, random.choice(followers))
                case 4:
                    broker.grow_isr("letters", 0, random.choice(followers))
                case 5:
                    broker.move_leader("letters", 0, random.choice(state.in_sync))
                case 6:
                    lose_what_one_has_not(broker, random)
                case 7:
                    random.choice(list(FAULTS.values()))(broker)
            for _ in range(random.choice((0, 0, 1, 3))):
                take(random.choice((0, 0.02)))
        broker.faults.clear()
        write(broker, ".")
        log = {record.offset: record.value for record in broker.records("letters", 0)}
        deadline = time.monotonic() + 20
        while found != log:
            assert time.monotonic() < deadline, (found, log)
            take(0.1)
        resets = told(reading, heard, PositionReset)
        assert len(resets) >= (backward > 0)
        assert all(event.divergent_offset == event.after < event.before for event in resets)
        assert all(target == cut < offset == position for target, cut, offset, position in refused)
