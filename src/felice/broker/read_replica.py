"""Which replica a reader had better read from: one in its own rack (KIP-392)."""

from felice.broker.cluster import Cluster
from felice.broker.partition import Partition

__all__ = ["preferred_replica"]

SELECTOR = "RackAwareReplicaSelector"
"""The one class that comes with Kafka, without its package."""


def preferred_replica(cluster: Cluster, partition: Partition, rack: str, offset: int) -> int | None:
    """Return the node of the reader's rack to read from `offset` on, or None where the leader is as good.

    It is in sync and has the offset; of several the one that has most.
    """
    selector = cluster.settings["replica.selector.class"]
    if not rack or not str(selector).endswith(SELECTOR):
        return None
    near = [
        node
        for node in partition.in_sync
        if node in cluster.nodes and cluster.nodes[node].rack == rack and partition.shared_end(node) >= offset
    ]
    if not near or partition.leader in near or offset < partition.log.start_offset:
        return None
    return max(near, key=partition.shared_end)
