"""One connection, as a conversation with a broker that misbehaves."""

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from felice.clock import SystemClock
from felice.cluster.connection import Connection
from felice.cluster.resolver import SystemResolver
from felice.cluster.transport import TransportOptions, open_socket
from felice.errors import (
    BrokerError,
    ClosedError,
    ConnectionLost,
    FeliceError,
    RequestTimeout,
    UnsupportedField,
    UnsupportedVersion,
    WireError,
)
from felice.wire.frames import encode_response
from felice.wire.messages.api_versions import ApiVersionsRequest, ApiVersionsResponse
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from felice.wire.messages.produce import ProduceRequest
from scripted_broker import HANG_UP, SILENCE, ScriptedBroker, frame

ASK = MetadataRequest(topics=[])


class Ends:
    """What a connection told its owner."""

    def __init__(self) -> None:
        self.closed: list[FeliceError | None] = []
        self.throttled: list[float] = []
        self.ended = asyncio.Event()

    def on_closed(self, connection: Connection, error: FeliceError | None) -> None:
        self.closed.append(error)
        self.ended.set()

    async def end(self) -> None:
        """Wait for the connection's end."""
        async with asyncio.timeout(5):
            await self.ended.wait()


Connect = Callable[..., Awaitable[tuple[Connection, Ends]]]


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as made:
        yield made


@pytest.fixture
async def connect(broker: ScriptedBroker) -> AsyncIterator[Connect]:
    made: list[Connection] = []

    async def connect(*, handshake: bool = True, **options: Any) -> tuple[Connection, Ends]:
        loop = asyncio.get_running_loop()
        (address,) = await SystemResolver().resolve(broker.host, broker.port)
        ends = Ends()
        connection = Connection(
            loop,
            await open_socket(loop, address, TransportOptions()),
            peer="b1:9092",
            client_id="tester",
            clock=SystemClock(),
            on_closed=ends.on_closed,
            on_throttle=ends.throttled.append,
            **{"max_frame_bytes": 1 << 20, "max_idle": 60.0} | options,
        )
        made.append(connection)
        if handshake:
            await connection.handshake(5)
        return connection, ends

    yield connect
    for connection in made:
        connection.close()
    assert len(asyncio.all_tasks()) <= 4, "a connection makes no tasks (those here are the test's and the broker's)"


def answer_to(header: Any, *, correlation_id: int | None = None) -> bytes:
    number = header.correlation_id if correlation_id is None else correlation_id
    return frame(encode_response(MetadataResponse(), 3, header.api_version, number))


async def test_requests_are_answered_in_the_highest_common_version(broker: ScriptedBroker, connect: Connect) -> None:
    broker.ranges[3] = (0, 9)
    connection, _ = await connect()
    answer = await connection.submit(ASK, timeout=5)
    assert answer.cluster_id == "scripted"
    header, _ = broker.requests[-1]
    assert (header.api_version, header.client_id) == (9, "tester")
    header, hello = broker.requests[0]
    assert isinstance(hello, ApiVersionsRequest)
    assert (hello.client_software_name, header.api_version) == ("felice", ApiVersionsRequest.max_version)


async def test_the_content_may_depend_on_the_version(broker: ScriptedBroker, connect: Connect) -> None:
    connection, _ = await connect()
    asked: list[int] = []

    def build(version: int) -> MetadataRequest:
        asked.append(version)
        return MetadataRequest(topics=[])

    await connection.submit(build, timeout=5, api=MetadataRequest, version_cap=11)
    assert asked == [11]
    assert broker.requests[-1][0].api_version == 11


async def test_pipelined_requests_get_their_own_answers(broker: ScriptedBroker, connect: Connect) -> None:
    connection, _ = await connect()
    asks = [MetadataRequest(topics=[MetadataRequest.Topic(name=f"t{n}")]) for n in range(100)]
    answers = await asyncio.gather(*(connection.submit(ask, timeout=5) for ask in asks))
    assert [answer.topics[0].name for answer in answers] == [f"t{n}" for n in range(100)]


