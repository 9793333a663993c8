"""Requests that a test answers itself, in the embedded broker's place."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asking import SILENCE, Asker, batch
from felice.broker import AskedRequest, Broker
from felice.errors import ConfigError, UsageError
from felice.wire.messages.api_versions import ApiVersionsRequest
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse

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


def test_an_own_answer_goes_out_once(broker: Broker, asker: Asker) -> None:
    """The client gets it, the log has it, and the next request is the broker's again."""
    own = broker.answer("Metadata", lambda request, asked: MetadataResponse(cluster_id="mine"))
    assert asker.ask(METADATA, 9).cluster_id == "mine"
    assert asker.ask(METADATA, 9).cluster_id != "mine"
    assert (own.count, own.seen) == (1, 2)
    assert repr(own) == "<own answer to api='Metadata': asked 1 of 2>"
    first = broker.requests.of("Metadata")[0]
    assert first.response.cluster_id == "mine"
    assert first.faults == (own,)
    assert own in broker.faults.history


def test_it_is_asked_about_what_it_targets(broker: Broker, asker: Asker) -> None:
    """Targets are those of faults; the function sees the request, its version and who sent it."""
    heard: list[tuple[str, int, str | None]] = []

    def listen(request: Any, asked: AskedRequest) -> None:
        heard.append((request.topic_data[0].name, asked.seen.version, asked.seen.client_id))

    with broker.answer("Produce", listen, topic="letters", nth=2, times=None):
        for topic in ("letters", "diaries", "letters", "letters"):
            asker.produce(topic, batch(b"a"))
    asker.produce("letters", batch(b"a"))
    assert heard == [("letters", 9, "asker")] * 2
    assert len(broker.records("letters", 0)) == 4  # None leaves it to the broker


def test_the_brokers_answer_can_be_changed(broker: Broker, asker: Asker) -> None:
    """A function may have the broker answer, and alter that; it is applied once."""

    def slow_down(request: Any, asked: AskedRequest) -> Any:
        response = asked.pass_on()
        response.throttle_time_ms = 1234
        return response

    broker.answer("Produce", slow_down)
    assert asker.produce("letters", batch(b"a")).throttle_time_ms == 1234
    assert len(broker.records("letters", 0)) == 1


def test_what_was_passed_on_is_not_applied_again(broker: Broker, asker: Asker) -> None:
    """A function that only looks at the broker's answer returns nothing."""
    answers = []
    broker.answer("Produce", lambda request, asked: answers.append(asked.pass_on()))
    assert asker.produce("letters", batch(b"a")) == answers[0]
    assert len(broker.records("letters", 0)) == 1


def test_a_body_may_be_bytes(broker: Broker, asker: Asker) -> None:
    """The header before it is the broker's: with tagged fields where the version has them, but for ApiVersions."""
    body = b"".join(MetadataResponse(cluster_id="raw").encode(9))
    broker.answer("Metadata", lambda request, asked: body)
    assert asker.ask(METADATA, 9).cluster_id == "raw"
    hello = ApiVersionsRequest(client_software_name="a", client_software_version="1")
    raw = b"".join(asker.ask(hello, 3).encode(3))
    broker.answer("ApiVersions", lambda request, asked: raw)
    assert asker.ask(hello, 3).api_keys
    broker.answer("Metadata", lambda request, asked: b"nonsense")
    with pytest.raises(Exception, match="MetadataResponse"):
        asker.ask(METADATA, 9)
    assert broker.requests.of("Metadata")[-1].response is None


def test_a_function_may_wait_and_ask_the_broker(broker: Broker, asker: Asker) -> None:
    """Only its own connection waits for it: the broker goes on."""
    go = threading.Event()

    def wait(request: Any, asked: AskedRequest) -> MetadataResponse:
        assert go.wait(10)
        return MetadataResponse(cluster_id=",".join(broker.topics))

    own = broker.answer("Metadata", wait)
    with ThreadPoolExecutor() as pool, Asker(broker.bootstrap_servers, "") as other:
        answer = pool.submit(asker.ask, METADATA, 9)
        own.wait()
        assert other.ask(METADATA, 9).topics
        assert not answer.done()
        go.set()
        assert answer.result(10).cluster_id == "letters,diaries"


