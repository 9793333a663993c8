"""Nodes that are killed, come and go; controllers and coordinators that move."""

import socket
from collections.abc import Callable

import pytest

from asking import Asker, batch
from felice.broker import Broker
from felice.errors import BrokerError, UsageError
from felice.wire.messages.find_coordinator import FindCoordinatorRequest
from felice.wire.messages.heartbeat import HeartbeatRequest
from felice.wire.messages.metadata import MetadataRequest

MakeBroker = Callable[..., Broker]


def described(asker: Asker) -> tuple[list[int], int, dict[int, tuple[int, list[int]]]]:
    """Ask for the nodes, the controller, and leader and replicas of each partition of the first topic."""
    answer = asker.ask(MetadataRequest(topics=None), 12)
    partitions = {
        partition.partition_index: (partition.leader_id, partition.replica_nodes)
        for topic in answer.topics[:1]
        for partition in topic.partitions
    }
    return [node.node_id for node in answer.brokers], answer.controller_id, partitions


def test_a_killed_node_resets_its_connections(make_broker: MakeBroker) -> None:
    """Its clients get an error, not an end, at once; another node leads, with all records."""
    broker = make_broker(topics={"letters": 1}, nodes=2)
    one, two = (Asker(address, "test") for address in broker.bootstrap_servers.split(","))
    one.produce("letters", batch(b"a"))
    host, port = broker.nodes[1].split(":")
    with socket.create_connection((host, int(port)), timeout=10) as idle:
        one.ask(MetadataRequest(topics=[]), 9)  # by now the idle connection was accepted
        broker.kill(1)
        with pytest.raises(ConnectionResetError):
            idle.recv(1)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)), timeout=10)
    assert described(two) == ([2], 2, {0: (2, [1, 2])})
    assert two.produce("letters", batch(b"b")).responses[0].partition_responses[0].base_offset == 1
    broker.start(1)
    assert broker.replication("letters", 0).in_sync == (1, 2)
    for asker in (one, two):
        asker.hang_up()


def test_a_killed_node_that_was_the_last_in_sync_leads_again(make_broker: MakeBroker) -> None:
    """Nobody knows better than who led last."""
    broker = make_broker(nodes=2)
    broker.create_topic("letters", 1, replication_factor=1)
    one = Asker(broker.bootstrap_servers, "test")
    one.produce("letters", batch(b"a"))
    one.hang_up()
    broker.kill(1)
    state = broker.replication("letters", 0)
    assert (state.leader, state.in_sync, state.leader_epoch) == (-1, (), 1)
    broker.start(1)
    state = broker.replication("letters", 0)
    assert (state.leader, state.in_sync, state.leader_epoch) == (1, (1,), 2)
    assert [record.value for record in broker.records("letters", 0)] == [b"a"]


def test_a_node_that_is_added_appears_and_takes_part(make_broker: MakeBroker) -> None:
    """It has an ID and a port of its own, is told of in Metadata, and can lead and be stopped like any other."""
    broker = make_broker(topics={"letters": 1}, nodes=1)
    assert broker.add_node(rack="north") == 2
    one, two = (Asker(address, "test") for address in broker.nodes.values())
    assert broker.bootstrap_servers == ",".join(broker.nodes.values())
    answer = one.ask(MetadataRequest(topics=[]), 12)
    assert [(node.node_id, node.rack) for node in answer.brokers] == [(1, None), (2, "north")]
    broker.create_topic("diaries", 2, replication_factor=2)
    assert [broker.leader("diaries", index) for index in range(2)] == [1, 2]
    broker.move_leader("letters", 0, 2)
    assert two.produce("letters", batch(b"a")).responses[0].partition_responses[0].error_code == 0
    broker.stop(2)
    two.hang_up()
    broker.start(2)
    assert broker.leader("letters", 0) == 2
    for asker in (one, two):
        asker.hang_up()


