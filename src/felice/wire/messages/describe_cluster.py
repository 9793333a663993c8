"""DescribeCluster (key 60): the brokers of a cluster, or its controllers (KIP-700).

A broker names some live broker as the controller, as a client cannot reach the real one through it. Version 1 asks a
controller for controllers (KIP-919), 2 has fenced brokers too (KIP-1073).
"""

from felice.wire.schema import INT32_MIN, Request, Response, Struct, array, boolean, int8, int16, int32, string

__all__ = ["DescribeClusterRequest", "DescribeClusterResponse"]


class DescribeClusterRequest(Request["DescribeClusterResponse"], key=60, versions="0-2", flexible="0+"):
    include_cluster_authorized_operations: bool = boolean("0+")
    endpoint_type: int = int8("1+", default=1)
    include_fenced_brokers: bool = boolean("2+")


class DescribeClusterResponse(Response, answers=DescribeClusterRequest):
    class DescribeClusterBroker(Struct):
        broker_id: int = int32("0+")
        host: str = string("0+")
        port: int = int32("0+")
        rack: str | None = string("0+", nullable="0+", default=None)
        is_fenced: bool = boolean("2+")

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", default=None)
    endpoint_type: int = int8("1+", default=1)
    cluster_id: str = string("0+")
    controller_id: int = int32("0+", default=-1)
    brokers: list[DescribeClusterBroker] = array(DescribeClusterBroker, "0+")
    cluster_authorized_operations: int = int32("0+", default=INT32_MIN)
