"""EndTxn: a transaction is committed or aborted (KIP-98), and since version 5 its producer's epoch raised (KIP-890)."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.broker.transactions.answers import told
from felice.broker.transactions.transaction import BUMPED, Identity
from felice.wire.messages.end_txn import EndTxnRequest, EndTxnResponse

__all__ = ["HANDLER"]

FENCED_FROM = 2
BUMPED_FROM = 5


def _handle(call: Call, request: EndTxnRequest) -> "EndTxnResponse | asyncio.Future[Any]":
    """End it."""
    try:
        call.check_coordinator(Kind.TRANSACTION, request.transactional_id, Operation.WRITE)
        producer_id, epoch = call.cluster.transactions.end(
            request.transactional_id,
            Identity(request.producer_id, request.producer_epoch),
            request.committed,
            BUMPED if call.version >= BUMPED_FROM else 0,
        )
    except Refused as refused:
        return EndTxnResponse(error_code=told(refused.code, call.version, FENCED_FROM))
    response = EndTxnResponse(producer_id=producer_id, producer_epoch=epoch)
    return call.when_written(
        Kind.TRANSACTION, request.transactional_id, response, lambda code: EndTxnResponse(error_code=code)
    )


HANDLER = Handler(_handle, no_partitions)
