"""Replicas that lag, the high watermark, elections that lose records, and reading from followers."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asking import Asker, batch
from felice import Consumer, Producer
from felice.broker import Broker
from felice.errors import BrokerError, ErrorCode
from felice.wire.messages.fetch import FetchRequest
from felice.wire.messages.list_offsets import ListOffsetsRequest
from felice.wire.messages.metadata import MetadataRequest
from felice.wire.messages.offset_for_leader_epoch import OffsetForLeaderEpochRequest
from felice.wire.messages.produce import ProduceRequest

MakeBroker = Callable[..., Broker]
RACKS = ["north", "south", "west"]
BY_RACK = {"replica.selector.class": "org.apache.kafka.common.replica.RackAwareReplicaSelector"}


def nodes_of(broker: Broker) -> dict[int, Asker]:
    """A connection to each node, opened when it is used."""
    return {number: Asker(address, "test") for number, address in broker.nodes.items()}


def produce(asker: Asker, *values: bytes, acks: int = -1, timeout_ms: int = 5000, version: int = 10) -> Any:
    """Write to partition 0 of `letters`."""
    data = ProduceRequest.PartitionProduceData(index=0, records=batch(*values))
    request = ProduceRequest(
        acks=acks,
        timeout_ms=timeout_ms,
        transactional_id=None,
        topic_data=[ProduceRequest.TopicProduceData(name="letters", partition_data=[data])],
    )
    return asker.ask(request, version).responses[0].partition_responses[0]


def fetch(
    asker: Asker,
    offset: int,
    *,
    rack: str = "",
    version: int = 12,
    last_epoch: int = -1,
    max_wait_ms: int = 0,
    isolation_level: int = 0,
) -> Any:
    """Read partition 0 of `letters`."""
    asked = FetchRequest.FetchPartition(
        partition=0, fetch_offset=offset, partition_max_bytes=1 << 20, last_fetched_epoch=last_epoch
    )
    request = FetchRequest(
        max_wait_ms=max_wait_ms,
        min_bytes=1,
        isolation_level=isolation_level,
        rack_id=rack,
        topics=[FetchRequest.FetchTopic(topic="letters", partitions=[asked])],
    )
    return asker.ask(request, version).responses[0].partitions[0]


def latest(asker: Asker, version: int = 7) -> tuple[int, int]:
    """Ask for the end of partition 0 of `letters`; return code and offset."""
    asked = ListOffsetsRequest.ListOffsetsPartition(partition_index=0, timestamp=-1)
    request = ListOffsetsRequest(
        replica_id=-1, topics=[ListOffsetsRequest.ListOffsetsTopic(name="letters", partitions=[asked])]
    )
    found = asker.ask(request, version).topics[0].partitions[0]
    return found.error_code, found.offset


def epoch_end(asker: Asker, epoch: int) -> tuple[int, int]:
    """Ask where a leader epoch ended."""
    asked = OffsetForLeaderEpochRequest.OffsetForLeaderPartition(partition=0, leader_epoch=epoch)
    topic = OffsetForLeaderEpochRequest.OffsetForLeaderTopic(topic="letters", partitions=[asked])
    found = asker.ask(OffsetForLeaderEpochRequest(topics=[topic]), 4).topics[0].partitions[0]
    return found.leader_epoch, found.end_offset


def values(broker: Broker) -> list[bytes | None]:
    """All values of partition 0 of `letters`."""
    return [record.value for record in broker.records("letters", 0)]


def test_a_replica_in_sync_that_lags_holds_readers_and_writers_back(make_broker: MakeBroker) -> None:
    """acks=all times out, though the records are there; readers see them when the replica has caught up."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    one = nodes_of(broker)[1]
    produce(one, b"a")
    broker.pause_replica("letters", 0, 2)
    late = produce(one, b"b", timeout_ms=50)
    assert (late.error_code, late.base_offset) == (ErrorCode.REQUEST_TIMED_OUT, 1)
    assert produce(one, b"c", acks=1).base_offset == 2
    assert latest(one) == (0, 1)
    found = fetch(one, 1)
    assert (found.high_watermark, bytes(found.records)) == (1, b"")
    state = broker.replication("letters", 0)
    assert (state.in_sync, state.ends, state.high_watermark) == ((1, 2), {1: 3, 2: 1}, 1)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(fetch, one, 1, max_wait_ms=10_000)
        broker.requests.wait_for("Fetch", count=2)
        broker.grow_isr("letters", 0, 2)
        assert reading.result(10).high_watermark == 3
    one.hang_up()


