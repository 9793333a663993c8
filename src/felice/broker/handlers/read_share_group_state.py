"""ReadShareGroupState: how far a share group has come in partitions, for their leaders (KIP-932)."""

from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_requests import named_partitions, results
from felice.wire.messages.read_share_group_state import ReadShareGroupStateRequest, ReadShareGroupStateResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: ReadShareGroupStateRequest) -> ReadShareGroupStateResponse:
    """Read each partition."""
    state = call.cluster.share_state

    def act(key: SharePartition, asked: Any) -> dict[str, Any]:
        progress = state.read(*key, asked.leader_epoch)
        return {
            "state_epoch": progress.state_epoch,
            "start_offset": progress.start_offset,
            "state_batches": [ReadShareGroupStateResponse.StateBatch(**batch._asdict()) for batch in progress.batches],
        }

    return ReadShareGroupStateResponse(results=results(call, request, ReadShareGroupStateResponse.ReadStateResult, act))


HANDLER = Handler(_handle, named_partitions)
