"""Members of share groups at the embedded broker, over sockets: waiting, locks, connections, and leaders that move."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from asking import Asker, batch
from felice.broker import Broker
from felice.errors import ErrorCode
from share_member import PATIENT, ShareMember, begin_share

ACCEPT, RELEASE = 1, 2

Join = Callable[..., ShareMember]


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """A broker with a topic of one partition."""
    return make_broker(topics={"t": 1})


@pytest.fixture
def asker(broker: Broker) -> Iterator[Asker]:
    """Somebody who writes to the topic, which the group reads."""
    with Asker(broker.bootstrap_servers, "asker") as asker:
        begin_share(broker, "t")
        yield asker


@pytest.fixture
def join(broker: Broker, asker: Asker) -> Iterator[Join]:
    """Makes members of the group."""
    with ExitStack() as stack:

        def make(name: str = "one", servers: str = broker.bootstrap_servers) -> ShareMember:
            return stack.enter_context(ShareMember(servers, broker.topic_id("t"), name))

        yield make


def write(asker: Asker, count: int) -> None:
    """Append one batch of records."""
    assert asker.produce("t", batch(*[b"x"] * count)).responses[0].partition_responses[0].error_code == 0


def waits(broker: Broker, count: int = 1) -> None:
    """Wait until so many requests wait for records."""
    broker.wait_until(lambda: len(broker._cluster.partition("t", 0).watchers) > count)


def test_a_fetch_waits_for_records(broker: Broker, asker: Asker, join: Join) -> None:
    """It is answered when they come."""
    one = join()
    one.begin(wait=PATIENT)
    waits(broker)
    write(asker, 3)
    assert one.finish() == [0, (0, 0, [(0, 2, 1)])]


def test_a_first_fetch_gets_the_records_of_one_partition(make_broker: Callable[..., Broker]) -> None:
    """Those of the partition whose state the leader has read first."""
    broker = make_broker(topics={"t": 2})
    for index in range(2):
        begin_share(broker, "t", index)
    with Asker(broker.bootstrap_servers, "asker") as asker:
        for index in range(2):
            asker.produce("t", batch(b"x", b"x"), partition=index)
    with ShareMember(broker.bootstrap_servers, broker.topic_id("t")) as one:
        assert one.fetch(0, 1, wait=PATIENT) == [0, (0, 0, [(0, 1, 1)])]
        assert one.fetch(wait=PATIENT) == [0, (1, 0, [(0, 1, 1)])]


def test_a_first_fetch_that_does_not_wait_gets_nothing(asker: Asker, join: Join) -> None:
    """The leader has not read the partition's state by then."""
    write(asker, 2)
    one = join()
    assert one.fetch() == [0]
    assert one.fetch(wait=PATIENT) == [0, (0, 0, [(0, 1, 1)])]


def test_a_fetch_waits_for_as_many_bytes_as_it_wants(broker: Broker, asker: Asker, join: Join) -> None:
    """One batch is not enough for what is larger than that."""
    one = join()
    size = len(batch(b"x", b"x", b"x"))
    one.begin(wait=PATIENT, min_bytes=size + 1)
    waits(broker)
    write(asker, 3)
    write(asker, 3)
    assert one.finish() == [0, (0, 0, [(0, 5, 1)])]


def test_a_fetch_waits_no_longer_than_it_wants(join: Join) -> None:
    """The answer to the first one names its partitions, those to later ones only what is new."""
    one = join()
    assert one.fetch(wait=1) == [0, (0, 0, [])]
    assert one.fetch(wait=1) == [0]


def test_what_one_member_releases_goes_to_another_who_waits(broker: Broker, asker: Asker, join: Join) -> None:
    """At once, and with its number of deliveries."""
    write(asker, 3)
    one, two = join("one"), join("two")
    one.fetch(wait=PATIENT)
    two.begin(wait=PATIENT)
    waits(broker)
    assert one.say(0, 1, RELEASE) == 0
    assert two.finish() == [0, (0, 0, [(0, 1, 2)])]