def test_what_a_lagging_replica_has_of_another_leader_is_not_in_sync(make_broker: MakeBroker) -> None:
    """A record it has at the offset, but another one, does not let readers see the present leader's."""
    broker = make_broker(topics={"letters": 1}, nodes=3)
    ask = nodes_of(broker)
    broker.pause_replica("letters", 0, 2)
    produce(ask[1], b"lost", acks=1)
    broker.pause_replica("letters", 0, 3)
    broker.stop(1)
    late = produce(ask[2], b"kept", timeout_ms=50)
    assert (late.error_code, late.base_offset) == (ErrorCode.REQUEST_TIMED_OUT, 0)
    state = broker.replication("letters", 0)
    assert (state.in_sync, state.ends, state.high_watermark) == ((2, 3), {1: 1, 2: 1, 3: 1}, 0)
    assert fetch(ask[2], 0).high_watermark == 0
    broker.grow_isr("letters", 0, 3)
    assert broker.replication("letters", 0).high_watermark == 1
    broker.stop(2)
    assert values(broker) == [b"kept"]
    for asker in ask.values():
        asker.hang_up()


def test_writers_that_wait_are_answered_when_the_replica_catches_up_or_is_given_up(make_broker: MakeBroker) -> None:
    """A lagging replica is out of sync after `replica.lag.time.max.ms` on the broker's clock."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    one, other = nodes_of(broker)[1], nodes_of(broker)[1]
    with ThreadPoolExecutor() as pool:
        for end_of_lag in (lambda: broker.grow_isr("letters", 0, 2), lambda: broker.clock.advance(30)):
            broker.pause_replica("letters", 0, 2)
            seen = broker.requests.of("Produce")
            waiting = pool.submit(produce, one, b"a", timeout_ms=20_000)
            broker.requests.wait_for("Produce", count=len(seen) + 1)
            broker.clock.advance(29.9)
            assert not waiting.done()
            assert broker.replication("letters", 0).in_sync == (1, 2)
            end_of_lag()
            assert waiting.result(10).error_code == 0
    assert broker.replication("letters", 0).in_sync == (1,)
    assert produce(other, b"b").error_code == 0
    for asker in (one, other):
        asker.hang_up()


def test_a_writer_that_waits_hears_that_its_leader_is_gone(make_broker: MakeBroker) -> None:
    """With the node that leads now; the record may have been written."""
    broker = make_broker(topics={"letters": 1}, nodes=3)
    one = nodes_of(broker)[1]
    broker.pause_replica("letters", 0, 3)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(produce, one, b"a", timeout_ms=20_000)
        broker.requests.wait_for("Produce")
        broker.move_leader("letters", 0, 2)
        answer = waiting.result(10)
    assert (answer.error_code, answer.current_leader.leader_id) == (ErrorCode.NOT_LEADER_OR_FOLLOWER, 2)
    one.hang_up()


def test_too_few_in_sync(make_broker: MakeBroker) -> None:
    """acks=all is refused; what is written all the same is not seen before enough are in sync (KIP-966)."""
    broker = make_broker(nodes=3)
    broker.create_topic("letters", 1, configs={"min.insync.replicas": 2})
    one = nodes_of(broker)[1]
    for node in (2, 3):
        broker.shrink_isr("letters", 0, node)
    assert produce(one, b"a").error_code == ErrorCode.NOT_ENOUGH_REPLICAS
    assert produce(one, b"a", acks=1).error_code == 0
    assert latest(one) == (0, 0)
    broker.stop(1)
    assert broker.leader("letters", 0) == 3  # it was eligible: it has all that readers saw
    three = nodes_of(broker)[3]
    broker.start(1)
    assert broker.replication("letters", 0).in_sync == (1, 3)
    assert values(broker) == []
    assert produce(three, b"b").error_code == 0
    assert latest(three) == (0, 1)
    for asker in (one, three):
        asker.hang_up()


def test_a_new_leader_that_is_not_sure_of_its_end_says_so(make_broker: MakeBroker) -> None:
    """The end is OFFSET_NOT_AVAILABLE, in old versions LEADER_NOT_AVAILABLE, until the epoch's begin is in sync."""
    broker = make_broker(nodes=2)
    broker.create_topic("letters", 1, configs={"min.insync.replicas": 2})
    one = nodes_of(broker)[1]
    broker.stop(2)
    produce(one, b"a", acks=1)
    broker.stop(1)
    one.hang_up()
    broker.start(1)
    assert latest(one) == (ErrorCode.OFFSET_NOT_AVAILABLE, -1)
    assert latest(one, version=4) == (ErrorCode.LEADER_NOT_AVAILABLE, -1)
    broker.start(2)
    assert latest(one) == (0, 1)
    one.hang_up()


