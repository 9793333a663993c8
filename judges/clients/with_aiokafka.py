"""Round trips with aiokafka."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import ProducerFenced, TopicAlreadyExistsError, for_code
from steps import COUNT, PARTITIONS, TIMEOUT, fresh, letters, main, same, step, until

CODECS = (None, "gzip", "snappy", "lz4", "zstd")


@asynccontextmanager
async def admin_of(servers: str) -> AsyncIterator[Any]:
    """An admin client, closed at the end."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def topic_of(servers: str, partitions: int = PARTITIONS) -> str:
    """Create a topic."""
    name = fresh("letters")
    async with admin_of(servers) as admin:
        await admin.create_topics([NewTopic(name, partitions, 1)])
    return name


async def write(producer: Any, topic: str, pairs: list[tuple[bytes, bytes]], **more: Any) -> list[Any]:
    """Write pairs; give what the broker said of each."""
    sent = [await producer.send(topic, value, key, **more) for key, value in pairs]
    return await asyncio.gather(*sent)


async def read(count: int, *consumers: Any) -> list[ConsumerRecord]:
    """Read so many records, from one consumer or several together."""
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(TIMEOUT):
        while len(found) < count:
            for consumer in consumers:
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += records
    return found


def pairs_of(records: list[ConsumerRecord]) -> list[tuple[Any, Any]]:
    """Give keys and values, in an order that does not depend on partitions."""
    return sorted((record.key, record.value) for record in records)


@step("produce")
async def produce(servers: str) -> None:
    """Every codec, keys, headers, timestamps; read back from assigned partitions."""
    for codec in CODECS:
        topic = await topic_of(servers)
        async with AIOKafkaProducer(
            bootstrap_servers=servers, compression_type=codec, enable_idempotence=True
        ) as producer:
            said = await write(
                producer, topic, letters(), headers=[("mood", b"anxious")], timestamp_ms=1_700_000_000_000
            )
        same(len({(m.partition, m.offset) for m in said}), COUNT, "offsets acknowledged")
        reader = AIOKafkaConsumer(bootstrap_servers=servers, auto_offset_reset="earliest", enable_auto_commit=False)
        reader.assign([TopicPartition(topic, partition) for partition in range(PARTITIONS)])
        async with reader:
            found = await read(COUNT, reader)
        same(pairs_of(found), sorted(letters()), str(codec))
        same({record.timestamp for record in found}, {1_700_000_000_000}, "timestamps")
        same(found[0].headers, (("mood", b"anxious"),), "headers")


@step("offsets by time")
async def offsets_by_time(servers: str) -> None:
    """Beginning, end, and the offset for a timestamp."""
    topic = await topic_of(servers, 1)
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for n in range(10):
            await write(producer, topic, letters(1, n), timestamp_ms=1_700_000_000_000 + 1000 * n)
    part = TopicPartition(topic, 0)
    async with AIOKafkaConsumer(bootstrap_servers=servers) as reader:
        reader.assign([part])
        same(await reader.beginning_offsets([part]), {part: 0}, "beginning")
        same(await reader.end_offsets([part]), {part: 10}, "end")
        found = await reader.offsets_for_times({part: 1_700_000_002_500})
        same(found[part].offset, 3, "offsets_for_times")


@step("group consume")
async def group_consume(servers: str) -> None:
    """Two members share a topic, commit, leave; a third goes on where they stopped."""
    topic, group = await topic_of(servers), fresh("readers")
    options = {"bootstrap_servers": servers, "group_id": group, "auto_offset_reset": "earliest",
               "enable_auto_commit": False, "heartbeat_interval_ms": 300}  # fmt: skip
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        await write(producer, topic, letters())
        async with AIOKafkaConsumer(topic, **options) as one, AIOKafkaConsumer(topic, **options) as two:

            async def balanced() -> bool:
                return len(one.assignment()) == len(two.assignment()) == 2

            await until("two partitions for each member", balanced)
            same(one.assignment() & two.assignment(), frozenset(), "partitions of both members")
            await one.seek_to_beginning()
            await two.seek_to_beginning()
            same(pairs_of(await read(COUNT, one, two)), sorted(letters()), "records")
            await one.commit()
            await two.commit()
        await write(producer, topic, letters(50, COUNT))
    async with AIOKafkaConsumer(topic, **options) as three:
        same(pairs_of(await read(50, three)), sorted(letters(50, COUNT)), "records after the commit")


