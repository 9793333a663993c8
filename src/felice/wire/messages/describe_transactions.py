"""DescribeTransactions (key 65): what coordinators know of transactions (KIP-664).

Each is asked of its own coordinator. The start is -1 where no transaction is open.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, int64, string

__all__ = ["DescribeTransactionsRequest", "DescribeTransactionsResponse"]


class DescribeTransactionsRequest(Request["DescribeTransactionsResponse"], key=65, versions="0", flexible="0+"):
    transactional_ids: list[str] = array(string, "0+")


class DescribeTransactionsResponse(Response, answers=DescribeTransactionsRequest):
    class TransactionState(Struct):
        class TopicData(Struct):
            topic: str = string("0+")
            partitions: list[int] = array(int32, "0+")

        error_code: int = int16("0+")
        transactional_id: str = string("0+")
        transaction_state: str = string("0+")
        transaction_timeout_ms: int = int32("0+")
        transaction_start_time_ms: int = int64("0+")
        producer_id: int = int64("0+")
        producer_epoch: int = int16("0+")
        topics: list[TopicData] = array(TopicData, "0+")

    TopicData = Alias[TransactionState.TopicData]

    throttle_time_ms: int = int32("0+")
    transaction_states: list[TransactionState] = array(TransactionState, "0+")