def lose_two_records(broker: Broker) -> None:
    """Have `a` to `d` written to `letters`, and `c` and `d` lost."""
    one = nodes_of(broker)[1]
    produce(one, b"a", b"b")
    broker.shrink_isr("letters", 0, 2)
    produce(one, b"c")
    produce(one, b"d")
    one.hang_up()
    broker.stop(1)
    broker.elect_leader("letters", 0, unclean=True)


def test_an_unclean_election_cuts_the_log(make_broker: MakeBroker) -> None:
    """The replica that lagged leads with what it has; the old leader gives up the rest when it is back."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    lose_two_records(broker)
    two = nodes_of(broker)[2]
    assert values(broker) == [b"a", b"b"]
    assert (latest(two), broker.leader_epoch("letters", 0)) == ((0, 2), 2)
    assert produce(two, b"e").base_offset == 2
    assert (epoch_end(two, 0), epoch_end(two, 1), epoch_end(two, 2)) == ((0, 2), (0, 2), (2, 3))
    diverging = fetch(two, 4, last_epoch=0)
    assert (diverging.diverging_epoch.epoch, diverging.diverging_epoch.end_offset) == (0, 2)
    assert (diverging.error_code, bytes(diverging.records)) == (0, b"")
    assert broker.replication("letters", 0).ends == {1: 4, 2: 3}
    broker.start(1)
    assert broker.replication("letters", 0)[3:5] == ((1, 2), {1: 3, 2: 3})
    broker.move_leader("letters", 0, 1)
    assert values(broker) == [b"a", b"b", b"e"]
    two.hang_up()


def test_records_that_were_lost_come_back_with_the_replica_that_has_them(make_broker: MakeBroker) -> None:
    """Where the other one goes before it comes back, an unclean election takes the old leader's log."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    lose_two_records(broker)
    two = nodes_of(broker)[2]
    produce(two, b"e")
    two.hang_up()
    broker.stop(2)
    broker.start(1)
    assert broker.leader("letters", 0) == -1
    broker.elect_leader("letters", 0, unclean=True)
    assert values(broker) == [b"a", b"b", b"c", b"d"]
    broker.start(2)
    assert broker.replication("letters", 0).ends == {1: 4, 2: 4}


def test_a_topic_may_ask_for_unclean_elections(make_broker: MakeBroker) -> None:
    """With `unclean.leader.election.enable` a partition is not without a leader for long."""
    broker = make_broker(nodes=2)
    broker.create_topic("letters", 1, configs={"unclean.leader.election.enable": True})
    one = nodes_of(broker)[1]
    broker.shrink_isr("letters", 0, 2)
    produce(one, b"a")
    one.hang_up()
    broker.stop(1)
    assert (broker.leader("letters", 0), values(broker)) == (2, [])


def test_elections_are_refused_as_kafka_does(make_broker: MakeBroker) -> None:
    """A preferred leader that leads or cannot, and an unclean election that is not needed or finds nobody."""
    broker = make_broker(topics={"letters": 1}, nodes=3)

    def refusal(**how: bool) -> ErrorCode:
        with pytest.raises(BrokerError) as caught:
            broker.elect_leader("letters", 0, **how)
        return ErrorCode(caught.value.code)

    assert refusal() == refusal(unclean=True) == ErrorCode.ELECTION_NOT_NEEDED
    broker.stop(1)
    assert refusal() == ErrorCode.PREFERRED_LEADER_NOT_AVAILABLE
    broker.start(1)
    assert broker.leader("letters", 0) == 2  # whoever comes back follows
    broker.elect_leader("letters", 0)
    assert broker.leader("letters", 0) == 1
    for node in (3, 2):
        broker.shrink_isr("letters", 0, node)
    broker.stop(1)
    broker.stop(2)
    broker.stop(3)
    assert refusal(unclean=True) == ErrorCode.ELIGIBLE_LEADERS_NOT_AVAILABLE


