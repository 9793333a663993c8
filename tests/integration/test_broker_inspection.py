"""What a test can look at in the embedded broker and wait for: requests with their answers, records, groups."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from asking import SILENCE, Asker, batch
from felice.broker import Broker
from felice.errors import ClosedError, ConfigError, ErrorCode, UsageError
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.messages.offset_commit import OffsetCommitRequest
from felice.wire.messages.produce import ProduceRequest

METADATA = MetadataRequest(topics=None)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A broker of two nodes."""
    with Broker(topics={"letters": 2, "diaries": 1}, nodes=2) as broker:
        yield broker


@pytest.fixture
def asker(broker: Broker) -> Iterator[Asker]:
    """A connection to its first node, which leads all but the second partition of `letters`."""
    with Asker(broker.bootstrap_servers, "test") as asker:
        yield asker


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    """Threads that wait."""
    with ThreadPoolExecutor() as pool:
        yield pool


def fetch(wait: int, *, session: int = 0, epoch: int = -1) -> FetchRequest:
    """A request for the records of `letters`."""
    partitions = [FetchRequest.FetchPartition(partition=0, fetch_offset=0, partition_max_bytes=1 << 20)]
    return FetchRequest(
        max_wait_ms=wait,
        min_bytes=1,
        session_id=session,
        session_epoch=epoch,
        topics=[FetchRequest.FetchTopic(topic="letters", partitions=partitions)] if epoch <= 0 else [],
    )


# --- requests and answers ---


def test_the_log_has_the_messages_and_the_times(broker: Broker, asker: Asker) -> None:
    """A request can be read as what it was, and so can its answer; records are in both."""
    answer = asker.produce("letters", batch(b"a", b"b"))
    (seen,) = broker.requests.of("Produce")
    assert isinstance(seen.request, ProduceRequest)
    assert seen.request.topic_data[0].partition_data[0].records == batch(b"a", b"b")
    assert seen.response == answer
    assert seen.took is not None
    assert 0 <= seen.took < 10
    assert seen.arrived <= broker.clock.monotonic()
    asker.ask(fetch(0), 11)
    assert broker.requests.of("Fetch")[0].response.responses[0].partitions[0].records[61:] == batch(b"a", b"b")[61:]


def test_a_request_without_acks_is_done_without_an_answer(broker: Broker, asker: Asker) -> None:
    """It took some time, and nothing came of it."""
    asker.produce("letters", batch(b"a"), acks=0)
    (seen,) = broker.requests.of("Produce")
    assert seen.answered is not None
    assert seen.response is None
    assert "done in" in repr(seen)


def test_a_request_that_waits_has_no_answer_yet(broker: Broker, asker: Asker, pool: ThreadPoolExecutor) -> None:
    """A long poll stands in the log at once, and gets its answer when it has one."""
    answer = pool.submit(asker.ask, fetch(30_000), 11)
    seen = broker.requests.wait_for("Fetch")
    assert (seen.response, seen.answered, seen.took) == (None, None, None)
    assert "not answered" in repr(seen)
    with Asker(broker.bootstrap_servers, "") as other:
        other.produce("letters", batch(b"a"))
    assert answer.result(10) == broker.requests.wait_for("Fetch", where=lambda seen: seen.response).response


def test_requests_are_found_by_what_they_are_about(broker: Broker, asker: Asker) -> None:
    """Topic, partition, client, node, place in the log, and whatever can be told of a message."""
    asker.produce("letters", batch(b"a"))
    asker.produce("diaries", batch(b"a"))
    asker.produce("letters", batch(b"a"), partition=1)
    of = broker.requests.of
    assert [seen.number for seen in of("Produce", topic="letters")] == [1, 3]
    assert [seen.number for seen in of("Produce", topic="letters", partition=1)] == [3]
    assert [seen.number for seen in of(topic="diaries")] == [2]
    assert [seen.number for seen in of(client_id="asker", after=1)] == [2, 3]
    assert of(client_id="nobody") == of(node=2) == []
    refused = of(where=lambda seen: seen.response.responses[0].partition_responses[0].error_code)
    assert [seen.number for seen in refused] == [3]  # which the second node leads
    assert next(iter(broker.requests)).partitions == {("letters", 0)}


