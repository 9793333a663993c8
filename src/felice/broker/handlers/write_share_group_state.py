"""WriteShareGroupState: how a share group goes on in partitions (KIP-932)."""

from typing import Any

from felice.broker.call import Call, Handler
from felice.broker.shares.share_partition import SharePartition
from felice.broker.shares.state_batch import StateBatch
from felice.broker.shares.state_requests import named_partitions, results
from felice.wire.messages.write_share_group_state import WriteShareGroupStateRequest, WriteShareGroupStateResponse

__all__ = ["HANDLER"]


def _handle(call: Call, request: WriteShareGroupStateRequest) -> WriteShareGroupStateResponse:
    """Write each partition."""
    state = call.cluster.share_state

    def act(key: SharePartition, asked: Any) -> dict[str, Any]:
        batches = [
            StateBatch(batch.first_offset, batch.last_offset, batch.delivery_count, batch.delivery_state)
            for batch in asked.state_batches
        ]
        state.write(
            *key,
            asked.state_epoch,
            asked.leader_epoch,
            asked.start_offset,
            asked.delivery_complete_count,
            batches,
        )
        return {}

    return WriteShareGroupStateResponse(
        results=results(call, request, WriteShareGroupStateResponse.WriteStateResult, act)
    )


HANDLER = Handler(_handle, named_partitions)