def test_a_consumer_notices_that_records_it_read_were_lost(make_broker: MakeBroker) -> None:
    """felice's own consumer goes back to where the logs part, and reads what stands there now (KIP-320)."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    with (
        Producer(broker.bootstrap_servers) as producer,
        Consumer(broker.bootstrap_servers, "letters", start="earliest") as consumer,
    ):
        producer.send_and_wait("letters", b"a")
        broker.shrink_isr("letters", 0, 2)
        for value in (b"b", b"c"):
            producer.send_and_wait("letters", value)
        read: list[bytes | None] = []
        while len(read) < 3:
            read += [message.value for message in consumer.poll(10) or ()]
        broker.stop(1)
        broker.elect_leader("letters", 0, unclean=True)
        producer.send_and_wait("letters", b"d")
        while len(read) < 4:
            read += [message.value for message in consumer.poll(10) or ()]
    assert read == [b"a", b"b", b"c", b"d"]
    assert values(broker) == [b"a", b"d"]


def test_producers_numbers_go_on_where_the_log_was_cut(make_broker: MakeBroker) -> None:
    """What the leader knows of an idempotent producer is what stands in its log."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    one, two = nodes_of(broker).values()
    for sequence, value in enumerate((b"a", b"b", b"c")):
        if value == b"b":
            broker.shrink_isr("letters", 0, 2)
        one.produce("letters", batch(value, producer=(5, 0, sequence)))
    one.hang_up()
    broker.stop(1)
    broker.elect_leader("letters", 0, unclean=True)

    def send(sequence: int) -> tuple[int, int]:
        answer = two.produce("letters", batch(b"d", producer=(5, 0, sequence)))
        result = answer.responses[0].partition_responses[0]
        return result.error_code, result.base_offset

    assert send(3) == (ErrorCode.OUT_OF_ORDER_SEQUENCE_NUMBER, -1)
    assert send(0) == (0, 0)  # the first one is there already
    assert send(1) == (0, 1)
    two.hang_up()


def test_a_transaction_whose_end_was_cut_off_is_open_again(make_broker: MakeBroker) -> None:
    """Readers of committed records see nothing of it, and everything before it; one that was aborted stays so."""
    from confluent_kafka import Producer as Confluent

    broker = make_broker(topics={"letters": 1}, nodes=2)
    writer = Confluent({"bootstrap.servers": broker.bootstrap_servers, "transactional.id": "writer"})
    writer.init_transactions(20)
    for value, end in ((b"a", writer.commit_transaction), (b"b", writer.abort_transaction)):
        writer.begin_transaction()
        writer.produce("letters", value)
        writer.flush(20)
        end(20)
    writer.begin_transaction()
    writer.produce("letters", b"c")
    writer.flush(20)
    broker.shrink_isr("letters", 0, 2)
    writer.commit_transaction(20)
    one, two = nodes_of(broker).values()

    def committed(asker: Asker) -> tuple[int, int, list[tuple[int, int]]]:
        found = fetch(asker, 0, isolation_level=1)
        aborted = [(each.producer_id >= 0, each.first_offset) for each in found.aborted_transactions]
        return found.high_watermark, found.last_stable_offset, aborted

    assert committed(one) == (6, 6, [(True, 2)])
    assert committed(two) == (5, 4, [(True, 2)])  # the follower that lags does not know of the end
    one.hang_up()
    broker.stop(1)
    broker.elect_leader("letters", 0, unclean=True)
    assert committed(two) == (5, 4, [(True, 2)])
    two.hang_up()


