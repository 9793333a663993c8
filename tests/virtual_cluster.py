"""A virtual cluster without sockets, whose time stands still until a test lets it pass."""

import random

from felice.broker.clock import BrokerClock
from felice.broker.cluster import Cluster
from felice.broker.node import Node
from felice.broker.sessions import FetchSessions

__all__ = ["Stopped", "virtual_cluster"]


class Stopped:
    """A clock that stands still."""

    def monotonic(self) -> float:
        """Return the same always."""
        return 100.0

    def time_ms(self) -> int:
        """Return the same always."""
        return 1_000_000


def virtual_cluster(nodes: int = 1, **settings: object) -> Cluster:
    """Return a cluster whose nodes are up; settings have underscores for dots."""
    clock, chance = BrokerClock(Stopped(), lambda function: function()), random.Random(1)
    made = [Node(number + 1, "localhost", FetchSessions(10, clock, chance)) for number in range(nodes)]
    texts = {"group.initial.rebalance.delay.ms": "0", "default.replication.factor": str(min(nodes, 3))}
    texts |= {name.replace("_", "."): str(value) for name, value in settings.items()}
    cluster = Cluster(made, clock=clock, chance=chance, settings=texts)
    for node in made:
        cluster.node_started(node)
    return cluster
