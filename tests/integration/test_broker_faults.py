"""Faults on demand: each does what it says, to whom it says, as often as it says."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asking import SILENCE, Asker, batch
from felice.broker import Broker
from felice.broker.faults import KEPT
from felice.errors import ConfigError, ErrorCode, UsageError
from felice.wire.frames import encode_request
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.init_producer_id import InitProducerIdRequest
from felice.wire.messages.list_offsets import ListOffsetsRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.produce import ProduceRequest

METADATA = MetadataRequest(topics=None)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker with two topics."""
    with Broker(topics={"letters": 2, "diaries": 1}) as broker:
        yield broker


@pytest.fixture
def asker(broker: Broker) -> Iterator[Asker]:
    """A connection to it."""
    with Asker(broker.bootstrap_servers, "test") as asker:
        yield asker


def connect(broker: Broker, node: int) -> socket.socket:
    """A bare connection."""
    host, port = broker.nodes[node].split(":")
    return socket.create_connection((host, int(port)), 10)


def produced(asker: Asker, topic: str = "letters", partition: int = 0) -> object:
    """Write a record; return the error code, or silence."""
    answer = asker.produce(topic, batch(b"a"), partition=partition)
    return answer if answer == SILENCE else answer.responses[0].partition_responses[0].error_code


def written(broker: Broker, topic: str = "letters", partition: int = 0) -> int:
    """How many records there are."""
    return len(broker.records(topic, partition))


def test_an_error_code_hits_once_and_applies_nothing(broker: Broker, asker: Asker) -> None:
    """The next request gets the code, the one behind it does not."""
    fault = broker.faults.error(ErrorCode.NOT_LEADER_OR_FOLLOWER, "Produce")
    assert [produced(asker), produced(asker)] == [6, 0]
    assert (fault.count, fault.seen) == (1, 2)
    assert written(broker) == 1


def test_faults_hit_the_nth_request_and_as_many_as_asked(broker: Broker, asker: Asker) -> None:
    """Two pass, two are hit, the rest pass."""
    fault = broker.faults.error(ErrorCode.CORRUPT_MESSAGE, "Produce", nth=3, times=2)
    assert [produced(asker) for _ in range(6)] == [0, 0, 2, 2, 0, 0]
    assert fault.count == 2


def test_faults_without_end_are_removed(broker: Broker, asker: Asker) -> None:
    """With `times=None` every request is hit until the fault goes."""
    with broker.faults.error(ErrorCode.REQUEST_TIMED_OUT, "Produce", times=None) as fault:
        assert [produced(asker) for _ in range(3)] == [7, 7, 7]
    assert produced(asker) == 0
    assert fault.count == 3


def test_faults_find_their_topic_and_partition(broker: Broker, asker: Asker) -> None:
    """Other topics and partitions are not touched, also in the same request."""
    broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, "Produce", topic="letters", partition=1, times=None)
    assert [produced(asker, "diaries"), produced(asker), produced(asker, partition=1)] == [0, 0, 56]
    request = ProduceRequest(
        acks=-1,
        timeout_ms=1000,
        topic_data=[
            ProduceRequest.TopicProduceData(
                name="letters",
                partition_data=[ProduceRequest.PartitionProduceData(index=i, records=batch(b"a")) for i in (0, 1)],
            )
        ],
    )
    answer = asker.ask(request, 9)
    assert [partition.error_code for partition in answer.responses[0].partition_responses] == [0, 56]


def test_faults_find_their_client(broker: Broker, asker: Asker) -> None:
    """Only the client that is named is hit."""
    broker.faults.error(ErrorCode.CORRUPT_MESSAGE, "Produce", client_id="somebody else", times=None)
    assert produced(asker) == 0
    broker.faults.error(ErrorCode.CORRUPT_MESSAGE, "Produce", client_id="asker", times=None)
    assert produced(asker) == 2