def test_what_a_member_has_for_too_long_goes_to_another(broker: Broker, asker: Asker, join: Join) -> None:
    """When the lock ends on the broker's clock, who waits gets it, and who had it has no say any more."""
    write(asker, 3)
    one, two = join("one"), join("two")
    one.fetch(wait=PATIENT)
    two.begin(wait=PATIENT)
    waits(broker)
    broker.clock.advance(30)
    assert two.finish() == [0, (0, 0, [(0, 2, 2)])]
    assert one.say(0, 2, ACCEPT) == ErrorCode.INVALID_RECORD_STATE


def test_what_a_member_has_is_free_when_its_connection_ends(broker: Broker, asker: Asker, join: Join) -> None:
    """Its session has ended with that."""
    write(asker, 3)
    one, two = join("one"), join("two")
    one.fetch(wait=PATIENT)
    two.begin(wait=PATIENT)
    waits(broker)
    one.asker.hang_up()
    assert two.finish() == [0, (0, 0, [(0, 2, 2)])]
    assert one.say(0, 2, ACCEPT) == ErrorCode.SHARE_SESSION_NOT_FOUND


def test_a_connection_that_ends_while_it_waits_takes_nothing_along(broker: Broker, asker: Asker, join: Join) -> None:
    """Its request is forgotten, and records go to who is still there."""
    one = join("one")
    one.begin(wait=PATIENT)
    waits(broker)
    one.asker.hang_up()
    broker.wait_until(lambda: not broker._cluster.partition("t", 0).watchers)
    write(asker, 3)
    assert join("two").fetch(wait=PATIENT) == [0, (0, 0, [(0, 2, 1)])]


def test_a_session_goes_on_where_its_member_connects_anew(broker: Broker, asker: Asker, join: Join) -> None:
    """The connection that has opened a session in place of another is the one whose end counts."""
    write(asker, 3)
    first, again = join("one"), join("one")
    first.fetch()
    again.fetch(wait=PATIENT)
    first.asker.hang_up()
    broker.wait_until(lambda: len(broker._cluster.share_leaders.sessions(broker._cluster.nodes[1])) == 1)
    assert again.say(0, 2, ACCEPT) == 0


def test_one_session_more_than_there_may_be_is_refused_when_its_time_is_up(make_broker: Callable[..., Broker]) -> None:
    """It waits as long as it would for records, so that clients do not ask again and again."""
    broker = make_broker(topics={"t": 1}, configs={"group.share.max.share.sessions": 1})
    begin_share(broker, "t")
    with (
        ShareMember(broker.bootstrap_servers, broker.topic_id("t"), "one") as one,
        ShareMember(broker.bootstrap_servers, broker.topic_id("t"), "two") as two,
    ):
        one.fetch()
        two.begin(wait=50)
        assert one.fetch() == [0]
        assert two.finish() == [ErrorCode.SHARE_SESSION_LIMIT_REACHED]


def test_a_member_that_asks_another_node_is_told_who_leads(make_broker: Callable[..., Broker]) -> None:
    """With the leader's epoch and address; the new leader goes on with what is written."""
    broker = make_broker(nodes=2, topics={"t": 1})
    topic_id, addresses = broker.topic_id("t"), broker.bootstrap_servers.split(",")
    old = broker.leader("t", 0)
    new = 3 - old
    with Asker(addresses[old - 1], "asker") as asker:
        begin_share(broker, "t")
        write(asker, 4)
    with (
        ShareMember(addresses[old - 1], topic_id, "one") as one,
        ShareMember(addresses[new - 1], topic_id, "two") as two,
    ):
        assert one.fetch(wait=PATIENT) == [0, (0, 0, [(0, 3, 1)])]
        assert one.say(0, 0, ACCEPT) == 0
        assert one.say(1, 1, RELEASE) == 0
        broker.move_leader("t", 0, new)
        assert two.fetch(wait=PATIENT) == [0, (0, 0, [(1, 1, 2), (2, 3, 1)])]
        one.begin()
        answer = one.answered()
        told = answer.responses[0].partitions[0]
        assert told.error_code == ErrorCode.NOT_LEADER_OR_FOLLOWER
        assert (told.current_leader.leader_id, told.current_leader.leader_epoch) == (new, broker.leader_epoch("t", 0))
        assert [f"{node.host}:{node.port}" for node in answer.node_endpoints] == [addresses[new - 1]]
        assert one.say(2, 3, ACCEPT) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION


@pytest.mark.parametrize(("killed", "deliveries"), [(False, 2), (True, 1)])
def test_a_node_that_comes_back_knows_no_sessions(
    make_broker: Callable[..., Broker], killed: bool, deliveries: int
) -> None:
    """But what is written: one that stops takes back what members have, one that is killed does not come to it."""
    broker = make_broker(topics={"t": 1})
    begin_share(broker, "t")
    with Asker(broker.bootstrap_servers, "asker") as asker:
        write(asker, 4)
    with ShareMember(broker.bootstrap_servers, broker.topic_id("t")) as one:
        one.fetch(wait=PATIENT)
        assert one.say(0, 1, ACCEPT) == 0
        if killed:
            broker.kill(1)
        else:
            broker.stop(1)
        broker.start(1)
        one.asker.hang_up()
        assert one.fetch() == [ErrorCode.SHARE_SESSION_NOT_FOUND]
        one.epoch = 0
        assert one.fetch(wait=PATIENT) == [0, (0, 0, [(2, 3, deliveries)])]


def test_faults_strike_share_fetches(broker: Broker, asker: Asker, join: Join) -> None:
    """An error for a partition comes at once; one for a whole request leaves its session as it was."""
    write(asker, 2)
    one = join()
    broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, "ShareFetch", topic="t", partition=0, times=1)
    assert one.fetch() == [0, (0, ErrorCode.KAFKA_STORAGE_ERROR, [])]
    broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, "ShareFetch", times=1)
    assert one.fetch() == [ErrorCode.KAFKA_STORAGE_ERROR]
    assert one.fetch(wait=PATIENT) == [0, (0, 0, [(0, 1, 1)])]
    broker.faults.error(ErrorCode.KAFKA_STORAGE_ERROR, "ShareAcknowledge", topic="t", times=1)
    assert one.say(0, 1, ACCEPT) == ErrorCode.KAFKA_STORAGE_ERROR
    assert one.say(0, 1, ACCEPT) == 0


@pytest.mark.parametrize("leaves", [False, True])
def test_who_speaks_to_the_last_leader_changes_nothing_at_the_next(
    make_broker: Callable[..., Broker], leaves: bool
) -> None:
    """Whoever has records there keeps them, whether a member of the node before acknowledges or hangs up."""
    broker = make_broker(nodes=2, topics={"t": 1})
    topic_id, addresses = broker.topic_id("t"), broker.bootstrap_servers.split(",")
    old = broker.leader("t", 0)
    new = 3 - old
    with Asker(addresses[old - 1], "asker") as asker:
        begin_share(broker, "t")
        write(asker, 4)
    with (
        ShareMember(addresses[old - 1], topic_id, "one") as one,
        ShareMember(addresses[new - 1], topic_id, "two") as two,
        ShareMember(addresses[new - 1], topic_id, "three") as three,
    ):
        one.fetch(wait=PATIENT)
        broker.move_leader("t", 0, new)
        assert two.fetch(wait=PATIENT) == [0, (0, 0, [(0, 3, 1)])]
        if leaves:
            one.asker.hang_up()
            broker.wait_until(lambda: not len(broker._cluster.share_leaders.sessions(broker._cluster.nodes[old])))
        else:
            assert one.say(0, 3, ACCEPT) == ErrorCode.UNKNOWN_TOPIC_OR_PARTITION
        assert three.fetch(wait=1) == [0, (0, 0, [])]
        assert three.fetch(wait=1) == [0]
        assert two.say(0, 3, ACCEPT) == 0