def test_no_answer_goes_out_where_none_is_wanted(broker: Broker, asker: Asker) -> None:
    """A Produce without acks gets none, whatever the function gives."""
    broker.answer("Produce", lambda request, asked: asked.pass_on() or b"something")
    assert asker.produce("letters", batch(b"a"), acks=0) == "open"
    assert len(broker.records("letters", 0)) == 1


def test_an_error_closes_the_connection_and_reaches_the_test(
    broker: Broker, asker: Asker, caplog: pytest.LogCaptureFixture
) -> None:
    """What a function raises is logged, and raised where the test says that it ends."""

    def fail(request: Any, asked: AskedRequest) -> None:
        raise AssertionError("not what was expected")

    with pytest.raises(AssertionError, match="not what was expected"), broker.answer("Metadata", fail, times=2):
        assert [asker.ask(METADATA, 9), asker.ask(METADATA, 9)] == [SILENCE, SILENCE]
    assert "not what was expected" in caplog.text
    assert isinstance(broker.requests.of("Metadata")[0].error, AssertionError)
    assert asker.ask(METADATA, 9).topics


@pytest.mark.parametrize("end", ["close", "reset"])
def test_an_error_is_raised_at_the_end_at_the_latest(end: str) -> None:
    """Where the answer was not a context manager the broker's end, or its reset, raises."""
    broker = Broker(topics={"letters": 1}).start()
    with Asker(broker.bootstrap_servers, "") as asker:
        broker.answer("Metadata", lambda request, asked: 1 / 0)  # type: ignore[arg-type,return-value]
        assert asker.ask(METADATA, 9) == SILENCE
        with pytest.raises(ZeroDivisionError):
            getattr(broker, end)()
    broker.close()


def test_a_failing_test_keeps_its_own_error() -> None:
    """The function's does not take its place."""

    def test() -> None:
        with Broker() as broker, Asker(broker.bootstrap_servers, "") as asker:
            broker.answer("Metadata", lambda request, asked: 1 / 0)  # type: ignore[arg-type,return-value]
            asker.ask(METADATA, 9)
            raise KeyError("the test's")

    with pytest.raises(KeyError, match="the test's"):
        test()


def test_what_is_no_answer_is_named(broker: Broker, asker: Asker) -> None:
    """A wrong type, another API's response, an API that is not there."""
    with pytest.raises(UsageError, match="MetadataResponse"), broker.answer("Metadata", lambda request, asked: request):
        asker.ask(METADATA, 9)
    with pytest.raises(ConfigError, match="Metadata"):
        broker.answer("Metdata", lambda request, asked: None)


def test_faults_strike_own_answers_too(broker: Broker, asker: Asker) -> None:
    """A cut answer is cut whoever gave it."""
    broker.answer("Metadata", lambda request, asked: MetadataResponse(cluster_id="mine"))
    broker.faults.cut("Metadata")
    assert asker.ask(METADATA, 9) == SILENCE


def test_a_client_that_leaves_does_not_matter(broker: Broker, asker: Asker) -> None:
    """The function ends when it ends, and the broker is unimpressed."""
    go, gone = threading.Event(), threading.Event()

    def wait(request: Any, asked: AskedRequest) -> None:
        assert go.wait(10)
        gone.set()

    own = broker.answer("Metadata", wait)
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(asker.ask, METADATA, 9)
        own.wait()
        assert broker.faults.disconnect() == 1
        assert answer.result(10) == SILENCE
    go.set()
    assert gone.wait(10)
    assert asker.ask(METADATA, 9).topics