def test_error_codes_on_every_kind_of_api(broker: Broker, asker: Asker) -> None:
    """Where an answer has a place for a code, a fault puts it there."""
    code = ErrorCode.UNKNOWN_SERVER_ERROR
    for api in ("Metadata", "Fetch", "ListOffsets", "InitProducerId", "FindCoordinator"):
        broker.faults.error(code, api)
    assert {topic.error_code for topic in asker.ask(METADATA, 9).topics} == {code}
    partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1)]
    request = FetchRequest(
        max_wait_ms=30_000, min_bytes=1, topics=[FetchRequest.FetchTopic(topic="letters", partitions=partitions)]
    )
    assert asker.ask(request, 11).responses[0].partitions[0].error_code == code
    asked = [ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-1)]
    offsets = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsRequest.ListOffsetsTopic(name="letters", partitions=asked)]
    )
    assert asker.ask(offsets, 5).topics[0].partitions[0].error_code == code
    init = InitProducerIdRequest(transactional_id=None, transaction_timeout_ms=1)
    assert asker.ask(init, 4).error_code == code
    assert asker.ask(FindCoordinatorRequest(key="k"), 2).error_code == code


def test_session_errors_stand_over_the_whole_answer(broker: Broker, asker: Asker) -> None:
    """A fetch session that is lost is an error of the request."""
    broker.faults.error(ErrorCode.FETCH_SESSION_ID_NOT_FOUND, "Fetch")
    answer = asker.ask(FetchRequest(max_wait_ms=0, min_bytes=0), 11)
    assert (answer.error_code, answer.responses) == (70, [])


def test_a_dropped_request_is_not_applied(broker: Broker, asker: Asker) -> None:
    """The connection closes, and nothing was written."""
    fault = broker.faults.drop("Produce")
    assert produced(asker) == SILENCE
    assert fault.count == 1
    assert written(broker) == 0
    assert produced(asker) == 0


def test_a_dropped_answer_was_applied(broker: Broker, asker: Asker) -> None:
    """The connection closes, and the record is there: the client cannot know."""
    broker.faults.drop("Produce", applied=True)
    assert produced(asker) == SILENCE
    assert written(broker) == 1


def test_a_cut_answer(broker: Broker, asker: Asker) -> None:
    """A part of the answer comes, then the end."""
    fault = broker.faults.cut("Metadata", keep=0.5)
    assert asker.ask(METADATA, 9) == SILENCE
    assert fault.count == 1
    assert asker.ask(METADATA, 9).topics


@pytest.mark.parametrize("applied", [False, True])
def test_a_delay_comes_before_or_behind_the_request(broker: Broker, asker: Asker, applied: bool) -> None:
    """A client that gives up in the meantime has written in the second case only."""
    fault = broker.faults.delay(0.1, "Produce", applied=applied)
    with ThreadPoolExecutor() as pool:
        started = time.perf_counter()
        answer = pool.submit(produced, asker)
        fault.wait()
        broker.requests.wait_for("Produce")
        assert written(broker) == applied
        assert answer.result(10) == 0
        assert time.perf_counter() - started >= 0.1
    assert written(broker) == 1


def test_a_client_that_leaves_during_a_delay_has_not_written(broker: Broker, asker: Asker) -> None:
    """A request that is not applied yet goes with its connection."""
    fault = broker.faults.hold("Produce")
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(produced, asker)
        fault.wait()
        broker.stop(1)
        broker.start(1)
        assert answer.result(10) == SILENCE
    fault.remove()
    assert written(broker) == 0


def test_a_held_request_is_applied_when_it_is_let_go(broker: Broker, asker: Asker) -> None:
    """Meanwhile its connection waits, and others do not."""
    fault = broker.faults.hold("Produce")
    with ThreadPoolExecutor() as pool, Asker(broker.bootstrap_servers, "") as other:
        answer = pool.submit(produced, asker)
        fault.wait()
        assert produced(other) == 0
        assert not answer.done()
        fault.remove()
        assert answer.result(10) == 0
    assert written(broker) == 2


def test_a_frozen_node_answers_nothing_until_thawed(broker: Broker, asker: Asker) -> None:
    """Connections open, bytes are taken by the kernel, and nothing comes back; then everything does."""
    produced(asker)
    with ThreadPoolExecutor() as pool, Asker(broker.bootstrap_servers, "") as newcomer:
        with broker.faults.freeze(1):
            seen = broker.requests.count
            answers = [pool.submit(produced, asker), pool.submit(produced, newcomer)]
            with pytest.raises(TimeoutError):
                answers[0].result(0.1)
            assert broker.requests.count == seen
            assert not answers[1].done()
        assert [answer.result(10) for answer in answers] == [0, 0]
    assert written(broker) == 3


