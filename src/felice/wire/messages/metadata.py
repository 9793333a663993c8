"""Metadata (key 3): brokers, and the leaders and replicas of topics.

Since version 1 a null list asks for all topics and an empty one for none; in version 0 the empty list asks for all.

Version 4 adds whether to create topics, 7 leader epochs (KIP-320), 8 authorized operations (KIP-430),
10 topic IDs (KIP-516), which brokers understand in requests since 12, and 13 an error of the whole response, which
asks the client to bootstrap again (KIP-1102).
"""

from felice.wire.schema import INT32_MIN, Alias, Request, Response, Struct, array, boolean, int16, int32, string, uuid

__all__ = ["MetadataRequest", "MetadataResponse"]


class MetadataRequest(Request["MetadataResponse"], key=3, versions="0-13", flexible="9+"):
    class Topic(Struct):
        topic_id: bytes = uuid("10+", ignorable=True)
        name: str | None = string("0+", nullable="10+")

    topics: list[Topic] | None = array(Topic, "0+", nullable="1+")
    allow_auto_topic_creation: bool = boolean("4+", default=True)
    include_cluster_authorized_operations: bool = boolean("8-10")
    include_topic_authorized_operations: bool = boolean("8+")


class MetadataResponse(Response, answers=MetadataRequest):
    class Broker(Struct):
        node_id: int = int32("0+")
        host: str = string("0+")
        port: int = int32("0+")
        rack: str | None = string("1+", nullable="1+", default=None, ignorable=True)

    class Topic(Struct):
        class Partition(Struct):
            error_code: int = int16("0+")
            partition_index: int = int32("0+")
            leader_id: int = int32("0+")
            leader_epoch: int = int32("7+", default=-1, ignorable=True)
            replica_nodes: list[int] = array(int32, "0+")
            isr_nodes: list[int] = array(int32, "0+")
            offline_replicas: list[int] = array(int32, "5+", ignorable=True)

        error_code: int = int16("0+")
        name: str | None = string("0+", nullable="12+")
        topic_id: bytes = uuid("10+", ignorable=True)
        is_internal: bool = boolean("1+", ignorable=True)
        partitions: list[Partition] = array(Partition, "0+")
        topic_authorized_operations: int = int32("8+", default=INT32_MIN)

    Partition = Alias[Topic.Partition]

    throttle_time_ms: int = int32("3+", ignorable=True)
    brokers: list[Broker] = array(Broker, "0+")
    cluster_id: str | None = string("2+", nullable="2+", default=None, ignorable=True)
    controller_id: int = int32("1+", default=-1, ignorable=True)
    topics: list[Topic] = array(Topic, "0+")
    cluster_authorized_operations: int = int32("8-10", default=INT32_MIN)
    error_code: int = int16("13+", ignorable=True)
