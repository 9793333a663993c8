"""What real Kafka writes into its coordinators' topics, and clients into bytes fields, is what is written down here."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from cluster import KafkaCluster
from confluent_kafka import Consumer as ConfluentConsumer
from confluent_kafka import Producer as ConfluentProducer

from felice import Consumer
from felice.wire.messages import offsets_topic, share_state_topic, transaction_log
from felice.wire.messages.consumer_group_records import (
    ConsumerGroupCurrentMemberAssignmentKey,
    ConsumerGroupMemberMetadataKey,
    ConsumerGroupMetadataKey,
    ConsumerGroupTargetAssignmentMemberKey,
)
from felice.wire.messages.consumer_protocol import ConsumerProtocolAssignment, ConsumerProtocolSubscription
from felice.wire.messages.offsets_topic import GroupMetadataKey, OffsetCommitKey
from felice.wire.messages.transaction_log import TransactionLogKey
from felice.wire.schema import RecordKey, unpack_key

MakeTopic = Callable[..., str]
Records = dict[type[RecordKey], list[tuple[Any, Any]]]

KEYS = {
    "__consumer_offsets": offsets_topic.KEYS,
    "__share_group_state": share_state_topic.KEYS,
    "__transaction_state": transaction_log.KEYS,
}


def records_of(kafka: KafkaCluster, topic: str) -> Records:
    """All records of a coordinator's topic: keys and values by the kind of key; None for a value that is missing.

    Written again, each must be the same bytes.
    """
    keys: Mapping[int, type[RecordKey]] = KEYS[topic]
    found: Records = defaultdict(list)
    with Consumer[bytes, bytes](kafka.bootstrap_servers, topic) as reading:
        ends = reading.end_offsets()
        while any(reading.position(tp) < end for tp, end in ends.items()):
            for message in reading.poll(0.2):
                assert message.key is not None
                key = unpack_key(keys, message.key)
                assert key is not None, f"a record of type {message.key[:2].hex()}"
                assert key.pack() == message.key
                value = None
                if message.value is not None:
                    value = key.value.unpack(message.value)
                    assert value.pack(int.from_bytes(message.value[:2])) == message.value
                found[type(key)].append((key, value))
    return found


def read_and_commit(kafka: KafkaCluster, topic: str, group: str, protocol: str) -> None:
    """Have a member of a group read one record of partition 0 and commit."""
    producer = ConfluentProducer({"bootstrap.servers": kafka.bootstrap_servers})
    producer.produce(topic, b"one", partition=0)
    producer.flush(30)
    member = ConfluentConsumer(
        {
            "bootstrap.servers": kafka.bootstrap_servers,
            "group.id": group,
            "group.protocol": protocol,
            "client.id": "judge",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    member.subscribe([topic])
    deadline = time.monotonic() + 30
    while (message := member.poll(1)) is None or message.error():
        assert time.monotonic() < deadline
    member.commit(message=message, asynchronous=False)
    member.close()


def test_a_group_of_the_classic_protocol_is_read_from_its_topic(kafka: KafkaCluster, topic: MakeTopic) -> None:
    """Its members, what librdkafka wrote into their bytes, and the offset that was committed."""
    name = topic(partitions=2)
    group = f"{name}-classic"
    read_and_commit(kafka, name, group, "classic")
    found = records_of(kafka, "__consumer_offsets")
    [commit] = [value for key, value in found[OffsetCommitKey] if key.group == group]
    assert (commit.offset, commit.expire_timestamp) == (1, -1)
    assert abs(commit.commit_timestamp / 1000 - time.time()) < 600
    states = [value for key, value in found[GroupMetadataKey] if key == GroupMetadataKey(group=group)]
    [state] = [value for value in states if value is not None and any(m.assignment for m in value.members)]
    assert (state.protocol_type, state.protocol) == ("consumer", "range")
    [member] = state.members
    assert member.client_id == "judge"
    assert ConsumerProtocolSubscription.unpack(member.subscription).topics == [name]
    [assigned] = ConsumerProtocolAssignment.unpack(member.assignment).assigned_partitions
    assert (assigned.topic, assigned.partitions) == (name, [0, 1])


def test_a_group_of_the_consumer_protocol_is_read_from_its_topic(kafka: KafkaCluster, topic: MakeTopic) -> None:
    """Its epoch, its member, what that shall have and what it has; and the tombstones that its leaving wrote."""
    name = topic(partitions=2)
    group = f"{name}-consumer"
    read_and_commit(kafka, name, group, "consumer")
    found = records_of(kafka, "__consumer_offsets")
    assert [value.offset for key, value in found[OffsetCommitKey] if key.group == group] == [1]
    epochs = [value.epoch for key, value in found[ConsumerGroupMetadataKey] if key.group_id == group and value]
    assert epochs == sorted(epochs)
    members = [value for key, value in found[ConsumerGroupMemberMetadataKey] if key.group_id == group]
    assert (members[0].client_id, members[0].subscribed_topic_names) == ("judge", [name])
    assert members[0].classic_member_metadata is None
    assert members[-1] is None
    targets = [value for key, value in found[ConsumerGroupTargetAssignmentMemberKey] if key.group_id == group]
    assert [part.partitions for value in targets if value for part in value.topic_partitions] == [[0, 1]]
    current = [value for key, value in found[ConsumerGroupCurrentMemberAssignmentKey] if key.group_id == group]
    assert [0, 1] in [part.partitions for value in current if value for part in value.assigned_partitions]


@pytest.mark.parametrize("commits", [True, False])
def test_a_transaction_is_read_from_its_log(kafka: KafkaCluster, topic: MakeTopic, commits: bool) -> None:
    """From Empty over Ongoing to its end, with its partitions, and with the next epoch (KIP-890)."""
    name = topic(partitions=2)
    producer = ConfluentProducer({"bootstrap.servers": kafka.bootstrap_servers, "transactional.id": name})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(name, b"one", partition=1)
    producer.flush(30)
    if commits:
        producer.commit_transaction(30)
    else:
        producer.abort_transaction(30)
    empty, prepared, complete = (0, 2, 4) if commits else (0, 3, 5)
    deadline = time.monotonic() + 30
    while True:  # the markers are written behind the answer
        log = records_of(kafka, "__transaction_state")
        states = [value for key, value in log[TransactionLogKey] if key.transactional_id == name]
        if states[-1].transaction_status == complete:
            break
        assert time.monotonic() < deadline
    assert [state.transaction_status for state in states] == [empty, 1, prepared, complete]
    assert states[0].transaction_partitions is None
    [written] = states[1].transaction_partitions
    assert (written.topic, written.partition_ids) == (name, [1])
