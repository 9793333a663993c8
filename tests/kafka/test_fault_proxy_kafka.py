"""The fault proxy before real Kafka."""

from cluster import KafkaCluster

from felice import Consumer, Producer
from felice.testing import FaultProxy


def test_nothing_is_lost_or_doubled_on_a_bad_way_to_kafka(kafka: KafkaCluster, seed: int) -> None:
    """A producer writes each record once, and a consumer reads each once, while connections die by chance."""
    sent = [b"%d" % number for number in range(300)]
    topic = kafka.create_topic(partitions=1)
    with FaultProxy(kafka.bootstrap_servers, seed=seed) as proxy:
        proxy.faults.drop("Produce", applied=True, times=None, chance=0.1)
        proxy.faults.cut("Produce", times=None, chance=0.05)
        proxy.faults.drop("Fetch", times=None, chance=0.1, reset=True)
        proxy.faults.bad_crc()  # once: what is damaged twice in a row stops a reader
        with Producer(proxy.bootstrap_servers, reconnect_backoff=0.01, retry_backoff=0.01) as producer:
            for value in sent:
                producer.send(topic, value, partition=0)
                producer.flush(30)
        seen: list[bytes] = []
        with Consumer(
            proxy.bootstrap_servers, partitions=[(topic, 0)], start="earliest", reconnect_backoff=0.01
        ) as consumer:
            while len(seen) < len(sent):
                seen += consumer.poll(timeout=30).values()
        assert any(fault.count for fault in proxy.faults.history)
    assert seen == sent
