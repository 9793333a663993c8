"""EndTxn (key 26): a transaction is committed or aborted (KIP-98).

The answer comes when the decision is in the log; the markers are written behind it. Version 2 answers PRODUCER_FENCED
where it was INVALID_PRODUCER_EPOCH (KIP-588), 4 knows TRANSACTION_ABORTABLE. Version 5 raises the epoch at every end,
and answers with the ID and the epoch that the producer must use from then on (KIP-890).
"""

from felice.wire.schema import Request, Response, boolean, int16, int32, int64, string

__all__ = ["EndTxnRequest", "EndTxnResponse"]


class EndTxnRequest(Request["EndTxnResponse"], key=26, versions="0-5", flexible="3+"):
    transactional_id: str = string("0+")
    producer_id: int = int64("0+")
    producer_epoch: int = int16("0+")
    committed: bool = boolean("0+")


class EndTxnResponse(Response, answers=EndTxnRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    producer_id: int = int64("5+", default=-1, ignorable=True)
    producer_epoch: int = int16("5+", default=-1, ignorable=True)
