"""ListTransactions (key 66): the transactions that one broker coordinates (KIP-664).

To know all of them, every broker is asked. Empty filters let everything pass. Version 1 has one for those that run
longer than so many milliseconds (KIP-994), 2 a regular expression for their IDs (KIP-1152).
"""

from felice.wire.schema import Request, Response, Struct, array, int16, int32, int64, string

__all__ = ["ListTransactionsRequest", "ListTransactionsResponse"]


class ListTransactionsRequest(Request["ListTransactionsResponse"], key=66, versions="0-2", flexible="0+"):
    state_filters: list[str] = array(string, "0+")
    producer_id_filters: list[int] = array(int64, "0+")
    duration_filter: int = int64("1+", default=-1)
    transactional_id_pattern: str | None = string("2+", nullable="2+", default=None)


class ListTransactionsResponse(Response, answers=ListTransactionsRequest):
    class TransactionState(Struct):
        transactional_id: str = string("0+")
        producer_id: int = int64("0+")
        transaction_state: str = string("0+")

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    unknown_state_filters: list[str] = array(string, "0+")
    transaction_states: list[TransactionState] = array(TransactionState, "0+")