def test_a_freeze_keeps_back_the_answer_of_a_waiting_poll(broker: Broker, asker: Asker) -> None:
    """What was being waited for inside is done, but its answer stays until the thaw."""
    partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1000)]
    request = FetchRequest(
        max_wait_ms=50, min_bytes=1, topics=[FetchRequest.FetchTopic(topic="letters", partitions=partitions)]
    )
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(asker.ask, request, 11)
        broker.requests.wait_for("Fetch")
        with broker.faults.freeze(), pytest.raises(TimeoutError):
            answer.result(0.2)
        assert answer.result(10).responses


def test_a_frozen_node_does_not_even_hang_up(broker: Broker) -> None:
    """What ends a connection waits for the thaw too."""
    held = broker.faults.hold("Metadata")
    broker.faults.drop("Metadata")
    with connect(broker, 1) as sock:
        sock.sendall(b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare"))))
        held.wait()
        with broker.faults.freeze():
            held.remove()
            broker.wait_until(lambda: True)
            sock.settimeout(0.2)
            with pytest.raises(TimeoutError):
                sock.recv(1)
        sock.settimeout(10)
        assert sock.recv(1) == b""


def test_faults_for_one_node_leave_the_others() -> None:
    """In a cluster a fault finds its node."""
    with Broker(topics={"letters": 2}, nodes=2) as broker:
        broker.faults.drop("Metadata", node=1, times=None)
        first, second = broker.bootstrap_servers.split(",")
        with Asker(first, "") as one, Asker(second, "") as two:
            assert one.ask(METADATA, 9) == SILENCE
            assert two.ask(METADATA, 9).topics


def test_a_node_is_frozen_and_refuses_as_long_as_any_fault_says_so() -> None:
    """Where two faults are about one node, the end of one does not end the other."""
    with Broker(nodes=2) as broker, Asker(broker.nodes[1], "test") as asker:
        everywhere, here = broker.faults.freeze(), broker.faults.freeze(1)
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(asker.ask, METADATA, 9)
            everywhere.remove()
            with Asker(broker.nodes[2], "test") as other:
                assert other.ask(METADATA, 9)
            with pytest.raises(TimeoutError):
                answer.result(0.2)
            here.remove()
            assert answer.result(10)
        refusing = [broker.faults.refuse(1), broker.faults.refuse()]
        for fault in refusing:
            with pytest.raises(ConnectionRefusedError):
                connect(broker, 1)
            fault.remove()
        connect(broker, 1).close()


def test_a_node_that_starts_or_comes_while_all_refuse_refuses_too() -> None:
    """A fault about all nodes is about those, too, that are not up yet."""
    with Broker(nodes=2) as broker:
        broker.stop(2)
        with broker.faults.refuse():
            broker.start(2)
            added = broker.add_node()
            for node in (2, added):
                with pytest.raises(ConnectionRefusedError):
                    connect(broker, node)
        for node in (2, added):
            connect(broker, node).close()


def test_a_fault_about_a_node_that_is_not_there_is_none(broker: Broker) -> None:
    """What is refused leaves nothing behind."""
    with pytest.raises(UsageError):
        broker.faults.freeze(7)
    assert (broker.faults.active, broker.faults.history) == ((), [])


@pytest.mark.parametrize("wrong", [{"nodes": 1}, {"nth": 0}, {"times": -1}, {"chance": 1.5}], ids=str)
def test_a_target_that_cannot_be_is_refused(broker: Broker, wrong: dict[str, Any]) -> None:
    """And not taken for one that hits everything."""
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        broker.faults.drop("Produce", **wrong)
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        broker.answer("Produce", lambda request, asked: None, **wrong)


def test_what_was_waited_for_is_let_go_of(broker: Broker) -> None:
    """A fault keeps nothing of clients that left while it held them, nor of a cluster that it shows no more."""
    held = broker.faults.hold("Metadata", times=None)
    for number in range(3):
        with connect(broker, 1) as sock:
            sock.sendall(b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare"))))
            held.wait(count=number + 1)
    broker.wait_until(lambda: not held._on_removal)
    stale = broker.faults.stale_metadata()
    stale.remove()
    assert not stale.details["picture"]


def test_a_spent_fault_is_not_active(broker: Broker, asker: Asker) -> None:
    """It goes on counting what it sees, and the history has it; what lasts until its removal is active until then."""
    faults = broker.faults
    once = faults.error(ErrorCode.CORRUPT_MESSAGE, "Produce")
    always = faults.error(ErrorCode.CORRUPT_MESSAGE, "Fetch", times=None)
    never = faults.drop("Fetch", times=0)
    assert faults.active == (once, always)
    assert [produced(asker), produced(asker)] == [ErrorCode.CORRUPT_MESSAGE, 0]
    assert (once.count, once.seen, once.is_spent) == (1, 2, True)
    assert (faults.active, faults.history) == ((always,), [once, always, never])
    with faults.stale_metadata(times=1) as stale, faults.freeze(1) as frozen:
        assert faults.active == (always, stale, frozen)
    asker.ask(METADATA, 9)
    with faults.hold("Metadata") as held, faults.stale_metadata(times=1) as stale, connect(broker, 1) as sock:
        sock.sendall(b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare"))))
        held.wait()
        assert (faults.active, stale.is_spent) == ((always, held), True)
    assert faults.active == (always,)
    faults.clear()
    assert (faults.active, faults.present) == ((), ())


def test_the_history_is_bounded(broker: Broker) -> None:
    """A broker that lives for long does not remember all faults there ever were."""
    for _ in range(KEPT + 1):
        latest = broker.faults.drop("Produce", times=0)
    assert len(broker.faults.history) == KEPT
    assert broker.faults.history[-1] is latest


def test_faults_that_come_together_all_do_what_they_do(broker: Broker, asker: Asker) -> None:
    """An answer can be both throttled and crossed, in any order."""
    for add in (
        lambda: (broker.faults.throttle(0.3, "Metadata"), broker.faults.cross("Metadata")),
        lambda: (broker.faults.cross("Metadata"), broker.faults.throttle(0.3, "Metadata")),
    ):
        add()
        with connect(broker, 1) as sock:
            asked = b"".join(map(bytes, encode_request(METADATA, 9, 7, "bare")))
            sock.sendall(asked)
            assert int.from_bytes(sock.recv(65536)[4:8], "big") == 8
            started = time.perf_counter()
            sock.sendall(asked)
            assert int.from_bytes(sock.recv(65536)[4:8], "big") == 7
            assert time.perf_counter() - started > 0.2


def test_topics_cannot_be_aimed_at_where_none_are_named(broker: Broker) -> None:
    """Such a fault would never hit, and a test would wait for it."""
    with pytest.raises(ConfigError, match="JoinGroup names no topics"):
        broker.faults.error(ErrorCode.REBALANCE_IN_PROGRESS, "JoinGroup", topic="letters")
    assert broker.faults.history == []
    broker.faults.drop(topic="letters")


def test_an_api_that_is_not_there_is_named() -> None:
    """A wrong name is told at once, with the right ones."""
    with Broker() as broker, pytest.raises(ConfigError, match="Produce"):
        broker.faults.drop("Prodce")


def test_an_error_code_that_is_none_is_refused(broker: Broker) -> None:
    """Most likely the arguments have changed places, so the error has an example."""
    with pytest.raises(ConfigError, match=r"'Produce' is no error code \(the code comes first, as in error\(ErrorCode"):
        broker.faults.error("Produce", ErrorCode.NOT_LEADER_OR_FOLLOWER)  # type: ignore[arg-type]


def test_all_faults_can_be_cleared_and_are_remembered(broker: Broker, asker: Asker) -> None:
    """For the output of a test that fails, the history says what was done to whom."""
    broker.faults.error(ErrorCode.CORRUPT_MESSAGE, "Produce", topic="letters", times=None)
    produced(asker)
    broker.faults.clear()
    assert produced(asker) == 0
    assert repr(broker.faults.history) == (
        "[<fault error CORRUPT_MESSAGE on api='Produce', topic='letters': hit 1 of 1>]"
    )
