"""Share consumers while leaders move, stop, and are killed: every record comes to somebody, until it is accepted."""

import random
import time
from contextlib import ExitStack, closing

from confluent_kafka import ShareConsumer

from asking import Asker, batch
from felice.broker import Broker

PARTITIONS, BATCHES, RECORDS = 3, 12, 5
MOVES = 8
PATIENCE = 60.0
QUICK = {
    "group.share.min.heartbeat.interval.ms": 50,
    "group.share.heartbeat.interval.ms": 100,
    "group.share.assignment.interval.ms": 0,
}


def write(broker: Broker) -> set[bytes]:
    """Write small batches to all partitions, and return their values."""
    values = set()
    servers = broker.bootstrap_servers.split(",")
    for partition in range(PARTITIONS):
        with Asker(servers[broker.leader("t", partition) - 1], "writer") as asker:
            for number in range(BATCHES):
                made = [b"%d-%d-%d" % (partition, number, record) for record in range(RECORDS)]
                answer = asker.produce("t", batch(*made), partition=partition, topic_id=broker.topic_id("t"))
                assert answer.responses[0].partition_responses[0].error_code == 0
                values.update(made)
    return values


def disturb(broker: Broker, chance: random.Random) -> None:
    """Let another node lead a partition, or a node be gone for a moment."""
    node = chance.randint(1, 3)
    match chance.randrange(4):
        case 0:
            broker.kill(node)
            broker.start(node)
        case 1:
            broker.stop(node)
            broker.start(node)
        case _:
            broker.move_leader("t", chance.randrange(PARTITIONS), node)


def done(broker: Broker) -> bool:
    """Whether it is written of every record that it was accepted."""

    def look() -> bool:
        state, topic = broker._cluster.share_state, broker._cluster.topic("t")
        found = [state.summary("g", topic.id, index, -1) for index in range(PARTITIONS)]
        return all(one.start_offset + one.delivery_complete_count == BATCHES * RECORDS for one in found)

    return broker._run(look)


def test_every_record_is_accepted_whatever_happens_to_leaders(seed: int) -> None:
    """Two consumers read while nodes come and go; some records come twice, none is lost."""
    chance = random.Random(seed)
    with Broker({"t": PARTITIONS}, nodes=3, configs=QUICK) as broker, ExitStack() as stack:
        broker._run(lambda: broker._cluster.configs.groups.keep("g", {"share.auto.offset.reset": "earliest"}))
        expected, seen, moves = write(broker), set(), 0
        settings = {"bootstrap.servers": broker.bootstrap_servers, "group.id": "g", "max.poll.records": 10}
        consumers = [stack.enter_context(closing(ShareConsumer(settings | {"log_level": 0}))) for _ in range(2)]
        for consumer in consumers:
            consumer.subscribe(["t"])
        deadline = time.monotonic() + PATIENCE
        while not (seen == expected and done(broker)):
            assert time.monotonic() < deadline, f"{len(seen)} of {len(expected)} came"
            for consumer in consumers:
                came = [message.value() for message in consumer.poll(0.1) or () if not message.error()]
                seen.update(came)
                if came and moves < MOVES:
                    disturb(broker, chance)
                    moves += 1
