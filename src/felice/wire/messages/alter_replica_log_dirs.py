"""AlterReplicaLogDirs (key 34): replicas move to other log directories of their broker (KIP-113).

It is asked of the broker that holds them, and answered when the moves have begun; DescribeLogDirs tells how far they
are.
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, int16, int32, string

__all__ = ["AlterReplicaLogDirsRequest", "AlterReplicaLogDirsResponse"]


class AlterReplicaLogDirsRequest(Request["AlterReplicaLogDirsResponse"], key=34, versions="1-2", flexible="2+"):
    class AlterReplicaLogDir(Struct):
        class AlterReplicaLogDirTopic(Struct):
            name: str = string("0+")
            partitions: list[int] = array(int32, "0+")

        path: str = string("0+")
        topics: list[AlterReplicaLogDirTopic] = array(AlterReplicaLogDirTopic, "0+")

    AlterReplicaLogDirTopic = Alias[AlterReplicaLogDir.AlterReplicaLogDirTopic]

    dirs: list[AlterReplicaLogDir] = array(AlterReplicaLogDir, "0+")


class AlterReplicaLogDirsResponse(Response, answers=AlterReplicaLogDirsRequest):
    class AlterReplicaLogDirTopicResult(Struct):
        class AlterReplicaLogDirPartitionResult(Struct):
            partition_index: int = int32("0+")
            error_code: int = int16("0+")

        topic_name: str = string("0+")
        partitions: list[AlterReplicaLogDirPartitionResult] = array(AlterReplicaLogDirPartitionResult, "0+")

    AlterReplicaLogDirPartitionResult = Alias[AlterReplicaLogDirTopicResult.AlterReplicaLogDirPartitionResult]

    throttle_time_ms: int = int32("0+")
    results: list[AlterReplicaLogDirTopicResult] = array(AlterReplicaLogDirTopicResult, "0+")
