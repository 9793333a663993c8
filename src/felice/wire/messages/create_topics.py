"""CreateTopics (key 19): new topics (KIP-4).

Since version 4, -1 partitions or replicas mean the broker's default (KIP-464); 5 answers with what was made (KIP-525),
6 may be throttled (KIP-599), 7 answers with topic IDs (KIP-516).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int8, int16, int32, string, uuid

__all__ = ["CreateTopicsRequest", "CreateTopicsResponse"]


class CreateTopicsRequest(Request["CreateTopicsResponse"], key=19, versions="2-7", flexible="5+"):
    class CreatableTopic(Struct):
        class CreatableReplicaAssignment(Struct):
            partition_index: int = int32("0+")
            broker_ids: list[int] = array(int32, "0+")

        class CreatableTopicConfig(Struct):
            name: str = string("0+")
            value: str | None = string("0+", nullable="0+")

        name: str = string("0+")
        num_partitions: int = int32("0+")
        replication_factor: int = int16("0+")
        assignments: list[CreatableReplicaAssignment] = array(CreatableReplicaAssignment, "0+")
        configs: list[CreatableTopicConfig] = array(CreatableTopicConfig, "0+")

    CreatableReplicaAssignment = Alias[CreatableTopic.CreatableReplicaAssignment]
    CreatableTopicConfig = Alias[CreatableTopic.CreatableTopicConfig]

    topics: list[CreatableTopic] = array(CreatableTopic, "0+")
    timeout_ms: int = int32("0+", default=60000)
    validate_only: bool = boolean("1+")


class CreateTopicsResponse(Response, answers=CreateTopicsRequest):
    class CreatableTopicResult(Struct):
        class CreatableTopicConfigs(Struct):
            name: str = string("5+")
            value: str | None = string("5+", nullable="5+")
            read_only: bool = boolean("5+")
            config_source: int = int8("5+", default=-1, ignorable=True)
            is_sensitive: bool = boolean("5+")

        name: str = string("0+")
        topic_id: bytes = uuid("7+", ignorable=True)
        error_code: int = int16("0+")
        error_message: str | None = string("1+", nullable="0+", ignorable=True)
        topic_config_error_code: int = int16("5+", tag=0, ignorable=True)
        num_partitions: int = int32("5+", default=-1, ignorable=True)
        replication_factor: int = int16("5+", default=-1, ignorable=True)
        configs: list[CreatableTopicConfigs] | None = array(CreatableTopicConfigs, "5+", nullable="5+", ignorable=True)

    CreatableTopicConfigs = Alias[CreatableTopicResult.CreatableTopicConfigs]

    throttle_time_ms: int = int32("2+", ignorable=True)
    topics: list[CreatableTopicResult] = array(CreatableTopicResult, "0+")
