"""DeleteShareGroupState: share coordinators forget how far a share group has come (KIP-932)."""

from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_requests import named_partitions, results
from felice.wire.messages.delete_share_group_state import DeleteShareGroupStateRequest, DeleteShareGroupStateResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: DeleteShareGroupStateRequest) -> DeleteShareGroupStateResponse:
    """Forget each partition."""
    state = call.cluster.share_state

    def act(key: SharePartition, asked: Any) -> dict[str, Any]:
        state.delete(*key)
        return {}

    return DeleteShareGroupStateResponse(
        results=results(call, request, DeleteShareGroupStateResponse.DeleteStateResult, act)
    )


HANDLER = Handler(_handle, named_partitions)
