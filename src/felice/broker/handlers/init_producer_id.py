"""InitProducerId: a producer ID and an epoch, for idempotence (KIP-98) or a transactional ID."""

from felice.broker.call import Call, Handler, no_partitions
from felice.broker.refusal import Refused
from felice.broker.transactional_ids import NO_EPOCH
from felice.errors import ErrorCode
from felice.wire.messages.init_producer_id import InitProducerIdRequest, InitProducerIdResponse

__all__ = ["HANDLER"]

NO_PRODUCER = -1
FENCED_FROM = 4
"""Earlier versions do not know PRODUCER_FENCED and get INVALID_PRODUCER_EPOCH."""


def _handle(call: Call, request: InitProducerIdRequest) -> InitProducerIdResponse:
    """Hand out a producer ID.

    An idempotent producer always gets a new one: it raises its epoch by itself (KIP-360).
    """
    cluster = call.cluster
    try:
        call.check_faults(None)
        if (request.producer_id == NO_PRODUCER) != (request.producer_epoch == NO_EPOCH):
            raise Refused(ErrorCode.INVALID_REQUEST, "a producer ID and an epoch go together")
        if request.transactional_id is None:
            return InitProducerIdResponse(producer_id=cluster.new_producer_id(), producer_epoch=0)
        if not request.transactional_id:
            raise Refused(ErrorCode.INVALID_REQUEST, "the transactional ID is empty")
        if not 0 < request.transaction_timeout_ms <= cluster.settings.number("transaction.max.timeout.ms"):
            raise Refused(ErrorCode.INVALID_TRANSACTION_TIMEOUT)
        producer_id, epoch = cluster.transactional_ids.initialise(
            request.transactional_id, request.producer_id, request.producer_epoch
        )
    except Refused as refused:
        code = refused.code
        if code is ErrorCode.PRODUCER_FENCED and call.version < FENCED_FROM:
            code = ErrorCode.INVALID_PRODUCER_EPOCH
        return InitProducerIdResponse(error_code=code, producer_id=NO_PRODUCER, producer_epoch=NO_EPOCH)
    return InitProducerIdResponse(producer_id=producer_id, producer_epoch=epoch)


HANDLER = Handler(_handle, no_partitions)
