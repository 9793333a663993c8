"""AddOffsetsToTxn (key 25): a group's offsets join a transaction, before TxnOffsetCommit sends them (KIP-98).

It is asked of the transaction's coordinator, TxnOffsetCommit then of the group's. Version 2 answers PRODUCER_FENCED
where it was INVALID_PRODUCER_EPOCH (KIP-588), 4 knows TRANSACTION_ABORTABLE (KIP-890).
"""

from felice.wire.schema import Request, Response, int16, int32, int64, string

__all__ = ["AddOffsetsToTxnRequest", "AddOffsetsToTxnResponse"]


class AddOffsetsToTxnRequest(Request["AddOffsetsToTxnResponse"], key=25, versions="0-4", flexible="3+"):
    transactional_id: str = string("0+")
    producer_id: int = int64("0+")
    producer_epoch: int = int16("0+")
    group_id: str = string("0+")


class AddOffsetsToTxnResponse(Response, answers=AddOffsetsToTxnRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
