"""DescribeCluster: brokers, the controller, and what may be done (KIP-700, KIP-919, KIP-1073)."""

from typing import Final

from felice.broker.authorization import Resource
from felice.broker.call import Call, Handler, no_partitions
from felice.errors import ErrorCode
from felice.wire.messages.describe_cluster import DescribeClusterRequest, DescribeClusterResponse

__all__ = ["HANDLER"]

BROKERS: Final = 1
CONTROLLERS: Final = 2


def _handle(call: Call, request: DescribeClusterRequest) -> DescribeClusterResponse:
    """Describe the cluster as its brokers know it."""
    code, message = call.error(), ""
    if not code and request.endpoint_type == CONTROLLERS:
        code, message = ErrorCode.MISMATCHED_ENDPOINT_TYPE, "controllers are not known to a broker's clients"
    elif not code and request.endpoint_type != BROKERS:
        code, message = ErrorCode.UNSUPPORTED_ENDPOINT_TYPE, f"there is no endpoint type {request.endpoint_type}"
    if code:
        return DescribeClusterResponse(error_code=code, error_message=message or code.name)
    cluster = call.cluster
    response = DescribeClusterResponse(
        cluster_id=cluster.id,
        controller_id=cluster.controller_id,
        brokers=[
            DescribeClusterResponse.DescribeClusterBroker(
                broker_id=node.id, host=node.host, port=node.port, rack=node.rack, is_fenced=not node.up
            )
            for node in cluster.nodes.values()
            if node.up or request.include_fenced_brokers
        ],
    )
    if request.include_cluster_authorized_operations:
        response.cluster_authorized_operations = call.permitted(Resource.CLUSTER)
    return response


HANDLER = Handler(_handle, no_partitions)
