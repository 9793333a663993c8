"""AddPartitionsToTxn (key 24): partitions join a transaction before anything is written to them (KIP-98).

Clients speak versions up to 3, with the fields named `v3_and_below`; in transactions of version 2 they send none, as
Produce adds partitions by itself. From 4 on it is for brokers: many transactions at once, and whether partitions belong
to them already (`verify_only`; KIP-890).

CONCURRENT_TRANSACTIONS means that the transaction before is still being ended: ask again. Version 2 answers
PRODUCER_FENCED where it was INVALID_PRODUCER_EPOCH (KIP-588), 5 knows TRANSACTION_ABORTABLE (KIP-890).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int16, int32, int64, string

__all__ = ["AddPartitionsToTxnRequest", "AddPartitionsToTxnResponse"]


class AddPartitionsToTxnRequest(Request["AddPartitionsToTxnResponse"], key=24, versions="0-5", flexible="3+"):
    class AddPartitionsToTxnTransaction(Struct):
        class AddPartitionsToTxnTopic(Struct):
            name: str = string("0+")
            partitions: list[int] = array(int32, "0+")

        transactional_id: str = string("4+")
        producer_id: int = int64("4+")
        producer_epoch: int = int16("4+")
        verify_only: bool = boolean("4+")
        topics: list[AddPartitionsToTxnTopic] = array(AddPartitionsToTxnTopic, "4+")

    AddPartitionsToTxnTopic = Alias[AddPartitionsToTxnTransaction.AddPartitionsToTxnTopic]

    transactions: list[AddPartitionsToTxnTransaction] = array(AddPartitionsToTxnTransaction, "4+")
    v3_and_below_transactional_id: str = string("0-3")
    v3_and_below_producer_id: int = int64("0-3")
    v3_and_below_producer_epoch: int = int16("0-3")
    v3_and_below_topics: list[AddPartitionsToTxnTopic] = array(AddPartitionsToTxnTopic, "0-3")


class AddPartitionsToTxnResponse(Response, answers=AddPartitionsToTxnRequest):
    class AddPartitionsToTxnResult(Struct):
        class AddPartitionsToTxnTopicResult(Struct):
            class AddPartitionsToTxnPartitionResult(Struct):
                partition_index: int = int32("0+")
                partition_error_code: int = int16("0+")

            name: str = string("0+")
            results_by_partition: list[AddPartitionsToTxnPartitionResult] = array(
                AddPartitionsToTxnPartitionResult, "0+"
            )

        transactional_id: str = string("4+")
        topic_results: list[AddPartitionsToTxnTopicResult] = array(AddPartitionsToTxnTopicResult, "4+")

    AddPartitionsToTxnTopicResult = Alias[AddPartitionsToTxnResult.AddPartitionsToTxnTopicResult]
    AddPartitionsToTxnPartitionResult = Alias[
        AddPartitionsToTxnResult.AddPartitionsToTxnTopicResult.AddPartitionsToTxnPartitionResult
    ]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("4+", ignorable=True)
    results_by_transaction: list[AddPartitionsToTxnResult] = array(AddPartitionsToTxnResult, "4+")
    results_by_topic_v3_and_below: list[AddPartitionsToTxnTopicResult] = array(AddPartitionsToTxnTopicResult, "0-3")