@step("transaction")
async def transaction(servers: str) -> None:
    """Records committed and aborted; offsets sent with them; a second producer of the name fences the first."""
    source, target, group, name = (
        await topic_of(servers, 1),
        await topic_of(servers, 1),
        fresh("copiers"),
        fresh("copier"),
    )
    part = TopicPartition(source, 0)
    async with AIOKafkaProducer(bootstrap_servers=servers) as writer:
        await write(writer, source, letters(20))
    reader = AIOKafkaConsumer(source, bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest",
                              enable_auto_commit=False, isolation_level="read_committed")  # fmt: skip
    first = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=name)
    await first.start()
    async with reader:
        async with first.transaction():
            for record in await read(20, reader):
                await first.send(target, record.value, record.key)
            await first.send_offsets_to_transaction({part: 20}, group)
        await first.begin_transaction()
        await first.send_and_wait(target, b"aborted")
        await first.abort_transaction()
        same(await reader.committed(part), 20, "the offset committed")
    async with first.transaction():
        await first.send_and_wait(target, b"end")
    for level, count in (("read_committed", 21), ("read_uncommitted", 22)):
        checker = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level=level, auto_offset_reset="earliest")
        checker.assign([TopicPartition(target, 0)])
        async with checker:
            found = await read(count, checker)
        same((len(found), found[-1].value), (count, b"end"), level)
    second = AIOKafkaProducer(bootstrap_servers=servers, transactional_id=name)
    async with second:
        try:
            async with first.transaction():
                await first.send_and_wait(target, b"lost")
        except ProducerFenced:
            pass
        else:
            raise AssertionError("the first producer was not fenced")
    await first.stop()


@step("admin")
async def admin(servers: str) -> None:
    """Topics created, described, grown, configured, deleted; groups listed and described."""
    async with admin_of(servers) as client:
        topic = fresh("letters")
        await client.create_topics([NewTopic(topic, 2, 1, topic_configs={"retention.ms": "1000000"})])
        again = await client.create_topics([NewTopic(topic, 2, 1)])
        same(for_code(again.topic_errors[0][1]), TopicAlreadyExistsError, "created twice")
        await client.create_partitions({topic: NewPartitions(5)})

        async def grown() -> bool:
            return len((await client.describe_topics([topic]))[0]["partitions"]) == 5

        await until("five partitions", grown)
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        (described,) = await client.describe_configs([resource])
        values = {entry[0]: entry[1] for entry in described.resources[0][4]}
        same(values["retention.ms"], "1000000", "retention.ms")
        group = fresh("readers")
        reader = AIOKafkaConsumer(topic, bootstrap_servers=servers, group_id=group, auto_offset_reset="earliest")
        async with reader:

            async def joined() -> bool:
                return bool(reader.assignment())

            await until("an assignment", joined)
            await reader.commit({TopicPartition(topic, 0): 0})
            assert group in {each[0] for each in await client.list_consumer_groups()}, "the group is not listed"
            (found,) = await client.describe_consumer_groups([group])
            same(found.groups[0][2], "Stable", "the group's state")
        offsets = await client.list_consumer_group_offsets(group)
        same(offsets[TopicPartition(topic, 0)].offset, 0, "the offset committed")
        await client.delete_topics([topic])

        async def gone() -> bool:
            return topic not in await client.list_topics()

        await until("the deletion", gone)


if __name__ == "__main__":
    main()
