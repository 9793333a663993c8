"""ListTransactions: the transactional IDs that a node coordinates (KIP-664, KIP-994, KIP-1152)."""

import re
from collections.abc import Callable

from felice.broker.authorization import Operation, Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.broker.coordination import Kind
from felice.broker.groups.topic_patterns import ALPHABET, topic_pattern
from felice.broker.refusal import Refused
from felice.broker.transactions.transaction import State, Transaction
from felice.wire.messages.list_transactions import ListTransactionsRequest, ListTransactionsResponse

__all__ = ["HANDLER"]

STATES = {state.shown for state in State}


def _handle(call: Call, request: ListTransactionsRequest) -> ListTransactionsResponse:
    """List those that pass all filters."""
    response = ListTransactionsResponse(
        unknown_state_filters=[name for name in request.state_filters if name not in STATES]
    )
    try:
        call.check_faults(None)
        matches = _matcher(request.transactional_id_pattern)
    except Refused as refused:
        return ListTransactionsResponse(error_code=refused.code)
    now = call.cluster.clock.time_ms()
    response.transaction_states = [
        ListTransactionsResponse.TransactionState(
            transactional_id=found.id, producer_id=found.producer_id, transaction_state=found.state.shown
        )
        for found in call.cluster.transactions
        if _passes(found, request, now)
        and matches(found.id)
        and call.may(Operation.DESCRIBE, Resource.TRANSACTIONAL_ID, found.id)
        and call.cluster.coordination.node_id(Kind.TRANSACTION, found.id) == call.node.id
    ]
    return response


def _matcher(pattern: str | None) -> Callable[[str], object]:
    """Return the filter for transactional IDs; an empty one lets everything pass, and what is not RE2's is refused."""
    if not pattern:
        return lambda transactional_id: True
    in_time = topic_pattern(pattern)
    try:
        anything = re.compile(pattern).fullmatch
    except re.error:  # It is something that only RE2 can say.
        return in_time
    # Python's matching may take ages. The other never does, but it knows no more characters than topics' names have.
    return lambda transactional_id: (in_time if ALPHABET.issuperset(transactional_id) else anything)(transactional_id)


def _passes(found: Transaction, request: ListTransactionsRequest, now: int) -> bool:
    """Tell whether the state, the producer and the age are among those asked for."""
    if request.producer_id_filters and found.producer_id not in request.producer_id_filters:
        return False
    if request.state_filters and found.state.shown not in request.state_filters:
        return False
    return request.duration_filter < 0 or now - found.started_ms > request.duration_filter


HANDLER = Handler(_handle, no_partitions)
