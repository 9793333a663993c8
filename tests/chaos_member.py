"""One member of a consumer group, in a process that can be killed.

    python chaos_member.py KIND SERVERS GROUP TOPIC NAME

It prints what it is handed, a line for each batch, before it commits that: `got PARTITION FIRST LAST TIME`, and when
it has committed `committed`. It ends at SIGTERM by leaving its group.
"""

import asyncio
import signal
import sys
import time

KINDS = {
    "confluent": {"partition.assignment.strategy": "range"},
    "confluent cooperative": {"partition.assignment.strategy": "cooperative-sticky"},
    "confluent consumer": {"group.protocol": "consumer"},
}
SESSION = 1.5
HEARTBEAT = 0.1

ending = False


def end(*_: object) -> None:
    """Take note that it is enough."""
    global ending
    ending = True


def tell(partition: int, offsets: list[int]) -> None:
    """Say what was handed out, so that nothing of it is lost when this process is killed."""
    print(f"got {partition} {offsets[0]} {offsets[-1]} {time.time()}", flush=True)


def confluent(kind: str, servers: str, group: str, topic: str, instance: str | None) -> None:
    """librdkafka, in one of its protocols."""
    from confluent_kafka import Consumer, KafkaException

    settings = {
        "bootstrap.servers": servers,
        "group.id": group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "log_level": 2,
        **KINDS[kind],
    }
    if instance:
        settings["group.instance.id"] = instance
    if kind != "confluent consumer":
        settings |= {"session.timeout.ms": int(SESSION * 1000), "heartbeat.interval.ms": int(HEARTBEAT * 1000)}
    consumer = Consumer(settings)
    consumer.subscribe([topic])
    while not ending:
        found: dict[int, list[int]] = {}
        for message in consumer.consume(100, 0.05):
            if message.error() is None:
                found.setdefault(message.partition(), []).append(message.offset())
        for partition, offsets in found.items():
            tell(partition, offsets)
        if found:
            try:
                consumer.commit(asynchronous=False)
                print("committed", flush=True)
            except KafkaException:
                pass  # fenced, or in the middle of a rebalance: whoever has the partition now gets the records again
    consumer.close()


async def aiokafka(servers: str, group: str, topic: str, instance: str | None) -> None:
    """aiokafka."""
    from aiokafka import AIOKafkaConsumer
    from aiokafka.coordinator.assignors.range import RangePartitionAssignor
    from aiokafka.errors import KafkaError

    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        group_instance_id=instance,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        partition_assignment_strategy=[RangePartitionAssignor],  # what the others have, too
        session_timeout_ms=int(SESSION * 1000),
        heartbeat_interval_ms=int(HEARTBEAT * 1000),
    )
    await consumer.start()
    while not ending:
        found = await consumer.getmany(timeout_ms=50)
        for partition, messages in found.items():
            tell(partition.partition, [message.offset for message in messages])
        if found:
            try:
                await consumer.commit({each: messages[-1].offset + 1 for each, messages in found.items()})
                print("committed", flush=True)
            except (KafkaError, AssertionError):
                pass
    await consumer.stop()


def kafka_python(servers: str, group: str, topic: str, instance: str | None) -> None:
    """kafka-python."""
    from kafka.errors import KafkaError

    from kafka import KafkaConsumer

    consumer = KafkaConsumer(
        topic,
        bootstrap_servers=servers,
        group_id=group,
        group_instance_id=instance,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=int(SESSION * 1000),
        heartbeat_interval_ms=int(HEARTBEAT * 1000),
    )
    while not ending:
        found = consumer.poll(timeout_ms=50)
        for partition, messages in found.items():
            tell(partition.partition, [message.offset for message in messages])
        if found:
            try:
                consumer.commit()
                print("committed", flush=True)
            except KafkaError:
                pass
    consumer.close()


def main() -> None:
    """Be a member until SIGTERM."""
    kind, servers, group, topic, name = sys.argv[1:]
    kind, _, static = kind.partition(" static")
    instance = name if static is not None and sys.argv[1].endswith(" static") else None
    signal.signal(signal.SIGTERM, end)
    if kind in KINDS:
        confluent(kind, servers, group, topic, instance)
    elif kind == "aiokafka":
        asyncio.run(aiokafka(servers, group, topic, instance))
    else:
        kafka_python(servers, group, topic, instance)


if __name__ == "__main__":
    main()
