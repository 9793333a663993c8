"""InitializeShareGroupState: a share group begins to read partitions (KIP-932)."""

from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_requests import named_partitions, results
from felice.wire.messages.initialize_share_group_state import (
    InitializeShareGroupStateRequest,
    InitializeShareGroupStateResponse,
)

__all__ = ["HANDLER"]


def _handle(call: Call, request: InitializeShareGroupStateRequest) -> InitializeShareGroupStateResponse:
    """Begin in each partition."""
    state = call.cluster.share_state

    def act(key: SharePartition, asked: Any) -> dict[str, Any]:
        state.initialize(*key, asked.state_epoch, asked.start_offset)
        return {}

    return InitializeShareGroupStateResponse(
        results=results(call, request, InitializeShareGroupStateResponse.InitializeStateResult, act, lenient=True)
    )


HANDLER = Handler(_handle, named_partitions)