def test_a_fetch_is_about_what_its_session_reads(broker: Broker, asker: Asker) -> None:
    """A request within a session names nothing, and is found by its topic all the same."""
    session = asker.ask(fetch(0, epoch=0), 11).session_id
    asker.ask(fetch(0, session=session, epoch=1), 11)
    assert len(broker.requests.of("Fetch", topic="letters", partition=0)) == 2
    assert broker.requests.of("Fetch", topic="diaries") == []


def test_the_log_can_be_read_when_the_broker_is_gone() -> None:
    """A test that fails looks at it then."""
    with Broker(topics={"letters": 1}) as broker, Asker(broker.bootstrap_servers, "") as asker:
        asker.produce("letters", batch(b"a"))
    assert [seen.request.acks for seen in broker.requests.of(topic="letters")] == [-1]


def test_faults_and_failures_stand_beside_requests(
    broker: Broker, asker: Asker, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What hit a request is told with it, and what the broker itself failed of."""
    fault = broker.faults.drop("Metadata")
    assert asker.ask(METADATA, 9) == SILENCE
    (seen,) = broker.requests.of("Metadata")
    assert seen.faults == (fault,)
    assert "drop on api='Metadata'" in repr(seen)
    assert "not answered" in repr(seen)

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr("felice.broker.handlers.metadata.HANDLER", None)
    from felice.broker.handlers import HANDLERS

    monkeypatch.setitem(HANDLERS._loaded, 3, HANDLERS[3]._replace(handle=fail))  # type: ignore[attr-defined]
    assert asker.ask(METADATA, 9) == SILENCE
    assert isinstance(broker.requests.of("Metadata")[1].error, ZeroDivisionError)
    assert "a defect" in repr(broker.requests.of("Metadata")[1])
    assert "its request failed" in caplog.text


def test_a_request_describes_itself(broker: Broker, asker: Asker) -> None:
    """One line has what one looks for: who asked what, and what came of it. Records are told by their size."""
    asker.produce("letters", batch(b"a" * 100))
    text = repr(broker.requests.of("Produce")[0])
    assert text.startswith("<request 1: Produce v9 from 'asker' to node 1, answered in ")
    assert "name='letters'" in text
    assert "records=<" in text
    assert "-> ProduceResponse(responses=[TopicProduceResponse(name='letters', " in text
    asker.ask(MetadataRequest(topics=[MetadataRequest.Topic(name=f"topic-{n}") for n in range(100)]), 9)
    assert len(repr(broker.requests.of("Metadata")[0])) < 1000


def test_the_log_holds_some_megabytes_and_no_more(broker: Broker, asker: Asker) -> None:
    """Of large messages the latest are kept; of the others remains that they were there, and small ones stay."""
    asker.ask(METADATA, 9)
    large = batch(b"x" * 1_000_000)
    for _ in range(20):
        asker.produce("letters", large)
    asker.ask(fetch(0), 11)
    seen = broker.requests.of("Produce")
    assert len(seen) == 20
    assert seen[0].request is None
    assert "(let go)" in repr(seen[0])
    assert seen[0].response is not None
    assert seen[0].partitions == frozenset()
    assert seen[-1].request.topic_data[0].name == "letters"
    assert isinstance(broker.requests.of("Metadata")[0].response, MetadataResponse)
    held = [each.size for each in seen if each.request is not None]
    assert len(held) >= 5
    assert sum(held) <= 16 * 1024 * 1024


def test_waiting_in_vain_tells_what_came_instead(broker: Broker, asker: Asker) -> None:
    """The error has the latest requests of the API."""
    asker.produce("diaries", batch(b"a"))
    with pytest.raises(TimeoutError, match=r"0 of 1 Produce requests .*within 0\.01 s.*\n.*name='diaries'"):
        broker.requests.wait_for("Produce", 0.01, topic="letters")
    with pytest.raises(TimeoutError, match=r"0 of 1 Fetch requests that are looked for came within 0\.01 s$"):
        broker.requests.wait_for("Fetch", 0.01)


async def test_requests_are_awaited_without_blocking(broker: Broker) -> None:
    """In asyncio the test's loop goes on."""
    waiting = asyncio.ensure_future(broker.requests.wait_for_async("Metadata", client_id="asker"))
    with Asker(broker.bootstrap_servers, "") as asker:
        await asyncio.to_thread(asker.ask, METADATA, 9)
    assert (await waiting).api == "Metadata"


def test_an_api_that_is_not_there_is_not_waited_for(broker: Broker) -> None:
    """A slip is told at once."""
    with pytest.raises(ConfigError, match="there is no API 'Prodce'"):
        broker.requests.wait_for("Prodce")
    with pytest.raises(ConfigError, match="there is no API 'Prodce'"):
        broker.requests.of("Prodce")


def test_waiting_in_vain_for_records_tells_where_there_is_no_topic(broker: Broker) -> None:
    """It may still have come; but perhaps its name is wrong."""
    with pytest.raises(TimeoutError, match="0 of 1 records came to nowhere within 0 s; there is no such topic"):
        broker.wait_for_records("nowhere", 1, timeout=0)
    with pytest.raises(TimeoutError, match=r"0 of 1 records came to letters within 0 s$"):
        broker.wait_for_records("letters", 1, timeout=0)


def test_the_log_is_read_while_it_is_written(broker: Broker, pool: ThreadPoolExecutor) -> None:
    """Readers in other threads see whole entries, in order."""
    done = threading.Event()

    def write() -> None:
        with Asker(broker.bootstrap_servers, "") as asker:
            for _ in range(300):
                asker.ask(METADATA, 9)

    def read() -> int:
        looks = 0
        while not done.is_set():
            numbers = [seen.number for seen in broker.requests.of("Metadata", where=lambda seen: seen.request)]
            assert numbers == sorted(set(numbers))
            looks += 1
        return looks

    readers = [pool.submit(read) for _ in range(2)]
    for writer in [pool.submit(write) for _ in range(2)]:
        writer.result(60)
    done.set()
    assert all(reader.result(10) for reader in readers)
    assert broker.requests.count == 600


# --- waiting for anything else ---


def test_records_are_waited_for(broker: Broker, asker: Asker, pool: ThreadPoolExecutor) -> None:
    """Of a partition or a whole topic, however they come; what is returned is all there is."""
    waiting = pool.submit(broker.wait_for_records, "letters", 3, 0)
    for value in (b"a", b"b", b"c"):
        asker.produce("letters", batch(value))
    assert [record.value for record in waiting.result(10)] == [b"a", b"b", b"c"]
    assert [record.offset for record in broker.wait_for_records("letters", 2)] == [0, 1, 2]
    assert broker.wait_for_records("diaries", 0) == []
    with pytest.raises(TimeoutError, match=r"3 of 4 records came to letters within 0\.01 s"):
        broker.wait_for_records("letters", 4, timeout=0.01)


def test_records_of_a_topic_that_is_not_there_yet(broker: Broker, pool: ThreadPoolExecutor) -> None:
    """A program may create its topic when it first writes."""
    waiting = pool.submit(broker.wait_for_records, "new", 1)
    broker.create_topic("new", 1)
    with Asker(broker.bootstrap_servers, "") as asker:
        asker.produce("new", batch(b"a"))
    assert [record.value for record in waiting.result(10)] == [b"a"]


async def test_records_and_states_are_awaited_without_blocking(broker: Broker) -> None:
    """In asyncio the test's loop goes on."""
    waiting = asyncio.ensure_future(broker.wait_for_records_async("letters", 1))
    ends = asyncio.ensure_future(broker.wait_until_async(lambda: broker.offsets("letters", 0)[1]))
    with Asker(broker.bootstrap_servers, "") as asker:
        await asyncio.to_thread(asker.produce, "letters", batch(b"a"))
    assert [record.value for record in await waiting] == [b"a"]
    assert await ends == 1


def commit(broker: Broker, offset: int) -> None:
    """Commit an offset of the first partition for the group of readers."""
    asked = OffsetCommitRequest.Partition(partition_index=0, committed_offset=offset)
    topic = OffsetCommitRequest.Topic(name="letters", partitions=[asked])
    node = broker.coordinator(group="readers")
    with Asker(broker.bootstrap_servers.split(",")[node - 1], "") as coordinator:
        answer = coordinator.ask(OffsetCommitRequest(group_id="readers", topics=[topic]), 8)
    assert answer.topics[0].partitions[0].error_code == 0


def test_groups_and_their_offsets_are_values(broker: Broker, pool: ThreadPoolExecutor) -> None:
    """A commit is waited for; what was looked at does not change with the next one."""
    committed = pool.submit(broker.wait_until, lambda: broker.groups["readers"].offsets["letters", 0].offset)
    commit(broker, 7)
    assert committed.result(10) == 7
    before = broker.groups["readers"]
    commit(broker, 9)
    assert before.offsets["letters", 0].offset == 7
    assert broker.groups["readers"].offsets["letters", 0].offset == 9
    assert (before.id, before.kind, before.state, before.members) == ("readers", "classic", "Empty", ())


def test_a_question_is_asked_when_something_happens_only(broker: Broker, asker: Asker) -> None:
    """While nothing happens nobody asks; what the question itself looks at is nothing that happens."""
    asked = 0

    def ask() -> bool:
        nonlocal asked
        asked += 1
        return bool(broker.topics and asked < 0)

    with pytest.raises(TimeoutError):
        broker.wait_until(ask, 0.2)
    assert asked == 1


def test_time_that_passes_is_something_that_happens(broker: Broker, pool: ThreadPoolExecutor) -> None:
    """Advancing the clock lets questions be asked again."""
    end = broker.clock.monotonic() + 100
    waiting = pool.submit(broker.wait_until, lambda: broker.clock.monotonic() >= end)
    broker.clock.advance(100)
    assert waiting.result(10) is True


def test_what_a_question_raises_is_raised(broker: Broker) -> None:
    """An error ends the waiting; but a key that is missing may come, and is named when it does not."""
    with pytest.raises(ZeroDivisionError):
        broker.wait_until(lambda: 1 / 0)
    with pytest.raises(TimeoutError) as raised:
        broker.wait_until(lambda: broker.groups["nobody"], 0.01)
    assert "'nobody'" in str(raised.value.__cause__)


def test_who_looks_for_a_group_that_is_not_there_is_told_which_are(broker: Broker) -> None:
    """Likewise for transactional IDs."""
    nothing = (lambda: broker.lag("nobody"), lambda: broker.groups["nobody"], lambda: broker.transactions["nobody"])
    for look in nothing:
        with pytest.raises(KeyError, match="'nobody', but none at all"):
            look()
    commit(broker, 7)
    for look in nothing[:2]:
        with pytest.raises(KeyError, match="there is no group 'nobody', but 'readers'"):
            look()
    assert broker.groups.get("nobody") is None


def test_waiting_on_the_brokers_own_loop_is_refused(broker: Broker) -> None:
    """It would never end."""
    with pytest.raises(UsageError):
        broker.wait_until(lambda: broker.wait_until(lambda: True))


def test_who_waits_is_sent_away_when_the_broker_closes(pool: ThreadPoolExecutor) -> None:
    """Nobody waits for a broker that is gone."""
    begun = threading.Event()

    def ask() -> None:
        begun.set()

    with Broker() as broker:
        waiting = pool.submit(broker.wait_until, ask, 60)
        assert begun.wait(10)
    with pytest.raises(ClosedError):
        waiting.result(10)


def test_errors_of_the_broker_reach_the_log(broker: Broker, asker: Asker) -> None:
    """An answer that says no is an answer."""
    broker.faults.error(ErrorCode.NOT_LEADER_OR_FOLLOWER, "Produce")
    asker.produce("letters", batch(b"a"))
    (seen,) = broker.requests.of("Produce", where=lambda seen: seen.faults)
    assert seen.response.responses[0].partition_responses[0].error_code == 6