async def test_requests_beyond_the_window_wait_in_order(broker: ScriptedBroker, connect: Connect) -> None:
    gate = asyncio.Event()

    async def wait(request: Any, header: Any) -> Any:
        await gate.wait()
        return broker.metadata(request, header)

    broker.on(MetadataRequest, wait)
    connection, _ = await connect(window=2)
    asks = [MetadataRequest(topics=[MetadataRequest.Topic(name=f"t{n}")]) for n in range(5)]
    futures = [connection.submit(ask, timeout=5) for ask in asks]
    assert connection.load == 5
    assert repr(connection) == "<Connection to b1:9092: 2 in flight, 3 held>"
    futures[3].cancel()
    gate.set()
    answers = await asyncio.gather(*futures[:3], futures[4])
    assert [answer.topics[0].name for answer in answers] == ["t0", "t1", "t2", "t4"]
    assert broker.count(MetadataRequest) == 4, "a request that was cancelled while it was held is never sent"


@pytest.mark.parametrize(
    "body", [b"", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\x01\0\x12\0\0"], ids=["none", "empty", "null", "full"]
)
async def test_row_15_a_refused_version_is_asked_again_in_version_0(
    broker: ScriptedBroker, connect: Connect, body: bytes
) -> None:
    """Whatever follows the code, also the half answer of librdkafka's mock broker."""

    def refuse(request: Any, header: Any) -> Any:
        if header.api_version:
            data = struct.pack(">ih", header.correlation_id, 35) + body
            return struct.pack(">i", len(data)) + data
        return broker.versions(request, header)

    broker.on(ApiVersionsRequest, refuse)
    connection, _ = await connect()
    assert [header.api_version for header, _ in broker.requests] == [ApiVersionsRequest.max_version, 0]
    assert (await connection.submit(ASK, timeout=5)).cluster_id == "scripted"


async def test_row_15_each_connection_negotiates_anew(broker: ScriptedBroker, connect: Connect) -> None:
    """A rolling downgrade: the same broker comes back older."""
    first, _ = await connect()
    await first.submit(ASK, timeout=5)
    broker.ranges[3] = (0, 5)
    second, _ = await connect()
    await second.submit(ASK, timeout=5)
    assert [h.api_version for h, r in broker.requests if isinstance(r, MetadataRequest)] == [13, 5]


async def test_row_15_another_error_of_the_handshake_is_the_brokers(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(ApiVersionsRequest, lambda request, header: ApiVersionsResponse(error_code=42))
    with pytest.raises(BrokerError, match=r"b1:9092.*INVALID_REQUEST"):
        await connect()


async def test_row_15_an_api_that_the_broker_lacks_is_named(broker: ScriptedBroker, connect: Connect) -> None:
    del broker.ranges[0]
    connection, _ = await connect()
    with pytest.raises(UnsupportedVersion, match="b1:9092 does not offer Produce"):
        connection.submit(ProduceRequest(), timeout=5)
    assert not connection.closed


async def test_a_request_that_its_version_cannot_carry_fails_alone(broker: ScriptedBroker, connect: Connect) -> None:
    connection, _ = await connect()
    with pytest.raises(UnsupportedField):
        connection.submit(MetadataRequest(topics=[], allow_auto_topic_creation=False), timeout=5, version_cap=3)
    assert (await connection.submit(ASK, timeout=5)).cluster_id == "scripted"


# -- row 12: crossed answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [1, -1, 1000])
async def test_row_12_an_answer_to_another_request_ends_the_connection(
    broker: ScriptedBroker, connect: Connect, shift: int
) -> None:
    broker.on(MetadataRequest, lambda request, header: answer_to(header, correlation_id=header.correlation_id + shift))
    connection, ends = await connect()
    futures = [connection.submit(ASK, timeout=5) for _ in range(3)]
    for future in futures:
        with pytest.raises(ConnectionLost, match="correlation ID") as caught:
            await future
        assert caught.value.may_have_happened
    assert connection.closed
    assert isinstance(ends.closed[0], ConnectionLost)


async def test_row_12_an_answer_that_nobody_asked_for_ends_the_connection(
    broker: ScriptedBroker, connect: Connect
) -> None:
    broker.on(MetadataRequest, lambda request, header: answer_to(header) + answer_to(header))
    connection, ends = await connect()
    await connection.submit(ASK, timeout=5)
    await ends.end()
    assert "correlation ID" in str(ends.closed[0])


async def test_row_12_a_cancelled_await_does_not_desync(broker: ScriptedBroker, connect: Connect) -> None:
    connection, _ = await connect()
    gate = asyncio.Event()

    async def wait(request: Any, header: Any) -> Any:
        await gate.wait()
        return broker.metadata(request, header)

    broker.on(MetadataRequest, wait)
    first = connection.submit(MetadataRequest(topics=[MetadataRequest.Topic(name="first")]), timeout=5)
    second = connection.submit(MetadataRequest(topics=[MetadataRequest.Topic(name="second")]), timeout=5)
    await broker.wait_for(MetadataRequest)
    first.cancel()
    gate.set()
    assert (await second).topics[0].name == "second"
    assert not connection.closed


async def test_row_12_answers_may_come_in_any_pieces(broker: ScriptedBroker, connect: Connect) -> None:
    connection, _ = await connect()

    async def drip(request: Any, header: Any) -> Any:
        data = frame(encode_response(broker.metadata(request, header), 3, header.api_version, header.correlation_id))
        (writer,) = broker._writers
        for at in range(len(data) - 1):
            writer.write(data[at : at + 1])
            await writer.drain()
            await asyncio.sleep(0)
        return data[-1:]

    broker.on(MetadataRequest, drip)
    assert (await connection.submit(ASK, timeout=5)).cluster_id == "scripted"


async def test_an_answer_that_makes_no_sense_is_its_requests_error_and_ends_the_connection(
    broker: ScriptedBroker, connect: Connect
) -> None:
    def garbage(request: Any, header: Any) -> bytes:
        body = struct.pack(">i", header.correlation_id) + b"\0\0\0\0\0" + b"\xff" * 40
        return struct.pack(">i", len(body)) + body

    broker.script(MetadataRequest, garbage, SILENCE)
    connection, ends = await connect()
    first, second = connection.submit(ASK, timeout=5), connection.submit(ASK, timeout=5)
    with pytest.raises(WireError) as caught:
        await first
    assert caught.value.may_have_happened
    with pytest.raises(ConnectionLost, match="makes no sense"):
        await second
    assert len(ends.closed) == 1


async def test_bytes_behind_an_answer_are_let_pass(broker: ScriptedBroker, connect: Connect) -> None:
    """librdkafka's mock broker writes one too many in Metadata 9 to 13, and Kafka's own client does not look."""

    def longer(request: Any, header: Any) -> bytes:
        data = answer_to(header)[4:] + b"\0"
        return struct.pack(">i", len(data)) + data

    broker.on(MetadataRequest, longer)
    connection, _ = await connect()
    assert isinstance(await connection.submit(ASK, timeout=5), MetadataResponse)


# -- row 13: what is no broker ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("greeting", "said"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "HTTP"), (b"\x15\x03\x03\x00\x02\x02\x50", "TLS")],
)
async def test_row_13_a_server_of_another_kind_is_named(
    broker: ScriptedBroker, connect: Connect, greeting: bytes, said: str
) -> None:
    broker.on(ApiVersionsRequest, lambda request, header: greeting)
    with pytest.raises(ConnectionLost, match=said) as caught:
        await connect()
    assert "port" in caught.value.hint


async def test_row_13_a_huge_frame_ends_the_connection(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(MetadataRequest, lambda request, header: struct.pack(">i", 2 << 20))
    connection, _ = await connect()
    with pytest.raises(ConnectionLost, match="2,097,152 bytes") as caught:
        await connection.submit(ASK, timeout=5)
    assert "max_frame_bytes" in caught.value.hint


async def test_row_13_a_server_that_hangs_up_at_once_gets_a_hint(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(ApiVersionsRequest, lambda request, header: HANG_UP)
    with pytest.raises(ConnectionLost, match="closed by the broker") as caught:
        await connect()
    assert "TLS" in caught.value.hint


# -- row 11: deadlines ------------------------------------------------------------------------------------------------


async def test_row_11_a_silent_broker_times_out_and_takes_the_others_with_it(
    broker: ScriptedBroker, connect: Connect
) -> None:
    broker.on(MetadataRequest, lambda request, header: SILENCE)
    connection, ends = await connect()
    first, second = connection.submit(ASK, timeout=0.05), connection.submit(ASK, timeout=5)
    with pytest.raises(RequestTimeout, match=r"b1:9092 did not answer Metadata version 13 within 0\.05 s") as late:
        await first
    assert late.value.may_have_happened
    with pytest.raises(ConnectionLost) as lost:
        await second
    assert lost.value.may_have_happened
    assert connection.closed
    assert isinstance(ends.closed[0], ConnectionLost)


async def test_row_11_a_shorter_timeout_behind_a_longer_one_is_kept(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(MetadataRequest, lambda request, header: SILENCE)
    connection, _ = await connect()
    first, second = connection.submit(ASK, timeout=30), connection.submit(ASK, timeout=0.05)
    async with asyncio.timeout(5):
        with pytest.raises(RequestTimeout):
            await second
        with pytest.raises(ConnectionLost):
            await first


async def test_row_11_a_handshake_has_a_deadline(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(ApiVersionsRequest, lambda request, header: SILENCE)
    connection, _ = await connect(handshake=False)
    with pytest.raises(RequestTimeout, match="ApiVersions"):
        await connection.handshake(0.05)


async def test_row_11_a_request_whose_bytes_did_not_leave_cannot_have_happened(
    broker: ScriptedBroker, connect: Connect
) -> None:
    """The broker has stopped reading: the kernel takes the first megabytes and no more."""
    stop = asyncio.Event()

    async def stall(request: Any, header: Any) -> Any:
        await stop.wait()

    broker.on(MetadataRequest, stall)
    connection, _ = await connect()
    connection.submit(ASK, timeout=5).add_done_callback(lambda future: future.exception())
    await broker.wait_for(MetadataRequest)
    huge = ProduceRequest(transactional_id="x" * 30_000)
    futures = [connection.submit(huge, timeout=5) for _ in range(60)]
    while connection._transport.sent == connection._transport.queued:
        futures += [connection.submit(huge, timeout=5) for _ in range(3)]
        connection._window += 3
        connection._pump()
    connection.close("cut by the test")
    outcomes = await asyncio.gather(*futures, return_exceptions=True)
    happened = [isinstance(e, ConnectionLost) and e.may_have_happened for e in outcomes]
    assert happened[0]
    assert not happened[-1]
    assert happened == sorted(happened, reverse=True), "what left, left in order"
    stop.set()


async def test_a_connection_lost_under_requests_says_what_it_was_doing(
    broker: ScriptedBroker, connect: Connect
) -> None:
    broker.on(MetadataRequest, lambda request, header: HANG_UP)
    connection, ends = await connect()
    with pytest.raises(ConnectionLost, match=r"b1:9092 was lost under Metadata version 13: closed by the broker"):
        await connection.submit(ASK, timeout=5)
    assert isinstance(ends.closed[0], ConnectionLost)
    with pytest.raises(ConnectionLost) as caught:
        connection.submit(ASK, timeout=5)
    assert not caught.value.may_have_happened, "nothing was sent on a connection that had ended"


# -- row 49: idle -----------------------------------------------------------------------------------------------------


async def test_row_49_an_idle_close_by_the_broker_is_no_error(broker: ScriptedBroker, connect: Connect) -> None:
    connection, ends = await connect()
    await connection.submit(ASK, timeout=5)
    broker.hang_up()
    await ends.end()
    assert ends.closed == [None]


async def test_row_49_we_close_what_is_idle_and_not_what_is_in_use(broker: ScriptedBroker, connect: Connect) -> None:
    gate = asyncio.Event()

    async def wait(request: Any, header: Any) -> Any:
        await gate.wait()
        return broker.metadata(request, header)

    broker.on(MetadataRequest, wait)
    connection, ends = await connect(max_idle=0.1)
    future = connection.submit(ASK, timeout=5)
    await asyncio.sleep(0.25)
    assert not connection.closed, "a request is under way"
    gate.set()
    await future
    await ends.end()
    assert ends.closed == [None]
    assert connection.reason.startswith("idle for")


# -- row 21: throttling -----------------------------------------------------------------------------------------------


async def test_row_21_a_throttled_connection_holds_its_requests_and_counts_no_timeout(
    broker: ScriptedBroker, connect: Connect
) -> None:
    """The pause is longer than the timeout of what was in flight, and of what comes during it."""
    loop = asyncio.get_running_loop()
    connection, ends = await connect()
    broker.script(MetadataRequest, MetadataResponse(throttle_time_ms=300))
    late = asyncio.Event()

    async def mute(request: Any, header: Any) -> Any:
        """Answer as late as a broker that has muted the connection."""
        await late.wait()
        return broker.metadata(request, header)

    await connection.submit(ASK, timeout=0.2)
    assert ends.throttled == [0.3]
    assert 0.2 < connection.throttled <= 0.3
    started = loop.time()
    held = connection.submit(ASK, timeout=0.2)
    assert broker.count(MetadataRequest) == 1
    assert (await held).cluster_id == "scripted"
    assert loop.time() - started > 0.25
    assert connection.throttled == 0


async def test_row_21_what_is_in_flight_when_the_pause_begins_gets_more_time(
    broker: ScriptedBroker, connect: Connect
) -> None:
    connection, _ = await connect()

    async def muted(request: Any, header: Any) -> Any:
        await asyncio.sleep(0.25)  # the broker reads no more for as long as it has asked us to wait
        return broker.metadata(request, header)

    broker.script(MetadataRequest, MetadataResponse(throttle_time_ms=300), muted)
    first, second = connection.submit(ASK, timeout=0.15), connection.submit(ASK, timeout=0.15)
    await first
    assert (await second).cluster_id == "scripted"


async def test_row_21_answers_that_ask_for_the_same_pause_move_a_deadline_once(
    broker: ScriptedBroker, connect: Connect
) -> None:
    """Otherwise a busy connection on a slow broker would not notice for minutes that the broker is frozen."""
    loop = asyncio.get_running_loop()
    connection, _ = await connect()
    broker.script(MetadataRequest, *[MetadataResponse(throttle_time_ms=100)] * 40, lambda request, header: SILENCE)
    started = loop.time()
    answers = [connection.submit(ASK, timeout=0.2) for _ in range(41)]
    with pytest.raises(RequestTimeout):
        await answers.pop()
    assert 0.2 < loop.time() - started < 1.5
    await asyncio.gather(*answers)


# -- no answer expected -----------------------------------------------------------------------------------------------


async def test_acks_0_is_done_when_the_kernel_has_it(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(ProduceRequest, lambda request, header: SILENCE)
    connection, _ = await connect()
    nothing = connection.submit(ProduceRequest(acks=0), timeout=5, expect_response=False)
    assert nothing.done()
    assert nothing.result() is None
    assert (await connection.submit(ASK, timeout=5)).cluster_id == "scripted", "the next answer is not mistaken"
    assert broker.count(ProduceRequest) == 1
    assert connection.load == 0


# -- the end ----------------------------------------------------------------------------------------------------------


async def test_closing_fails_what_is_under_way_with_closed_error(broker: ScriptedBroker, connect: Connect) -> None:
    broker.on(MetadataRequest, lambda request, header: SILENCE)
    connection, ends = await connect(window=1)
    sent, held = connection.submit(ASK, timeout=5), connection.submit(ASK, timeout=5)
    connection.close()
    for future, happened in ((sent, True), (held, False)):
        with pytest.raises(ClosedError) as caught:
            await future
        assert caught.value.may_have_happened is happened
    assert len(ends.closed) == 1


async def test_a_retiring_connection_finishes_what_is_under_way(broker: ScriptedBroker, connect: Connect) -> None:
    connection, ends = await connect()
    future = connection.submit(ASK, timeout=5)
    connection.retire("moved")
    assert not connection.closed
    assert (await future).cluster_id == "scripted"
    assert connection.closed
    assert ends.closed == [None]
    assert connection.reason == "moved"
