"""The cluster: which broker is asked, what happens when it does not answer, and what errors say."""

import asyncio
import re
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from felice.cluster.coordinators import KeyType
from felice.cluster.link import Role
from felice.cluster.metadata import Metadata
from felice.cluster.router import ANY, CONTROLLER, Cluster
from felice.cluster.transport import SocketAddress
from felice.errors import (
    BrokerError,
    ClosedError,
    ConnectError,
    ConnectionLost,
    DeadlineExceeded,
    NetworkError,
    RequestTimeout,
    WireError,
)
from felice.events import (
    ClusterChanged,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionOpened,
    MetadataRefreshed,
    PartitionsAdded,
    Rebootstrapped,
    Throttled,
    TopicRecreated,
)
from felice.wire.frames import encode_response
from felice.wire.messages.api_versions import ApiVersionsRequest
from felice.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse
from felice.wire.messages.list_offsets import ListOffsetsRequest, ListOffsetsResponse
from felice.wire.messages.metadata import MetadataRequest, MetadataResponse
from heard_events import Told
from scripted_broker import HANG_UP, SILENCE, ScriptedBroker, frame, topic

Make = Callable[..., Cluster]

OFFSETS = ListOffsetsRequest(replica_id=-1)


def soon(seconds: float = 5) -> float:
    return time.monotonic() + seconds


async def changed(metadata: Metadata, condition: Callable[[], bool]) -> None:
    """Wait until the picture fulfils a condition."""
    news = asyncio.Event()
    stop = metadata.watch(news.set)
    async with asyncio.timeout(5):
        while not condition():
            news.clear()
            await news.wait()
    stop()


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


# -- finding the cluster ----------------------------------------------------------------------------------------------


async def test_a_cluster_is_found_from_any_of_its_addresses(
    brokers: list[ScriptedBroker], make_cluster: Make, told: Told
) -> None:
    cluster = make_cluster(f"127.0.0.1:{free_port()}", brokers[1].address)
    assert cluster.health.state == "new"
    await cluster.ready(soon())
    assert sorted(cluster.metadata.brokers) == [1, 2, 3]
    assert (cluster.health.state, cluster.health.brokers) == ("up", 3)
    assert told.of(MetadataRefreshed)[0].brokers == 3


async def test_nothing_happens_before_start(broker: ScriptedBroker, make_cluster: Make) -> None:
    make_cluster(broker.address)
    await asyncio.sleep(0.02)
    assert broker.accepted == 0


