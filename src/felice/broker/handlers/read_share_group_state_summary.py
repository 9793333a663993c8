"""ReadShareGroupStateSummary: how far a share group has come in partitions, in short (KIP-932, KIP-1226)."""

from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_requests import named_partitions, results
from felice.wire.messages.read_share_group_state_summary import (
    ReadShareGroupStateSummaryRequest,
    ReadShareGroupStateSummaryResponse,
)

__all__ = ["HANDLER"]


def _handle(call: Call, request: ReadShareGroupStateSummaryRequest) -> ReadShareGroupStateSummaryResponse:
    """Look at each partition."""
    state = call.cluster.share_state

    def act(key: SharePartition, asked: Any) -> dict[str, Any]:
        progress = state.summary(*key, asked.leader_epoch)
        return {
            "state_epoch": progress.state_epoch,
            "leader_epoch": progress.leader_epoch,
            "start_offset": progress.start_offset,
            "delivery_complete_count": progress.delivery_complete_count,
        }

    return ReadShareGroupStateSummaryResponse(
        results=results(call, request, ReadShareGroupStateSummaryResponse.ReadStateSummaryResult, act)
    )


HANDLER = Handler(_handle, named_partitions)
