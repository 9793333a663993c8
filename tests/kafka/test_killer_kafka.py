"""The killer of nodes on real Kafka: what kills our broker's nodes kills processes too."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from cluster import KafkaCluster, Node

from felice import Producer
from felice.testing import NodeKiller

pytestmark = pytest.mark.slow


class Process:
    """A Kafka node that is started when the cluster is whole again, so that no two are away at once.

    It is started by a thread that outlives the killer's: the process ends with the thread that started it.
    """

    def __init__(self, kafka: KafkaCluster, node: Node, starter: ThreadPoolExecutor) -> None:
        self._kafka, self._node, self._starter = kafka, node, starter
        self.id, self.stop, self.kill, self.pause, self.resume = node.id, node.stop, node.kill, node.pause, node.resume

    def start(self) -> None:
        """Start it, and wait until it knows of all."""
        self._starter.submit(self._node.start, len(self._kafka.nodes)).result()


def test_processes_are_killed_frozen_and_started_again(seed: int) -> None:
    """A producer writes on meanwhile; at the end all nodes are up and see each other, and everything is delivered."""
    with ThreadPoolExecutor(1) as starter, KafkaCluster(nodes=3) as kafka:
        topic = kafka.create_topic(partitions=3)
        nodes = [Process(kafka, node, starter) for node in kafka.nodes]
        with Producer(kafka.bootstrap_servers, delivery_timeout=90) as producer:
            with NodeKiller(nodes, seed=seed, period=(0.2, 1.0), downtime=(0.5, 2.0), at_most=1) as killer:
                sent = []
                for kills in range(1, 4):
                    killer.wait_for(kills)
                    sent += [producer.send(topic, b"%d" % number) for number in range(100)]
            print(killer)
            for delivery in sent:
                delivery.result(90)
        for node in kafka.nodes:
            node.wait_ready(len(kafka.nodes))