def test_a_reader_is_sent_to_the_replica_of_its_rack(make_broker: MakeBroker) -> None:
    """The leader names it and gives no records; it serves up to the high watermark (KIP-392)."""
    broker = make_broker(topics={"letters": 1}, nodes=3, racks=RACKS, configs=BY_RACK)
    one, _, three = (asker for asker in nodes_of(broker).values())
    produce(one, b"a")
    for rack, wanted in {"north": -1, "west": 3, "south": 2, "elsewhere": -1, "": -1}.items():
        found = fetch(one, 0, rack=rack)
        assert (found.preferred_read_replica, bool(found.records)) == (wanted, wanted == -1), rack
    assert fetch(one, 0, rack="west", version=11).preferred_read_replica == 3
    assert fetch(one, 0, rack="west", version=10).preferred_read_replica == -1
    assert bytes(fetch(three, 0, rack="west").records) == broker.batches("letters", 0)[0]
    assert fetch(three, 2).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    broker.shrink_isr("letters", 0, 3)
    produce(one, b"b")
    assert fetch(one, 0, rack="west").preferred_read_replica == -1  # not in sync
    behind = fetch(three, 1)
    assert (behind.error_code, behind.high_watermark, bytes(behind.records)) == (0, 1, b"")
    assert fetch(three, 2).error_code == ErrorCode.OFFSET_OUT_OF_RANGE
    broker.grow_isr("letters", 0, 3)
    assert fetch(three, 1).high_watermark == 2
    for asker in (one, three):
        asker.hang_up()


def test_replicas_lie_on_different_racks(make_broker: MakeBroker) -> None:
    """Two replicas are never on one rack of two, and every node leads as often as the others."""
    broker = make_broker(
        topics={"letters": 8}, nodes=4, racks=["a", "a", "b", "b"], configs={"default.replication.factor": 2}
    )
    node = nodes_of(broker)[1]
    answer = node.ask(MetadataRequest(topics=None), 12)
    assert [broker_.rack for broker_ in answer.brokers] == ["a", "a", "b", "b"]
    replicas = [partition.replica_nodes for partition in answer.topics[0].partitions]
    assert all({number > 2 for number in nodes} == {False, True} for nodes in replicas)
    leaders = [nodes[0] for nodes in replicas]
    assert sorted(leaders) == [1, 1, 2, 2, 3, 3, 4, 4]
    node.hang_up()


def test_a_partition_moves_to_other_nodes(make_broker: MakeBroker) -> None:
    """At once with its records; where a new node is down, when that is up."""
    broker = make_broker(nodes=3)
    broker.create_topic("letters", 1, replication_factor=1)
    one, _, three = nodes_of(broker).values()
    produce(one, b"a")
    broker.reassign("letters", 0, [3])
    state = broker.replication("letters", 0)
    assert (state.leader, state.replicas, state.in_sync, state.leader_epoch) == (3, (3,), (3,), 1)
    broker.stop(2)
    broker.reassign("letters", 0, [2])
    state = broker.replication("letters", 0)
    assert (state.leader, state.replicas, state.ends) == (3, (2, 3), {2: 0, 3: 1})
    assert produce(three, b"b").error_code == 0
    broker.start(2)
    state = broker.replication("letters", 0)
    assert (state.leader, state.replicas, state.ends) == (2, (2,), {2: 2})
    assert values(broker) == [b"a", b"b"]
    with pytest.raises(BrokerError, match="INVALID_REPLICA_ASSIGNMENT"):
        broker.reassign("letters", 0, [2, 9])
    for asker in (one, three):
        asker.hang_up()


def test_everything_may_be_called_from_any_thread(make_broker: MakeBroker) -> None:
    """Many threads move, shrink and look at once; at the end all replicas are in sync again."""
    broker = make_broker(topics={"letters": 4}, nodes=3)
    failed: list[BaseException] = []

    def disturb(partition: int) -> None:
        try:
            for turn in range(30):
                broker.move_leader("letters", partition, turn % 3 + 1)
                lagging = (turn + 1) % 3 + 1
                broker.shrink_isr("letters", partition, lagging)
                assert lagging not in broker.replication("letters", partition).in_sync
                broker.grow_isr("letters", partition, lagging)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=disturb, args=(partition,)) for partition in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    assert all(broker.replication("letters", partition).in_sync == (1, 2, 3) for partition in range(4))