async def test_a_given_address_that_is_a_broker_keeps_its_connection(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    await cluster.send(1, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=5)
    assert broker.accepted == 1


async def test_a_given_address_that_is_no_broker_is_let_go(
    brokers: list[ScriptedBroker], make_cluster: Make, told: Told
) -> None:
    """A load balancer, say: once the brokers are known its connection ends, and that is no error."""
    balancer = brokers[0]
    for one in brokers:
        one.peers = brokers[1:]
    cluster = make_cluster(balancer.address)
    await cluster.ready(soon())
    assert sorted(cluster.metadata.brokers) == [2, 3]
    assert cluster.health.connections == 0
    assert [event.expected for event in told.of(ConnectionClosed)] == [True]
    assert not told.of(ConnectionFailed)


async def test_ready_that_fails_says_what_was_tried_last(make_cluster: Make) -> None:
    port = free_port()
    cluster = make_cluster(f"127.0.0.1:{port}")
    with pytest.raises(DeadlineExceeded) as caught:
        await cluster.ready(soon(0.2))
    assert "the cluster is not ready; last: connection to 127.0.0.1" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert isinstance(caught.value.__cause__, ConnectError)
    assert cluster.health.state == "connecting"
    assert "refused" in cluster.health.last_error


async def test_row_12_a_connection_that_ends_right_behind_its_handshake_is_not_kept(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    """Row 12: the first answer and garbage behind it come together; the next try is on another connection."""

    def versions(request: Any, header: Any) -> Any:
        answer = broker.versions(request, header)
        if broker.accepted > 1:
            return answer
        pieces = encode_response(answer, header.api_key, header.api_version, header.correlation_id)
        return frame(pieces) + b"\0\0\0\x04none"

    broker.on(ApiVersionsRequest, versions)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    assert broker.accepted == 2


async def test_row_12_one_answer_that_makes_no_sense_is_asked_for_again(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    """Row 12: cut short within its frame, it costs its connection; where it must not be repeated, it is told."""
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())

    def short(_: Any, header: Any) -> bytes:
        return struct.pack(">iib", 5, header.correlation_id, 0)

    broker.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    broker.script(ListOffsetsRequest, short)
    assert await cluster.call(OFFSETS, deadline=soon()) == ListOffsetsResponse()
    broker.script(ListOffsetsRequest, short)
    with pytest.raises(WireError) as caught:
        await cluster.call(OFFSETS, deadline=soon(), repeatable=False)
    assert caught.value.may_have_happened


async def test_another_cluster_behind_the_same_address_is_told(
    broker: ScriptedBroker, make_cluster: Make, told: Told
) -> None:
    """Its records would be written elsewhere: nobody should have to find that out from the records."""
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    other = broker.metadata(MetadataRequest(topics=[]), None)
    other.cluster_id = "elsewhere"
    broker.script(MetadataRequest, other)
    cluster.request_refresh("a test")
    await changed(cluster.metadata, lambda: cluster.metadata.cluster_id == "elsewhere")
    (event,) = told.of(ClusterChanged)
    assert (event.old_id, event.new_id) == ("scripted", "elsewhere")
    assert "ClusterChanged old_id='scripted' new_id='elsewhere'" in str(event)


async def test_row_13_a_web_server_at_the_address_is_named(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.on(ApiVersionsRequest, lambda request, header: b"HTTP/1.1 400 Bad Request\r\n\r\n")
    cluster = make_cluster(broker.address)
    with pytest.raises(DeadlineExceeded, match=r"HTTP.*web server"):
        await cluster.ready(soon(0.2))


# -- row 25: names ----------------------------------------------------------------------------------------------------


class Names:
    """A resolver whose answers a test changes."""

    def __init__(self, **names: list[str | OSError]) -> None:
        self.names: dict[str, Any] = dict(names)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> list[SocketAddress]:
        self.asked.append(host)
        found = self.names[host]
        if isinstance(found, OSError):
            raise found
        return [SocketAddress(socket.AF_INET, (ip, port)) for ip in found]


async def test_row_25_every_address_of_a_name_is_tried(broker: ScriptedBroker, make_cluster: Make) -> None:
    names = Names(kafka=["127.0.0.2", "127.0.0.3", "127.0.0.1"])
    cluster = make_cluster(f"kafka:{broker.port}", resolver=names)
    names.names["127.0.0.1"] = ["127.0.0.1"]
    await cluster.ready(soon())
    assert broker.accepted >= 1


async def test_row_25_an_address_that_swallows_packets_leaves_time_for_the_next(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.2", broker.port), backlog=0) as hole, ExitStack() as stack:
        for _ in range(4):  # a full queue: from now on the kernel answers no SYN
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(hole.getsockname())
        names = Names(kafka=["127.0.0.2", "127.0.0.1"])
        names.names["127.0.0.1"] = ["127.0.0.1"]
        cluster = make_cluster(f"kafka:{broker.port}", resolver=names, connect_timeout=0.4)
        started = loop.time()
        await cluster.ready(soon())
        assert 0.15 < loop.time() - started < 2, "half of the time for each of the two"


async def test_row_25_names_are_resolved_at_each_connect(broker: ScriptedBroker, make_cluster: Make) -> None:
    """The broker moves to another address under its name."""
    names = Names(kafka=["127.0.0.1"])
    broker.host = "kafka"
    cluster = make_cluster(broker.address, resolver=names)
    await cluster.ready(soon())
    await broker.stop()
    broker.host, names.names["kafka"] = "127.0.0.2", ["127.0.0.2"]
    await broker.start()
    broker.host = "kafka"
    assert (await cluster.call(MetadataRequest(topics=[]), deadline=soon())).cluster_id == "scripted"
    assert len(names.asked) >= 2


async def test_row_25_a_name_that_cannot_be_resolved_is_named(make_cluster: Make) -> None:
    names = Names()
    names.names["nowhere"] = socket.gaierror(-2, "Name or service not known")
    cluster = make_cluster("nowhere:9092", resolver=names)
    with pytest.raises(DeadlineExceeded, match="cannot resolve nowhere: Name or service not known"):
        await cluster.ready(soon(0.1))


async def test_row_25_a_resolver_that_hangs_is_bounded_by_the_connect_timeout(make_cluster: Make) -> None:
    class Hangs:
        async def resolve(self, host: str, port: int) -> list[SocketAddress]:
            await asyncio.Event().wait()
            return []

    cluster = make_cluster("slow:9092", resolver=Hangs(), connect_timeout=0.05)
    with pytest.raises(DeadlineExceeded, match="the name slow was not resolved in time"):
        await cluster.ready(soon(0.2))


async def test_row_25_when_no_known_broker_answers_the_given_addresses_are_asked_again(
    brokers: list[ScriptedBroker], make_cluster: Make, told: Told
) -> None:
    """KIP-899: the cluster behind the given name is replaced by another."""
    names = Names(kafka=["127.0.0.1"])
    names.names["127.0.0.1"] = ["127.0.0.1"]
    door, old, new = brokers
    door.peers, old.peers, new.peers = [old], [old], [new]
    cluster = make_cluster(f"kafka:{door.port}", resolver=names)
    await cluster.ready(soon())
    assert list(cluster.metadata.brokers) == [2]
    await old.stop()
    door.peers = [new]
    cluster.request_refresh("a test")
    await changed(cluster.metadata, lambda: list(cluster.metadata.brokers) == [3])
    assert re.search("no known broker answers.*refused", told.of(Rebootstrapped)[0].reason)
    assert names.asked.count("kafka") == 2


async def test_row_25_a_cluster_that_asks_for_it_is_bootstrapped_again(
    brokers: list[ScriptedBroker], make_cluster: Make, told: Told
) -> None:
    """KIP-1102: error 129 in Metadata version 13."""
    one, other = brokers[0], brokers[1]
    cluster = make_cluster(one.address)
    one.peers = [other]
    other.peers = [other]
    await cluster.ready(soon())
    other.on(MetadataRequest, lambda request, header: MetadataResponse(error_code=129))
    one.peers = [one]
    cluster.request_refresh("a test")
    await changed(cluster.metadata, lambda: list(cluster.metadata.brokers) == [1])
    assert [event.reason for event in told.of(Rebootstrapped)] == ["the cluster asks for it"]


# -- topics -----------------------------------------------------------------------------------------------------------


async def test_only_wanted_topics_are_asked_for_and_none_is_created(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.topics = {"letters": topic("letters", 1), "diaries": topic("diaries", 1)}
    cluster = make_cluster(broker.address)
    await cluster.start()
    view = await cluster.wait_for_topic("letters", soon())
    assert [p.leader for p in view.partitions] == [1]
    for header, request in broker.requests:
        if isinstance(request, MetadataRequest):
            assert request.topics is not None, "never all topics"
            assert request.allow_auto_topic_creation is False
            assert {t.name for t in request.topics} <= {"letters"}
            assert header.api_version >= 4


async def test_topics_wanted_together_are_asked_for_together(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.topics = {f"t{n}": topic(f"t{n}", 1) for n in range(50)}
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    before = broker.count(MetadataRequest)
    views = await asyncio.gather(*(cluster.wait_for_topic(f"t{n}", soon()) for n in range(50)))
    assert {view.name for view in views} == set(broker.topics)
    assert broker.count(MetadataRequest) - before <= 2


async def test_row_5_an_unknown_topic_is_asked_for_until_it_is_there(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.start()
    waiting = asyncio.create_task(cluster.wait_for_topic("letters", soon()))
    await broker.wait_for(MetadataRequest, 4)
    broker.topics["letters"] = topic("letters", 1)
    assert (await waiting).name == "letters"


async def test_row_5_an_unknown_topic_fails_at_the_deadline_and_says_why(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.start()
    with pytest.raises(DeadlineExceeded, match=r"topic letters: UNKNOWN_TOPIC_OR_PARTITION \(3\)"):
        await cluster.wait_for_topic("letters", soon(0.15))
    assert cluster.metadata.topic("letters") is None, "nobody wants it any more"


@pytest.mark.parametrize(("code", "name"), [(17, "INVALID_TOPIC_EXCEPTION"), (29, "TOPIC_AUTHORIZATION_FAILED")])
async def test_an_error_that_waiting_does_not_mend_is_raised_at_once(
    broker: ScriptedBroker, make_cluster: Make, code: int, name: str
) -> None:
    broker.topics["letters"] = MetadataResponse.Topic(name="letters", error_code=code)
    cluster = make_cluster(broker.address)
    await cluster.start()
    with pytest.raises(BrokerError, match=name):
        await cluster.wait_for_topic("letters", soon(30))


async def test_row_2_a_missing_leader_is_named_with_what_was_tried_last(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    broker.topics["letters"] = topic("letters", 1, 1, 1, -1)
    cluster = make_cluster(broker.address)
    await cluster.start()
    with pytest.raises(DeadlineExceeded, match="no leader for letters-3"):
        await cluster.wait_for_leader("letters", 3, soon(0.1))
    await broker.stop()
    cluster.request_refresh("a test")
    with pytest.raises(DeadlineExceeded, match=r"letters.*; last: connection to 127.*refused"):
        await cluster.wait_for_leader("letters", 3, soon(0.1))


async def test_row_2_a_network_error_to_a_leader_refreshes_metadata(
    brokers: list[ScriptedBroker], make_cluster: Make
) -> None:
    """The leader dies without a word; the others know who leads now."""
    for one in brokers:
        one.topics["letters"] = topic("letters", 3, epoch=1)
    cluster = make_cluster(brokers[0].address)
    cluster.want_topics(["letters"])
    await cluster.start()
    assert (await cluster.wait_for_leader("letters", 0, soon())).leader == 3
    await brokers[2].stop()
    for one in brokers:
        one.topics["letters"] = topic("letters", 2, epoch=2)
    with pytest.raises(ConnectError):
        await cluster.send(3, OFFSETS, role=Role.FETCH, timeout=5)
    await changed(cluster.metadata, lambda: cluster.metadata.leader("letters", 0).leader == 2)  # type: ignore[union-attr]


async def test_row_3_a_hint_wakes_those_who_wait_for_a_leader(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.topics["letters"] = topic("letters", -1, epoch=1)
    cluster = make_cluster(broker.address, retry_backoff=5, retry_backoff_max=5)
    cluster.want_topics(["letters"])
    await cluster.start()
    waiting = asyncio.create_task(cluster.wait_for_leader("letters", 0, soon()))
    await changed(cluster.metadata, lambda: cluster.metadata.topic("letters") is not None)
    assert cluster.update_leader("letters", 0, 1, 2)
    assert (await waiting).leader_epoch == 2


async def test_new_partitions_and_recreated_topics_are_events(
    broker: ScriptedBroker, make_cluster: Make, told: Told
) -> None:
    """Rows 4 and 5."""
    broker.topics["letters"] = topic("letters", 1, topic_id=b"a" * 16, epoch=9)
    cluster = make_cluster(broker.address)
    cluster.want_topics(["letters"])
    await cluster.start()
    await cluster.wait_for_topic("letters", soon())
    broker.topics["letters"] = topic("letters", 1, 1, topic_id=b"a" * 16, epoch=9)
    cluster.request_refresh("a test")
    await changed(cluster.metadata, lambda: len(cluster.metadata.topic("letters").partitions) == 2)  # type: ignore[union-attr]
    broker.topics["letters"] = topic("letters", 1, topic_id=b"b" * 16, epoch=0)
    cluster.request_refresh("a test")
    await changed(cluster.metadata, lambda: cluster.metadata.topic_name(b"b" * 16) == "letters")
    assert [(e.before, e.after) for e in told.of(PartitionsAdded)] == [(1, 2)]
    assert [e.old_id for e in told.of(TopicRecreated)] == [(b"a" * 16).hex()]


async def test_metadata_is_refreshed_by_age(broker: ScriptedBroker, make_cluster: Make) -> None:
    cluster = make_cluster(broker.address, metadata_max_age=0.05)
    await cluster.ready(soon())
    await broker.wait_for(MetadataRequest, 4)


async def test_row_50_one_metadata_request_at_a_time_however_many_ask(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    under_way, most = 0, 0

    async def slow(request: Any, header: Any) -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.02)
        under_way -= 1
        return broker.metadata(request, header)

    broker.on(MetadataRequest, slow)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    for n in range(200):
        cluster.request_refresh(f"error {n}")
        if not n % 20:
            await asyncio.sleep(0.005)
    await cluster._refresher.turn(soon())
    assert most == 1
    assert broker.count(MetadataRequest) < 12


async def test_watching_and_wanting_are_counted(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.topics["letters"] = topic("letters", 1)
    cluster = make_cluster(broker.address)
    cluster.want_topics(["letters"])
    cluster.want_topics(["letters"])
    await cluster.start()
    await cluster.wait_for_topic("letters", soon())
    cluster.unwant(["letters"])
    assert cluster.metadata.topic("letters") is not None
    cluster.unwant(["letters"])
    assert cluster.metadata.topic("letters") is None


async def test_a_topic_that_nobody_wants_any_more_does_not_come_back_with_a_late_answer(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    """Otherwise every topic whose wait ran out would stay in memory for ever."""
    broker.topics["letters"] = topic("letters", 1)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    answer = asyncio.Event()

    async def late(request: Any, header: Any) -> MetadataResponse:
        await answer.wait()
        return broker.metadata(request, header)

    broker.on(MetadataRequest, late)
    asked = broker.count(MetadataRequest)
    cluster.want_topics(["letters"])
    await broker.wait_for(MetadataRequest, asked + 1)
    cluster.unwant(["letters"])
    answer.set()
    await cluster._refresher.turn(soon())
    assert not list(cluster.metadata.topics())


# -- requests ---------------------------------------------------------------------------------------------------------


async def test_each_role_has_its_own_connection(broker: ScriptedBroker, make_cluster: Make) -> None:
    """A long poll on one never holds up the other."""
    gate = asyncio.Event()

    async def long_poll(request: Any, header: Any) -> Any:
        await gate.wait()
        return ListOffsetsResponse()

    broker.on(ListOffsetsRequest, long_poll)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    polling = asyncio.create_task(cluster.send(1, OFFSETS, role=Role.FETCH, timeout=5))
    await broker.wait_for(ListOffsetsRequest)
    answer = await cluster.send(1, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=1)
    assert answer.cluster_id == "scripted"
    gate.set()
    await polling


async def test_row_50_one_connection_is_made_however_many_want_it(broker: ScriptedBroker, make_cluster: Make) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    before = broker.accepted
    broker.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    await asyncio.gather(*(cluster.send(1, OFFSETS, role=Role.FETCH, timeout=5) for _ in range(20)))
    assert broker.accepted - before == 1


async def test_row_1_a_restarted_broker_is_used_again_and_health_tells(
    broker: ScriptedBroker, make_cluster: Make, told: Told
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    await broker.stop()
    cluster.request_refresh("a test")
    await cluster._refresher.turn(soon())
    assert cluster.health.state == "down"
    assert "refused" in cluster.health.last_error
    await broker.start()
    await cluster.ready(soon())
    assert (cluster.health.state, cluster.health.last_error) == ("up", "")
    assert told.of(ConnectionFailed)[0].retry_in > 0


async def test_health_counts_what_is_wanted_and_cannot_be_reached(
    brokers: list[ScriptedBroker], make_cluster: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a broker that was reached by another connection, or that nobody wants any more, or that has gone."""
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())

    async def fails(role: Role) -> None:
        with pytest.raises(NetworkError):
            await cluster.send(3, OFFSETS, role=role, timeout=1)

    await brokers[2].stop()
    await fails(Role.FETCH)
    assert cluster.health.state == "degraded"
    assert "refused" in cluster.health.last_error
    await brokers[2].start()
    await cluster.send(3, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=5)
    assert (cluster.health.state, cluster.health.last_error) == ("up", "")

    await brokers[2].stop()
    await fails(Role.FETCH_SIDE)
    assert cluster.health.state == "degraded"
    with monkeypatch.context() as later:
        later.setattr("felice.cluster.link.SLACK", -10.0)  # as if nobody had wanted it for a while
        assert (cluster.health.state, cluster.health.last_error) == ("up", "")

    await fails(Role.PRODUCE)
    brokers[0].peers = brokers[:2]
    cluster.request_refresh("a test")
    await cluster._refresher.turn(soon())
    assert (cluster.health.state, cluster.health.last_error) == ("up", "")


async def test_row_50_a_dead_broker_is_tried_ever_more_seldom(make_cluster: Make, told: Told) -> None:
    cluster = make_cluster(f"127.0.0.1:{free_port()}", reconnect_backoff=0.01, reconnect_backoff_max=10)
    with pytest.raises(DeadlineExceeded):
        await cluster.ready(soon(0.5))
    failures = told.of(ConnectionFailed)
    assert [event.failures for event in failures] == [1, 2, 4], "and of these, some are told"
    pauses = [event.retry_in for event in failures]
    assert pauses == sorted(pauses)
    assert 4 <= cluster._links.get(-1, Role.CONTROL)._backoff.failures <= 7


async def test_row_50_a_broker_that_hangs_up_after_the_handshake_is_not_hammered(
    broker: ScriptedBroker, make_cluster: Make, told: Told
) -> None:
    broker.on(MetadataRequest, lambda request, header: HANG_UP)
    cluster = make_cluster(broker.address, reconnect_backoff=0.01, reconnect_backoff_max=10, retry_backoff=0.001)
    with pytest.raises(DeadlineExceeded):
        await cluster.ready(soon(0.5))
    assert broker.accepted <= 7, "a handshake alone is no success"
    assert len(told.of(ConnectionOpened)) == broker.accepted


async def test_row_49_an_idle_close_by_the_broker_costs_one_reconnect_and_no_error(
    broker: ScriptedBroker, make_cluster: Make, told: Told
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    broker.hang_up()
    await told.wait_for(ConnectionClosed)
    assert cluster.health.state == "up"
    assert (await cluster.send(1, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=5)).cluster_id
    assert not told.of(ConnectionFailed)
    assert [event.expected for event in told.of(ConnectionClosed)] == [True]


async def test_row_21_a_reconnect_is_no_way_around_a_throttle(
    broker: ScriptedBroker, make_cluster: Make, told: Told
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    broker.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    broker.script(ListOffsetsRequest, ListOffsetsResponse(throttle_time_ms=300))
    await cluster.send(1, OFFSETS, role=Role.PRODUCE, timeout=5)
    cluster._links.get(1, Role.PRODUCE).retire("a test")
    started = time.monotonic()
    await cluster.send(1, OFFSETS, role=Role.PRODUCE, timeout=0.1)
    assert time.monotonic() - started > 0.25
    assert [event.seconds for event in told.of(Throttled)] == [0.3]


async def test_a_broker_that_is_not_known_cannot_be_sent_to(broker: ScriptedBroker, make_cluster: Make) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    with pytest.raises(ConnectError, match="node 7 is not among the brokers"):
        await cluster.send(7, OFFSETS, role=Role.PRODUCE, timeout=5)


async def test_row_11_a_send_is_bounded_while_it_connects(make_cluster: Make, broker: ScriptedBroker) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    broker.on(ApiVersionsRequest, lambda request, header: SILENCE)
    started = time.monotonic()
    with pytest.raises(ConnectError, match=r"within 0\.1 s"):
        await cluster.send(1, OFFSETS, role=Role.PRODUCE, timeout=0.1)
    assert time.monotonic() - started < 2


async def test_a_cancelled_send_does_not_cancel_the_connecting_of_others(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    broker.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    first, second = (asyncio.create_task(cluster.send(1, OFFSETS, role=Role.FETCH, timeout=5)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    assert isinstance(await second, ListOffsetsResponse)


async def test_a_moved_broker_is_reached_at_its_new_address(brokers: list[ScriptedBroker], make_cluster: Make) -> None:
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())
    await cluster.send(2, MetadataRequest(topics=[]), role=Role.PRODUCE, timeout=5)
    async with ScriptedBroker(2) as moved:
        moved.peers = [brokers[0], moved, brokers[2]]
        brokers[0].peers = moved.peers
        brokers[1].peers = brokers[2].peers = moved.peers
        cluster.request_refresh("a test")
        await changed(cluster.metadata, lambda: cluster.metadata.brokers[2].port == moved.port)
        await cluster.send(2, MetadataRequest(topics=[]), role=Role.PRODUCE, timeout=5)
        assert moved.count(MetadataRequest) == 1


async def test_a_broker_that_goes_while_it_is_connected_to_is_not_lost_sight_of(
    brokers: list[ScriptedBroker], make_cluster: Make
) -> None:
    """1. a connect to node 2 begins; 2. the picture loses node 2; 3. the connect succeeds. It is closed at last."""
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())
    brokers[1].on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    go_on = asyncio.Event()

    async def late(request: Any, header: Any) -> Any:
        await go_on.wait()
        return brokers[1].versions(request, header)

    brokers[1].on(ApiVersionsRequest, late)
    sending = asyncio.create_task(cluster.send(2, OFFSETS, role=Role.FETCH, timeout=5))
    await brokers[1].wait_for(ApiVersionsRequest)
    brokers[0].peers = [brokers[0], brokers[2]]
    cluster.request_refresh("a test")
    await changed(cluster.metadata, lambda: 2 not in cluster.metadata.brokers)
    go_on.set()
    assert isinstance(await sending, ListOffsetsResponse)
    assert cluster.health.connections == 2
    cluster.request_refresh("the broker is still not there")
    await cluster._refresher.turn(soon())
    assert cluster.health.connections == 1


async def test_a_request_to_a_broker_that_has_gone_ends_with_the_client(
    brokers: list[ScriptedBroker], make_cluster: Make
) -> None:
    """Its connection takes no more requests, and however often metadata comes meanwhile, closing still ends it."""
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())
    brokers[1].on(ListOffsetsRequest, lambda request, header: SILENCE)
    sending = asyncio.create_task(cluster.send(2, OFFSETS, role=Role.FETCH, timeout=30))
    await brokers[1].wait_for(ListOffsetsRequest)
    brokers[0].peers = [brokers[0], brokers[2]]
    for _ in range(3):
        cluster.request_refresh("a test")
        await cluster._refresher.turn(soon())
    assert 2 not in cluster.metadata.brokers
    await cluster.close(soon(1))
    async with asyncio.timeout(2):
        with pytest.raises(ClosedError):
            await sending


# -- calls that are tried again ---------------------------------------------------------------------------------------


async def test_a_call_goes_on_to_another_broker_at_once(brokers: list[ScriptedBroker], make_cluster: Make) -> None:
    cluster = make_cluster(*(one.address for one in brokers), retry_backoff=30, retry_backoff_max=30)
    await cluster.ready(soon())
    for one in brokers[:2]:
        one.on(ListOffsetsRequest, lambda request, header: HANG_UP)
    brokers[2].on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    for _ in range(5):
        assert isinstance(await cluster.call(OFFSETS, node=ANY, deadline=soon(10)), ListOffsetsResponse)


async def test_a_call_ends_at_its_deadline_with_the_chain_of_reasons(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    broker.on(ListOffsetsRequest, lambda request, header: HANG_UP)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"ListOffsets: no broker answered in time; last: .*closed by") as late:
        await cluster.call(OFFSETS, deadline=soon(0.3))
    assert time.monotonic() - started < 2
    assert late.value.may_have_happened


async def test_row_21_a_call_held_by_a_throttle_still_ends_at_its_deadline(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    broker.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse(throttle_time_ms=60_000))
    await cluster.call(OFFSETS, deadline=soon())
    started = time.monotonic()
    with pytest.raises(DeadlineExceeded, match="did not want requests"):
        await cluster.call(OFFSETS, node=1, deadline=soon(0.2))
    assert time.monotonic() - started < 2


async def test_a_call_that_must_not_be_repeated_is_not(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.on(ListOffsetsRequest, lambda request, header: HANG_UP)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    with pytest.raises(ConnectionLost) as caught:
        await cluster.call(OFFSETS, deadline=soon(), repeatable=False)
    assert caught.value.may_have_happened
    assert broker.count(ListOffsetsRequest) == 1


async def test_the_controller_is_called_by_its_role(brokers: list[ScriptedBroker], make_cluster: Make) -> None:
    for one in brokers:
        one.peers = [brokers[1], brokers[0], brokers[2]]  # the first one is told as the controller
        one.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())
    await cluster.call(OFFSETS, node=CONTROLLER, deadline=soon())
    assert [one.count(ListOffsetsRequest) for one in brokers] == [0, 1, 0]


async def test_the_least_loaded_connected_broker_is_asked(brokers: list[ScriptedBroker], make_cluster: Make) -> None:
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())
    for one in brokers:
        one.on(ListOffsetsRequest, lambda request, header: SILENCE)
        await cluster.send(one.node_id, MetadataRequest(topics=[]), role=Role.CONTROL, timeout=5)
    busy = [asyncio.create_task(cluster.send(n, OFFSETS, role=Role.CONTROL, timeout=5)) for n in (1, 2)]
    await asyncio.gather(*(one.wait_for(ListOffsetsRequest) for one in brokers[:2]))
    before = brokers[2].count(MetadataRequest)
    await cluster.call(MetadataRequest(topics=[]), deadline=soon())
    assert brokers[2].count(MetadataRequest) == before + 1
    for task in busy:
        task.cancel()


async def test_row_11_metadata_leaves_a_frozen_broker_for_another(
    brokers: list[ScriptedBroker], make_cluster: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = make_cluster(brokers[0].address)
    await cluster.ready(soon())
    cluster._patience = 0.05
    brokers[0].on(MetadataRequest, lambda request, header: SILENCE)
    started = time.monotonic()
    cluster.request_refresh("a test")
    await cluster._refresher.turn(soon())
    assert cluster._refresher.last_error is None
    assert time.monotonic() - started < 2


# -- coordinators -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("newest", [6, 3])
async def test_coordinators_are_found_once_and_remembered(
    brokers: list[ScriptedBroker], make_cluster: Make, newest: int
) -> None:
    def found(request: Any, header: Any) -> FindCoordinatorResponse:
        where = {"node_id": 2, "host": brokers[1].host, "port": brokers[1].port}
        if header.api_version >= 4:
            return FindCoordinatorResponse(
                coordinators=[FindCoordinatorResponse.Coordinator(key=request.coordinator_keys[0], **where)]
            )
        return FindCoordinatorResponse(**where)

    for one in brokers:
        one.ranges[10] = (0, newest)
        one.on(FindCoordinatorRequest, found)
    cluster = make_cluster(brokers[0].address)
    await cluster.start()
    for _ in range(3):
        assert await cluster.coordinator("post", KeyType.GROUP, soon()) == 2
    assert sum(one.count(FindCoordinatorRequest) for one in brokers) == 1
    cluster.forget_coordinator("post", KeyType.GROUP)
    await cluster.coordinator("post", KeyType.GROUP, soon())
    assert sum(one.count(FindCoordinatorRequest) for one in brokers) == 2


async def test_an_answer_without_a_coordinator_is_not_believed(broker: ScriptedBroker, make_cluster: Make) -> None:
    """All of its fields are at their defaults, and the default of a node's ID is a node's ID."""
    broker.on(FindCoordinatorRequest, lambda request, header: FindCoordinatorResponse())
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    with pytest.raises(WireError, match="coordinator of group post: the answer names nobody"):
        await cluster.coordinator("post", KeyType.GROUP, soon())


async def test_row_6_a_coordinator_that_is_not_there_yet_is_waited_for(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    def answer(code: int) -> FindCoordinatorResponse:
        return FindCoordinatorResponse(
            coordinators=[
                FindCoordinatorResponse.Coordinator(
                    key="post", node_id=-1 if code else 1, host=broker.host, port=broker.port, error_code=code
                )
            ]
        )

    broker.on(FindCoordinatorRequest, lambda request, header: answer(0))
    broker.script(FindCoordinatorRequest, answer(15), answer(14))
    cluster = make_cluster(broker.address)
    await cluster.start()
    assert await cluster.coordinator("post", KeyType.GROUP, soon()) == 1
    broker.on(FindCoordinatorRequest, lambda request, header: answer(30))
    with pytest.raises(BrokerError, match="group post: GROUP_AUTHORIZATION_FAILED"):
        await _find(cluster)
    broker.on(FindCoordinatorRequest, lambda request, header: answer(15))
    with pytest.raises(DeadlineExceeded, match="COORDINATOR_NOT_AVAILABLE"):
        await _find(cluster, 0.1)


async def _find(cluster: Cluster, seconds: float = 5) -> int:
    cluster.forget_coordinator("post", KeyType.GROUP)
    return await cluster.coordinator("post", KeyType.GROUP, soon(seconds))


# -- the end ----------------------------------------------------------------------------------------------------------


async def test_closing_ends_every_wait_and_leaves_nothing(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.on(ListOffsetsRequest, lambda request, header: SILENCE)
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    waits = [
        asyncio.create_task(cluster.wait_for_topic("never", soon(30))),
        asyncio.create_task(cluster.send(1, OFFSETS, role=Role.FETCH, timeout=30)),
        asyncio.create_task(cluster.call(OFFSETS, deadline=soon(30))),
    ]
    await broker.wait_for(ListOffsetsRequest, 2)
    await cluster.close(soon(1))
    for outcome in await asyncio.gather(*waits, return_exceptions=True):
        assert isinstance(outcome, ClosedError)
    assert cluster.health.state == "closed"
    with pytest.raises(ClosedError):
        await cluster.send(1, OFFSETS, role=Role.FETCH, timeout=1)
    with pytest.raises(ClosedError):
        await cluster.ready(soon())
    await cluster.close(soon(1))


async def test_closing_while_it_connects_leaves_nothing(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.on(ApiVersionsRequest, lambda request, header: SILENCE)
    cluster = make_cluster(broker.address)
    waiting = asyncio.create_task(cluster.ready(soon(30)))
    await broker.wait_for(ApiVersionsRequest)
    await cluster.close(soon(1))
    with pytest.raises(ClosedError):
        await waiting


async def test_closing_before_a_connect_has_begun_ends_its_waiters(broker: ScriptedBroker, make_cluster: Make) -> None:
    """A task that is cancelled before its first step never runs: its waiters must not depend on it."""
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    link = cluster._links.get(1, Role.FETCH)
    waiting = asyncio.ensure_future(link.connection(30))
    closing = asyncio.ensure_future(link.close())
    async with asyncio.timeout(5):
        with pytest.raises(ClosedError):
            await waiting
        await closing


async def test_an_answer_that_changes_nothing_still_wakes_those_who_wait(
    broker: ScriptedBroker, make_cluster: Make
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    broker.on(MetadataRequest, lambda request, header: MetadataResponse())
    cluster.request_refresh("a test")
    async with asyncio.timeout(5):
        await cluster._refresher.turn(soon(60))


async def test_a_background_task_that_fails_is_seen(
    broker: ScriptedBroker, make_cluster: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """It never hangs its waiters, and health tells."""
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    waiting = asyncio.create_task(cluster.wait_for_topic("never", soon(30)))

    async def broken() -> None:
        raise ZeroDivisionError("a bug")

    cluster.supervisor.spawn(broken(), "is broken")
    with pytest.raises(Exception, match="is broken"):
        await waiting
    assert cluster.health.state == "down"
    assert "a bug" in cluster.health.last_error
    assert "ZeroDivisionError" in caplog.text


async def test_a_fault_of_ours_in_a_refresh_is_logged_and_survived(
    broker: ScriptedBroker, make_cluster: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    with monkeypatch.context() as patch:
        patch.setattr(cluster.metadata, "apply", lambda answer: 1 / 0)
        cluster.request_refresh("a test")
        await cluster._refresher.turn(soon())
    assert "ZeroDivisionError" in caplog.text
    await cluster.ready(soon())
    assert cluster.health.state == "up"


async def test_a_timed_out_request_is_the_cause_that_is_told(broker: ScriptedBroker, make_cluster: Make) -> None:
    broker.on(ListOffsetsRequest, lambda request, header: SILENCE)
    cluster = make_cluster(broker.address, request_timeout=0.05)
    await cluster.ready(soon())
    with pytest.raises(DeadlineExceeded, match=r"did not answer ListOffsets.*within 0\.0\d+ s") as caught:
        await cluster.call(OFFSETS, deadline=soon(0.3))
    assert isinstance(caught.value.__cause__, RequestTimeout)


async def test_requests_do_not_overtake_those_that_waited_for_the_connection(
    make_cluster: Make, broker: ScriptedBroker, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes when the connection is there goes behind those who wait for it and have not run yet."""
    broker.on(ListOffsetsRequest, lambda request, header: ListOffsetsResponse())
    cluster = make_cluster(broker.address)
    await cluster.ready(soon())
    late: list[asyncio.Task[Any]] = []

    def send(isolation: int) -> "asyncio.Task[Any]":
        request = ListOffsetsRequest(replica_id=-1, isolation_level=isolation)
        return asyncio.create_task(cluster.send(1, request, role=Role.PRODUCE, timeout=5))

    def hear(event: Any) -> None:
        Told.hear(told, event)
        if type(event) is ConnectionOpened and event.role == Role.PRODUCE.value:
            late.extend(send(n) for n in (3, 4))

    monkeypatch.setattr(cluster._events, "_listeners", (hear,))
    await asyncio.gather(*[send(n) for n in (1, 2)])
    await asyncio.gather(*late)
    asked = [request.isolation_level for _, request in broker.requests if isinstance(request, ListOffsetsRequest)]
    assert asked == [1, 2, 3, 4]
