"""Round trips with confluent-kafka (librdkafka)."""

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from confluent_kafka import (
    Consumer,
    ConsumerGroupTopicPartitions,
    IsolationLevel,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    NewPartitions,
    NewTopic,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
)
from steps import COUNT, PARTITIONS, TIMEOUT, fresh, letters, main, same, step

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")


def topic_of(servers: str, partitions: int = PARTITIONS, **configs: str) -> str:
    """Create a topic and wait until its partitions have leaders."""
    admin = AdminClient({"bootstrap.servers": servers})
    name = fresh("letters")
    topic = NewTopic(name, partitions, 1, config={key.replace("_", "."): value for key, value in configs.items()})
    admin.create_topics([topic])[name].result(TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while len(admin.list_topics(name, timeout=TIMEOUT).topics[name].partitions) < partitions:
        assert time.monotonic() < deadline, f"{name} is not there"
    return name


def write(producer: Any, topic: str, pairs: list[tuple[bytes, bytes]], **more: Any) -> None:
    """Write pairs and wait until each is acknowledged."""
    failed: list[Any] = []
    for key, value in pairs:
        producer.produce(
            topic, value, key, on_delivery=lambda error, _: failed.append(error) if error else None, **more
        )
    same(producer.flush(TIMEOUT), 0, "records not acknowledged")
    same(failed, [], "records refused")


@contextmanager
def consumer(servers: str, group: str, **more: Any) -> Iterator[Any]:
    """A consumer from the earliest record on, which leaves its group at the end."""
    options = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest"}
    options |= {"enable.auto.commit": False} | {key.replace("_", "."): value for key, value in more.items()}
    with closing(Consumer(options)) as made:
        yield made


def read(reader: Any, count: int, *others: Any) -> list[Message]:
    """Poll, the others too, until one or all together have so many messages."""
    found: list[Message] = []
    deadline = time.monotonic() + TIMEOUT
    while len(found) < count:
        assert time.monotonic() < deadline, f"{len(found)} of {count} records within {TIMEOUT:.0f} s"
        for each in (reader, *others):
            for message in each.consume(count, 0.1):
                if message.error():
                    raise KafkaException(message.error())
                found.append(message)
    return found


def pairs_of(messages: list[Message]) -> list[tuple[Any, Any]]:
    """Give keys and values, in an order that does not depend on partitions."""
    return sorted((message.key(), message.value()) for message in messages)


def code_of(future: Any) -> int | None:
    """Wait for a request that should be refused; give the code of the error, None where there is none."""
    error = future.exception(TIMEOUT)
    return error.args[0].code() if error else None


@step("produce")
def produce(servers: str) -> None:
    """Every codec, keys, headers, timestamps; nulls; read back from assigned partitions."""
    for codec in CODECS:
        topic = topic_of(servers)
        producer = Producer({"bootstrap.servers": servers, "compression.type": codec, "enable.idempotence": True})
        write(producer, topic, letters(), headers=[("mood", b"anxious"), ("mood", None)], timestamp=1_700_000_000_000)
        with consumer(servers, fresh("nobody")) as reader:
            reader.assign([TopicPartition(topic, partition, 0) for partition in range(PARTITIONS)])
            found = read(reader, COUNT)
        same(pairs_of(found), sorted(letters()), codec)
        same({m.timestamp()[1] for m in found}, {1_700_000_000_000}, "timestamps")
        same(found[0].headers(), [("mood", b"anxious"), ("mood", None)], "headers")


@step("offsets by time")
def offsets_by_time(servers: str) -> None:
    """Watermarks, offsets for timestamps, the newest timestamp, and a seek."""
    topic = topic_of(servers, 1)
    producer = Producer({"bootstrap.servers": servers})
    for n in range(10):
        write(producer, topic, letters(1, n), timestamp=1_700_000_000_000 + 1000 * n)
    admin = AdminClient({"bootstrap.servers": servers})
    part = TopicPartition(topic, 0)
    specs = {OffsetSpec.earliest(): 0, OffsetSpec.latest(): 10, OffsetSpec.max_timestamp(): 9}
    specs[OffsetSpec.for_timestamp(1_700_000_004_500)] = 5
    for spec, offset in specs.items():
        found = admin.list_offsets({part: spec}, isolation_level=IsolationLevel.READ_UNCOMMITTED)[part].result(TIMEOUT)
        same(found.offset, offset, f"list_offsets {spec}")
    with consumer(servers, fresh("nobody")) as reader:
        same(reader.get_watermark_offsets(part, TIMEOUT), (0, 10), "watermarks")
        (found,) = reader.offsets_for_times([TopicPartition(topic, 0, 1_700_000_003_000)], TIMEOUT)
        same(found.offset, 3, "offsets_for_times")
        reader.assign([TopicPartition(topic, 0, 3)])
        same([m.offset() for m in read(reader, 7)], list(range(3, 10)), "read from 3 on")


def share_group(servers: str, protocol: str, **more: Any) -> None:
    """Two members share a topic, commit, leave; a third goes on where they stopped."""
    topic, group = topic_of(servers), fresh("readers")
    producer = Producer({"bootstrap.servers": servers})
    write(producer, topic, letters())
    more["group_protocol"] = protocol
    with consumer(servers, group, **more) as one, consumer(servers, group, **more) as two:
        deadline = time.monotonic() + TIMEOUT
        one.subscribe([topic])
        two.subscribe([topic])
        found: list[Message] = []
        while not one.assignment() or not two.assignment() or len(one.assignment() + two.assignment()) != PARTITIONS:
            assert time.monotonic() < deadline, f"no balance: {one.assignment()} {two.assignment()}"
            found += one.consume(1000, 0.1) + two.consume(1000, 0.1)
        owned = {p.partition for p in one.assignment()}, {p.partition for p in two.assignment()}
        same(owned[0] & owned[1], set(), "partitions of both members")
        while len({(m.partition(), m.offset()) for m in found}) < COUNT:
            assert time.monotonic() < deadline, f"{len(found)} of {COUNT} records"
            found += one.consume(1000, 0.1) + two.consume(1000, 0.1)
        for member, partitions in ((one, owned[0]), (two, owned[1])):
            ends = [TopicPartition(topic, p, max(m.offset() for m in found if m.partition() == p) + 1)
                    for p in partitions if any(m.partition() == p for m in found)]  # fmt: skip
            if ends:
                for end in member.commit(offsets=ends, asynchronous=False):
                    assert end.error is None, end.error
        admin = AdminClient({"bootstrap.servers": servers})
        described = admin.describe_consumer_groups([group])[group].result(TIMEOUT)
        same((described.state.name, len(described.members)), ("STABLE", 2), "the group described")
    write(producer, topic, letters(50, COUNT))
    with consumer(servers, group, **more) as three:
        three.subscribe([topic])
        same(pairs_of(read(three, 50)), sorted(letters(50, COUNT)), "records after the commit")


@step("group consume")
def group_consume(servers: str) -> None:
    """A group of the classic protocol."""
    share_group(servers, "classic")


@step("group consume, cooperative")
def group_cooperative(servers: str) -> None:
    """A group that rebalances without stopping (KIP-429)."""
    share_group(servers, "classic", partition_assignment_strategy="cooperative-sticky")


@step("group consume, KIP-848")
def group_848(servers: str) -> None:
    """A group of the consumer protocol."""
    share_group(servers, "consumer")


@step("static member")
def static_member(servers: str) -> None:
    """A second member of a static name takes over from the first, which is fenced (KIP-345)."""
    topic, group = topic_of(servers), fresh("readers")
    with consumer(servers, group, group_instance_id="felice") as first:
        first.subscribe([topic])
        deadline = time.monotonic() + TIMEOUT
        while not first.assignment():
            assert time.monotonic() < deadline, "nothing assigned"
            first.poll(0.1)
        with consumer(servers, group, group_instance_id="felice") as second:
            second.subscribe([topic])
            fenced = None
            while fenced is None:
                assert time.monotonic() < deadline, "the first member was not fenced"
                second.poll(0.1)
                message = first.poll(0.1)
                if message is not None and message.error():
                    fenced = message.error()
            same(fenced.code(), KafkaError._FATAL, "the first member's error")
            assert "fenced" in fenced.str(), fenced
            while len(second.assignment()) < PARTITIONS:
                assert time.monotonic() < deadline, "the second member was given nothing"
                second.poll(0.1)


@step("transaction")
def transaction(servers: str) -> None:
    """Records committed and aborted; offsets sent with them; a second producer of the name fences the first."""
    source, target, group = topic_of(servers, 1), topic_of(servers, 1), fresh("copiers")
    write(Producer({"bootstrap.servers": servers}), source, letters(20))
    options = {"bootstrap.servers": servers, "transactional.id": fresh("copier"), "transaction.timeout.ms": 30_000}
    producer = Producer(options)
    producer.init_transactions(TIMEOUT)
    with consumer(servers, group, isolation_level="read_committed") as reader:
        reader.subscribe([source])
        for number, commits in enumerate((True, False, True)):
            producer.begin_transaction()
            for message in read(reader, 20) if number == 0 else []:
                producer.produce(target, message.value(), message.key())
            producer.produce(target, b"end of %d" % number)
            producer.send_offsets_to_transaction(
                reader.position(reader.assignment()), reader.consumer_group_metadata(), TIMEOUT
            )
            same(producer.flush(TIMEOUT), 0, "records not acknowledged")  # what is not sent yet an abort takes back
            producer.commit_transaction(TIMEOUT) if commits else producer.abort_transaction(TIMEOUT)
        (committed,) = reader.committed([TopicPartition(source, 0)], TIMEOUT)
        same(committed.offset, 20, "the offset committed")
    for level, ends in (("read_committed", 2), ("read_uncommitted", 3)):
        with consumer(servers, fresh("nobody"), isolation_level=level, enable_partition_eof=True) as reader:
            reader.assign([TopicPartition(target, 0, 0)])
            values = []
            while True:
                message = reader.poll(TIMEOUT)
                assert message is not None, f"{level}: no end within {TIMEOUT:.0f} s"
                if message.error():
                    same(message.error().code(), KafkaError._PARTITION_EOF, level)
                    break
                values.append(message.value())
        same(len(values), 20 + ends, f"records {level}")
    producer.begin_transaction()
    producer.produce(target, b"lost")
    producer.flush(TIMEOUT)
    other = Producer(options)
    other.init_transactions(TIMEOUT)
    try:
        producer.commit_transaction(TIMEOUT)
    except KafkaException as error:
        same(error.args[0].code(), KafkaError._FENCED, "the first producer's error")
    else:
        raise AssertionError("the first producer was not fenced")


@step("admin: topics and configs")
def admin_topics(servers: str) -> None:
    """Create, describe, more partitions, configs, delete records, delete; and what must be refused."""
    admin = AdminClient({"bootstrap.servers": servers})
    topic = topic_of(servers, 2, retention_ms="1000000")
    again = admin.create_topics([NewTopic(topic, 1, 1)])[topic]
    same(code_of(again), KafkaError.TOPIC_ALREADY_EXISTS, "created twice")
    admin.create_partitions([NewPartitions(topic, 5)])[topic].result(TIMEOUT)
    deadline = time.monotonic() + TIMEOUT
    while len(admin.list_topics(topic, timeout=TIMEOUT).topics[topic].partitions) != 5:
        assert time.monotonic() < deadline, "five partitions did not come"
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    for key, value, change in (
        ("max.message.bytes", "70000", AlterConfigOpType.SET),
        ("retention.ms", None, AlterConfigOpType.DELETE),
        ("cleanup.policy", "compact", AlterConfigOpType.APPEND),
    ):
        resource.add_incremental_config(ConfigEntry(key, value, incremental_operation=change))
    admin.incremental_alter_configs([resource])[resource].result(TIMEOUT)
    wanted = ConfigResource(ConfigResource.Type.TOPIC, topic)
    shown: dict[str, Any] = {}
    while shown.get("max.message.bytes") != "70000":
        assert time.monotonic() < deadline, f"configs: {shown}"
        entries = admin.describe_configs([wanted])[wanted].result(TIMEOUT)
        shown = {name: entry.value for name, entry in entries.items()}
    same(set(shown["cleanup.policy"].split(",")), {"delete", "compact"}, "cleanup.policy")
    wrong = ConfigResource(ConfigResource.Type.TOPIC, topic)
    wrong.add_incremental_config(ConfigEntry("retention.ms", "soon", incremental_operation=AlterConfigOpType.SET))
    same(code_of(admin.incremental_alter_configs([wrong])[wrong]), KafkaError.INVALID_CONFIG, "a wrong value")
    write(Producer({"bootstrap.servers": servers}), topic, letters(30), partition=0)
    part = TopicPartition(topic, 0, 12)
    same(admin.delete_records([part])[part].result(TIMEOUT).low_watermark, 12, "low watermark")
    admin.delete_topics([topic])[topic].result(TIMEOUT)
    while topic in admin.list_topics(timeout=TIMEOUT).topics:
        assert time.monotonic() < deadline, "the topic did not go"
    assert admin.describe_cluster().result(TIMEOUT).nodes, "no nodes"


@step("admin: groups")
def admin_groups(servers: str) -> None:
    """Offsets altered, listed and deleted; groups listed and deleted."""
    admin = AdminClient({"bootstrap.servers": servers})
    topic, group = topic_of(servers), fresh("readers")
    write(Producer({"bootstrap.servers": servers}), topic, letters())
    given = [TopicPartition(topic, partition, partition + 3) for partition in range(PARTITIONS)]
    admin.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, given)])[group].result(TIMEOUT)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(TIMEOUT)
    same(
        sorted((p.partition, p.offset) for p in found.topic_partitions),
        [(p, p + 3) for p in range(PARTITIONS)],
        "offsets",
    )
    listed = admin.list_consumer_groups().result(TIMEOUT)
    assert group in {each.group_id for each in listed.valid}, "the group is not listed"
    admin.delete_consumer_groups([group])[group].result(TIMEOUT)
    same(code_of(admin.delete_consumer_groups([group])[group]), KafkaError.GROUP_ID_NOT_FOUND, "deleted twice")


@step("admin: ACLs")
def admin_acls(servers: str) -> None:
    """Created, described by filter, deleted."""
    admin = AdminClient({"bootstrap.servers": servers})
    name = fresh("secret")
    acl = AclBinding(ResourceType.TOPIC, name, ResourcePatternType.LITERAL, "User:max", "*",
                     AclOperation.READ, AclPermissionType.ALLOW)  # fmt: skip
    admin.create_acls([acl])[acl].result(TIMEOUT)
    which = AclBindingFilter(ResourceType.ANY, name, ResourcePatternType.MATCH, None, None,
                             AclOperation.ANY, AclPermissionType.ANY)  # fmt: skip
    deadline = time.monotonic() + TIMEOUT
    while admin.describe_acls(which).result(TIMEOUT) != [acl]:
        assert time.monotonic() < deadline, "the ACL is not described"
    same(admin.delete_acls([which])[which].result(TIMEOUT), [acl], "ACLs deleted")
    while admin.describe_acls(which).result(TIMEOUT):
        assert time.monotonic() < deadline, "the ACL did not go"


if __name__ == "__main__":
    main()
