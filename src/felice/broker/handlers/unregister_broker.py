"""UnregisterBroker: a broker that is down is taken out of the cluster for good (KIP-500)."""

from felice.broker.authorization import Operation
from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.unregister_broker import UnregisterBrokerRequest, UnregisterBrokerResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: UnregisterBrokerRequest) -> UnregisterBrokerResponse:
    """Take a broker out. One that is up would register anew at once, so nothing happens to it."""
    code = call.error(Operation.ALTER)
    node = call.cluster.nodes.get(request.broker_id)
    if not code and node is None:
        code = ErrorCode.BROKER_ID_NOT_REGISTERED
    if code:
        return UnregisterBrokerResponse(error_code=code, error_message=f"broker {request.broker_id}: {code.name}")
    if node is not None and not node.up:
        call.cluster.node_removed(node)
    return UnregisterBrokerResponse(error_message=None)


HANDLER = Handler(_handle, no_partitions)
