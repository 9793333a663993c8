"""DescribeTransactions: what a coordinator knows of transactional IDs (KIP-664)."""

from typing import TypeAlias

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.refusal import Refused
from felice.errors import ErrorCode
from felice.wire.messages.describe_transactions import DescribeTransactionsRequest, DescribeTransactionsResponse

__all__ = ["HANDLER"]

TransactionState: TypeAlias = DescribeTransactionsResponse.TransactionState


def _handle(call: Call, request: DescribeTransactionsRequest) -> DescribeTransactionsResponse:
    """Describe each."""
    return DescribeTransactionsResponse(
        transaction_states=[_describe(call, transactional_id) for transactional_id in request.transactional_ids]
    )


def _describe(call: Call, transactional_id: str) -> TransactionState:
    """Describe one."""
    answer = DescribeTransactionsResponse.TransactionState(transactional_id=transactional_id)
    try:
        if not transactional_id:
            raise Refused(ErrorCode.INVALID_REQUEST)
        call.check_coordinator(Kind.TRANSACTION, transactional_id, Operation.DESCRIBE)
        transaction = call.cluster.transactions.find(transactional_id)
        if transaction is None:
            raise Refused(ErrorCode.TRANSACTIONAL_ID_NOT_FOUND)
    except Refused as refused:
        answer.error_code = refused.code
        return answer
    answer.transaction_state = transaction.state.shown
    answer.transaction_timeout_ms = transaction.timeout_ms
    answer.transaction_start_time_ms = transaction.started_ms
    answer.producer_id = transaction.producer_id
    answer.producer_epoch = transaction.epoch
    topics: dict[str, list[int]] = {}
    for topic, index in sorted(transaction.partitions):
        if call.may(Operation.DESCRIBE, Resource.TOPIC, topic):
            topics.setdefault(topic, []).append(index)
    answer.topics = [
        DescribeTransactionsResponse.TopicData(topic=topic, partitions=indexes) for topic, indexes in topics.items()
    ]
    return answer


HANDLER = Handler(_handle, no_partitions)
