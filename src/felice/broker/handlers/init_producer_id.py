"""InitProducerId: a producer ID and an epoch, for idempotence (KIP-98) or a transactional ID."""

import asyncio
from typing import Any

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.broker.transactions.answers import told
from felice.broker.transactions.transaction import Identity
from felice.errors import ErrorCode
from felice.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

__all__ = ["HANDLER"]

NO_PRODUCER = -1
NO_EPOCH = -1
FENCED_FROM = 4


def _handle(call: Call, request: InitProducerIdRequest) -> "InitProducerIdResponse | asyncio.Future[Any]":
    """Hand out a producer ID.

    An idempotent producer always gets a new one: it raises its epoch by itself (KIP-360).
    """
    try:
        if (request.producer_id == NO_PRODUCER) != (request.producer_epoch == NO_EPOCH):
            raise Refused(ErrorCode.INVALID_REQUEST, "a producer ID and an epoch go together")
        if request.transactional_id is None:
            call.check_faults(None)
            _check_idempotent(call)
            return InitProducerIdResponse(producer_id=call.cluster.new_producer_id(), producer_epoch=0)
        call.check_faults(None)
        call.authorize(Operation.WRITE, Resource.TRANSACTIONAL_ID, request.transactional_id)
        producer_id, epoch = _initialise(call, request, request.transactional_id)
    except Refused as refused:
        return _refused(told(refused.code, call.version, FENCED_FROM))
    response = InitProducerIdResponse(producer_id=producer_id, producer_epoch=epoch)
    return call.when_written(Kind.TRANSACTION, request.transactional_id, response, _refused)


def _refused(code: ErrorCode) -> InitProducerIdResponse:
    """Answer with an error."""
    return InitProducerIdResponse(error_code=code, producer_id=NO_PRODUCER, producer_epoch=NO_EPOCH)


def _check_idempotent(call: Call) -> None:
    """Refuse a client that may write to no topic at all, unless it may be idempotent by an entry of old (KIP-679)."""
    guard = call.guard
    if guard is not None and not guard.allows_some(call.client_host, Operation.WRITE, Resource.TOPIC):
        call.authorize(Operation.IDEMPOTENT_WRITE, Resource.CLUSTER)


def _initialise(call: Call, request: InitProducerIdRequest, transactional_id: str) -> Identity:
    """Hand out a transactional ID."""
    if not transactional_id:
        raise Refused(ErrorCode.INVALID_REQUEST, "the transactional ID is empty")
    if not 0 < request.transaction_timeout_ms <= call.cluster.settings.number("transaction.max.timeout.ms"):
        raise Refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
    call.check_coordinator(Kind.TRANSACTION, transactional_id)
    had = Identity(request.producer_id, request.producer_epoch)
    return call.cluster.transactions.initialise(
        transactional_id, request.transaction_timeout_ms, None if had.producer_id == NO_PRODUCER else had
    )


HANDLER = Handler(_handle, no_partitions)
