"""InitProducerId (key 22): a producer's ID and epoch, new or raised (KIP-98).

Since version 3 a producer may name the ID and epoch it has (KIP-360); 4 answers PRODUCER_FENCED where it was INVALID_
PRODUCER_EPOCH (KIP-588), 5 knows TRANSACTION_ABORTABLE (KIP-890). Version 6 is marked unstable in Kafka and left out.
"""

from felice.wire.schema import Request, Response, int16, int32, int64, string

__all__ = ["InitProducerIdRequest", "InitProducerIdResponse"]


class InitProducerIdRequest(Request["InitProducerIdResponse"], key=22, versions="0-5", flexible="2+"):
    transactional_id: str | None = string("0+", nullable="0+")
    transaction_timeout_ms: int = int32("0+")
    producer_id: int = int64("3+", default=-1)
    producer_epoch: int = int16("3+", default=-1)


class InitProducerIdResponse(Response, answers=InitProducerIdRequest):
    throttle_time_ms: int = int32("0+", ignorable=True)
    error_code: int = int16("0+")
    producer_id: int = int64("0+", default=-1)
    producer_epoch: int = int16("0+")
