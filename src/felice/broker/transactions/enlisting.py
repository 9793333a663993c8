"""How the leader of a partition makes sure that a producer may write there in a transaction (KIP-890).

It asks the transaction's coordinator, which may be another node: up to Produce 11 and TxnOffsetCommit 4 the partition
must have joined before, and later versions let it join now.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from felice.broker.coordination import Kind
from felice.broker.partition import NO_LEADER
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import BUMPED, Identity
from felice.errors import ErrorCode

if TYPE_CHECKING:
    from felice.broker.cluster import Cluster

__all__ = ["Client", "enlist"]


class Client(IntEnum):
    """What a client understands, by the version of its request."""

    OLD = 0
    ABORTABLE = 1
    """It knows TRANSACTION_ABORTABLE."""
    BUMPED = 2
    """Its transactions raise the epoch at every end, and partitions join them by being written to."""


UNREACHABLE = frozenset(
    {ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.NOT_COORDINATOR, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS}
)

NOT_ADDED = "Partition was not added to the transaction"


def enlist(
    cluster: "Cluster", transactional_id: str, identity: Identity, topic: str, partition: int, client: Client
) -> None:
    """Let a partition join a transaction, or refuse where it should have joined; in codes that the client knows."""
    try:
        if cluster.coordination.node_id(Kind.TRANSACTION, transactional_id) == NO_LEADER:
            raise Refused(ErrorCode.COORDINATOR_NOT_AVAILABLE)
        if client is Client.BUMPED:
            cluster.transactions.add(transactional_id, identity, [(topic, partition)], BUMPED)
        elif (topic, partition) not in cluster.transactions.verified(transactional_id, identity).partitions:
            raise Refused(ErrorCode.TRANSACTION_ABORTABLE, "the partition is in no transaction")
    except Refused as refused:
        raise _translated(refused, client) from None


RENAMED: Mapping[ErrorCode, ErrorCode] = {ErrorCode.PRODUCER_FENCED: ErrorCode.INVALID_PRODUCER_EPOCH}


def _translated(refused: Refused, client: Client) -> Refused:
    """Return a refusal of the coordinator's as the partition's leader tells it."""
    code = refused.code
    if code in UNREACHABLE or (code is ErrorCode.CONCURRENT_TRANSACTIONS and client is not Client.BUMPED):
        shown = f"Unable to verify the partition has been added to the transaction. Underlying error: {code.name}"
        return Refused(ErrorCode.NOT_ENOUGH_REPLICAS, shown, shown=True)
    if code is ErrorCode.TRANSACTION_ABORTABLE and client is Client.OLD:
        return Refused(ErrorCode.INVALID_TXN_STATE, NOT_ADDED, shown=True)
    return Refused(RENAMED.get(code, code), refused.message)