def test_a_removed_node_leaves_its_replicas_to_the_others(make_broker: MakeBroker) -> None:
    """With all their records; where every other node has one already there is one replica less."""
    broker = make_broker(nodes=3)
    broker.create_topic("letters", 3, replication_factor=1)
    broker.create_topic("diaries", 1, replication_factor=3)
    port = int(broker.nodes[2].split(":")[1])
    _, two, three = (Asker(address, "test") for address in broker.bootstrap_servers.split(","))
    two.produce("letters", batch(b"a"), partition=1)
    broker.remove_node(2)
    two.hang_up()
    assert list(broker.nodes) == [1, 3]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=10)
    nodes, _, partitions = described(three)
    assert (nodes, sorted(partitions)) == ([1, 3], [0, 1, 2])
    assert all(leader in (1, 3) and replicas == [leader] for leader, replicas in partitions.values())
    assert [record.value for record in broker.records("letters", 1)] == [b"a"]
    assert broker.replication("diaries", 0).replicas == (1, 3)
    with pytest.raises(UsageError, match="no node 2; there are 1, 3"):
        broker.start(2)
    assert broker.add_node() == 4
    for last in (1, 3):
        broker.remove_node(last)
    with pytest.raises(UsageError, match="last one"):
        broker.remove_node(4)
    assert broker.leader("letters", 1) == 4
    assert [record.value for record in broker.records("letters", 1)] == [b"a"]
    three.hang_up()


def test_a_node_that_is_down_can_be_removed_too(make_broker: MakeBroker) -> None:
    """What only it had goes to another node."""
    broker = make_broker(nodes=2)
    broker.create_topic("letters", 1, replication_factor=1)
    one = Asker(broker.bootstrap_servers, "test")
    one.produce("letters", batch(b"a"))
    one.hang_up()
    broker.stop(1)
    broker.remove_node(1)
    state = broker.replication("letters", 0)
    assert (state.leader, state.replicas, state.in_sync, state.ends) == (2, (2,), (2,), {2: 1})


def test_the_controller_moves(make_broker: MakeBroker) -> None:
    """All nodes name the one that was chosen, and another while that is down."""
    broker = make_broker(nodes=3)
    three = Asker(broker.nodes[3], "test")
    assert (broker.controller, described(three)[1]) == (1, 1)
    broker.move_controller(2)
    assert (broker.controller, described(three)[1]) == (2, 2)
    broker.stop(2)
    assert broker.controller == 1
    with pytest.raises(BrokerError, match="BROKER_NOT_AVAILABLE"):
        broker.move_controller(2)
    broker.start(2)
    assert broker.controller == 2
    three.hang_up()


def test_coordinators_move(make_broker: MakeBroker) -> None:
    """FindCoordinator names the new one, and the old one refuses with NOT_COORDINATOR."""
    broker = make_broker(nodes=3)
    nodes = {number: Asker(address, "test") for number, address in broker.nodes.items()}

    def found(key: str, kind: int) -> int:
        answer = nodes[1].ask(FindCoordinatorRequest(coordinator_keys=[key], key_type=kind), 4)
        return int(answer.coordinators[0].node_id)

    for target in (1, 2, 3):
        broker.move_coordinator(target, group="readers")
        assert (found("readers", 0), broker.coordinator(group="readers")) == (target, target)
        for number, node in nodes.items():
            beat = HeartbeatRequest(group_id="readers", generation_id=0, member_id="nobody")
            assert node.ask(beat, 4).error_code == (25 if number == target else 16)
    broker.move_coordinator(2, transactional_id="payments")
    assert (found("payments", 1), broker.coordinator(transactional_id="payments")) == (2, 2)
    broker.stop(2)
    nodes[2].hang_up()
    assert broker.coordinator(transactional_id="payments") != 2
    with pytest.raises(UsageError, match="either"):
        broker.move_coordinator(1)
    for node in nodes.values():
        node.hang_up()
