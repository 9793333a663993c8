"""The records of the topic `__transaction_state`: what the transaction coordinator knows (KIP-98).

A transaction's records lie in the partition that is the Java hash of its ID modulo the number of partitions; a record
without a value deletes it. The status is 0 for Empty, 1 Ongoing, 2 PrepareCommit, 3 PrepareAbort, 4 CompleteCommit, 5
CompleteAbort, 6 Dead, 7 PrepareEpochFence; the partitions are null where it is Empty.

Version 1 keeps the IDs and epochs around a bump, in tagged fields (KIP-890).
"""

from collections.abc import Mapping

from felice.wire.schema import RecordKey, RecordValue, Struct, array, int8, int16, int32, int64, string

__all__ = ["KEYS", "TransactionLogKey", "TransactionLogValue"]


class TransactionLogKey(RecordKey, type=0):
    transactional_id: str = string("0")


class TransactionLogValue(RecordValue, key=TransactionLogKey, versions="0-1", flexible="1+"):
    class PartitionsSchema(Struct):
        topic: str = string("0+")
        partition_ids: list[int] = array(int32, "0+")

    producer_id: int = int64("0+")
    previous_producer_id: int = int64("1+", default=-1, tag=0)
    next_producer_id: int = int64("1+", default=-1, tag=1)
    producer_epoch: int = int16("0+")
    next_producer_epoch: int = int16("1+", default=-1, tag=3)
    transaction_timeout_ms: int = int32("0+")
    transaction_status: int = int8("0+")
    transaction_partitions: list[PartitionsSchema] | None = array(PartitionsSchema, "0+", nullable="0+")
    transaction_last_update_timestamp_ms: int = int64("0+")
    transaction_start_timestamp_ms: int = int64("0+")
    client_transaction_version: int = int16("1+", tag=2)


KEYS: Mapping[int, type[RecordKey]] = {TransactionLogKey.record_type: TransactionLogKey}
"""The keys of the topic's records, by their type."""
