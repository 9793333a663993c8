"""What the embedded broker writes of share groups into `__share_group_state` is what real Kafka writes."""

import re

import test_group_records
from cluster import KafkaCluster
from questions.asked import ALIKE
from questions.share_offsets import a_ledger
from questions.share_store import Store

from asking import Asker, new_run
from felice import Consumer
from felice.broker import Broker
from felice.wire.messages.share_state_topic import KEYS, ShareSnapshotKey, ShareUpdateKey
from felice.wire.schema import unpack_key

AVAILABLE, ACKNOWLEDGED, ARCHIVED = 0, 2, 4
UPDATES = 500


def records(bootstrap_servers: str, store: Store) -> list[str]:
    """Return a group's records, without their times and the topic's ID."""
    found = []
    with Consumer[bytes, bytes](bootstrap_servers, "__share_group_state") as reading:
        ends = reading.end_offsets()
        while any(reading.position(tp) < end for tp, end in ends.items()):
            for message in reading.poll(0.2):
                assert message.key is not None
                key = unpack_key(KEYS, message.key)
                if isinstance(key, ShareSnapshotKey | ShareUpdateKey) and key.group_id == store.group:
                    value = None if message.value is None else key.value.unpack(message.value)
                    found.append(repr((key.partition, key, value)))
    found.sort(key=lambda one: one.split(",", 1)[0])  # each partition's records lie in one partition, in order
    found = [record.replace(repr(store.topic_id), "<topic>") for record in found]
    return [re.sub(r"timestamp=\d+", "timestamp=<some>", record) for record in found]


def a_share_groups_life(asker: Asker, bootstrap_servers: str) -> list[str]:
    """Have a group begin, go on, begin anew, be read by other leaders, written often, and deleted."""
    topic = asker.topic(3)
    store = Store(asker, asker.topic_ids[topic]).ready(0, 1, 2)
    store.initialize(0, start_offset=-1)
    store.read(0, leader_epoch=1)
    store.write(leader_epoch=1, start_offset=3, complete=0)
    store.write((3, 9, ACKNOWLEDGED, 1), (8, 12, AVAILABLE, 1), leader_epoch=1, start_offset=3, complete=7)
    store.write((10, 10, ARCHIVED, 2), leader_epoch=1, start_offset=-1, complete=8, version=0)
    store.read(0, leader_epoch=1)
    store.read(0, leader_epoch=2)
    store.initialize(0, state_epoch=2, start_offset=4)
    store.write(state_epoch=1)
    store.initialize(1, start_offset=0)
    store.delete(1)
    store.delete(1)
    store.initialize(1, start_offset=7)
    store.initialize(2)
    for number in range(2 * UPDATES + 3):
        store.write((number, number, number % 3 * 2, 1), partition=2, start_offset=max(-1, number - 5), complete=number)
    return records(bootstrap_servers, store)


def altered_offsets(asker: Asker, bootstrap_servers: str) -> list[str]:
    """Have a group begin with offsets that are given, and forget a topic: what its coordinator writes of that."""
    topic = asker.topic(2)
    ledger = a_ledger(asker, topic, 2)
    ledger.alter({topic: {9: 0}})
    ledger.alter({topic: {1: 3}})
    ledger.alter({topic: {1: 4, 0: 4}})
    ledger.delete(topic, "there-is-no-such-topic")
    ledger.delete(topic)
    ledger.alter({topic: {0: 1}})
    return test_group_records.records(bootstrap_servers, ledger.group, {repr(asker.topic_ids[topic]): "<topic>"})


def test_altered_offsets_leave_the_same_records(kafka: KafkaCluster) -> None:
    """Equal keys and values."""
    run = new_run()
    told = []
    with Broker(auto_create=False, configs=ALIKE) as ours:
        for bootstrap_servers in (kafka.bootstrap_servers, ours.bootstrap_servers):
            with Asker(bootstrap_servers, run) as asker:
                told.append(altered_offsets(asker, bootstrap_servers))
    assert len(told[0]) > 5
    assert told[1] == told[0]


def test_a_share_group_leaves_the_same_records(kafka: KafkaCluster) -> None:
    """Equal keys and values: snapshots, updates, and tombstones."""
    run = new_run()
    told = []
    with Broker(auto_create=False, configs=ALIKE) as ours:
        for bootstrap_servers in (kafka.bootstrap_servers, ours.bootstrap_servers):
            with Asker(bootstrap_servers, run) as asker:
                told.append(a_share_groups_life(asker, bootstrap_servers))
    assert len(told[0]) > 2 * UPDATES
    assert told[1] == told[0]
