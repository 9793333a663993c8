"""AddOffsetsToTxn: the partition that keeps a group's offsets joins a transaction (KIP-98)."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import OFFSETS_TOPIC, Kind
from felice.broker.refusal import Refused
from felice.broker.transactions.answers import told
from felice.broker.transactions.transaction import Identity
from felice.wire.messages.add_offsets_to_txn import AddOffsetsToTxnRequest, AddOffsetsToTxnResponse

__all__ = ["HANDLER"]

FENCED_FROM = 2


def _handle(call: Call, request: AddOffsetsToTxnRequest) -> "AddOffsetsToTxnResponse | asyncio.Future[Any]":
    """Add it."""
    try:
        call.check_coordinator(Kind.TRANSACTION, request.transactional_id, Operation.WRITE)
        call.authorize(Operation.READ, Resource.GROUP, request.group_id)
        home = call.cluster.coordination.partition(Kind.GROUP, request.group_id)
        call.cluster.transactions.add(
            request.transactional_id,
            Identity(request.producer_id, request.producer_epoch),
            [(OFFSETS_TOPIC, home.index)],
            version=0,
        )
    except Refused as refused:
        return AddOffsetsToTxnResponse(error_code=told(refused.code, call.version, FENCED_FROM))
    return call.when_written(
        Kind.TRANSACTION,
        request.transactional_id,
        AddOffsetsToTxnResponse(),
        lambda code: AddOffsetsToTxnResponse(error_code=code),
    )


HANDLER = Handler(_handle, no_partitions)
