"""The harness itself: real Kafka starts, can be hurt and healed, and leaves nothing behind."""

import os
import select
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import KafkaCluster, _answers
from confluent_kafka import Consumer, Producer, TopicPartition

HERE = Path(__file__).resolve().parent


def roundtrip(kafka: KafkaCluster, topic: str, value: bytes) -> None:
    """Write one record with librdkafka, all replicas acknowledging, and read it back as the last one."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "acks": "all"})
    producer.produce(topic, value, partition=0)
    assert producer.flush(30) == 0
    settings = {"bootstrap.servers": kafka.bootstrap_servers, "group.id": "harness", "enable.auto.commit": False}
    consumer = Consumer(settings)
    try:
        _, end = consumer.get_watermark_offsets(TopicPartition(topic, 0), timeout=30)
        consumer.assign([TopicPartition(topic, 0, end - 1)])
        message = consumer.poll(30)
        assert message is not None
        assert message.error() is None
        assert message.value() == value
    finally:
        consumer.close()


def test_one_node_takes_and_gives_a_record(kafka: KafkaCluster, topic: Callable[..., str]) -> None:
    """A record written to a new topic of the one-node cluster is read back."""
    roundtrip(kafka, topic(partitions=2), b"dear felice")


def test_topics_are_new_and_take_configs(kafka: KafkaCluster, topic: Callable[..., str]) -> None:
    """Two calls of the factory give two topics, and a configuration reaches Kafka."""
    one, two = topic(partitions=1), topic(partitions=3, max_message_bytes=4321)
    assert one != two
    described = kafka.tool(
        "org.apache.kafka.tools.TopicCommand",
        *("--bootstrap-server", kafka.bootstrap_servers, "--describe", "--topic", two),
    )
    assert "PartitionCount: 3" in described
    assert "max.message.bytes=4321" in described


def test_a_killed_leader_loses_nothing(kafka3: KafkaCluster) -> None:
    """With the leader killed another node takes over and has the record; started again it rejoins with its data."""
    topic = kafka3.create_topic(partitions=1)
    roundtrip(kafka3, topic, b"before")
    leader = kafka3.node(kafka3.leader(topic, 0))
    leader.kill()
    try:
        assert leader.pid is None
        roundtrip(kafka3, topic, b"after")
        assert kafka3.leader(topic, 0) != leader.id
    finally:
        leader.start(nodes=3)


def test_a_frozen_node_keeps_its_port_and_says_nothing(kafka3: KafkaCluster) -> None:
    """SIGSTOP leaves a node that accepts connections and answers none; SIGCONT heals it."""
    node = kafka3.node(1)
    node.pause()
    try:
        with socket.create_connection(("127.0.0.1", node.port), timeout=5):
            assert not _answers(node.port, 3)
    finally:
        node.resume()
    node.wait_ready(3)


def test_nothing_outlives_the_process_that_started_it(kafka_libs: Path, tmp_path: Path) -> None:
    """Kafka ends with its parent even when that is killed with no chance to clean up."""
    if sys.platform != "linux":
        pytest.skip("the parent's death is signalled on Linux only")
    script = (
        "import os, signal; from cluster import KafkaCluster\n"
        "kafka = KafkaCluster(); node = kafka.node(1); node.launch()\n"
        "print(kafka._folder, node.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=HERE, capture_output=True, text=True, timeout=30, check=False
    )
    folder, pid = done.stdout.split()
    subprocess.run(["rm", "-rf", folder], check=True)
    assert done.returncode == -9
    if Path(f"/proc/{pid}").exists():
        process = os.pidfd_open(int(pid))
        assert select.select([process], [], [], 10)[0], "Kafka still runs"  # readable once it has ended
        os.close(process)
