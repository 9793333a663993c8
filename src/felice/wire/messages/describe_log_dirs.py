"""DescribeLogDirs (key 35): the log directories of one broker, and the size of the replicas in them (KIP-113).

A null list asks for all topics; partitions that the broker does not hold are left out of the answer, without an error.
Version 3 brings the error of the whole request, 4 the volume's total and usable bytes, -1 where not known (KIP-827), 5
whether a directory is cordoned (KIP-1066).
"""

from felice.wire.schema import Alias, Request, Response, Struct, array, boolean, int16, int32, int64, string

__all__ = ["DescribeLogDirsRequest", "DescribeLogDirsResponse"]


class DescribeLogDirsRequest(Request["DescribeLogDirsResponse"], key=35, versions="1-5", flexible="2+"):
    class DescribableLogDirTopic(Struct):
        topic: str = string("0+")
        partitions: list[int] = array(int32, "0+")

    topics: list[DescribableLogDirTopic] | None = array(DescribableLogDirTopic, "0+", nullable="0+")


class DescribeLogDirsResponse(Response, answers=DescribeLogDirsRequest):
    class DescribeLogDirsResult(Struct):
        class DescribeLogDirsTopic(Struct):
            class DescribeLogDirsPartition(Struct):
                partition_index: int = int32("0+")
                partition_size: int = int64("0+")
                offset_lag: int = int64("0+")
                is_future_key: bool = boolean("0+")

            name: str = string("0+")
            partitions: list[DescribeLogDirsPartition] = array(DescribeLogDirsPartition, "0+")

        error_code: int = int16("0+")
        log_dir: str = string("0+")
        topics: list[DescribeLogDirsTopic] = array(DescribeLogDirsTopic, "0+")
        total_bytes: int = int64("4+", default=-1, ignorable=True)
        usable_bytes: int = int64("4+", default=-1, ignorable=True)
        is_cordoned: bool = boolean("5+", ignorable=True)

    DescribeLogDirsTopic = Alias[DescribeLogDirsResult.DescribeLogDirsTopic]
    DescribeLogDirsPartition = Alias[DescribeLogDirsResult.DescribeLogDirsTopic.DescribeLogDirsPartition]

    throttle_time_ms: int = int32("0+")
    error_code: int = int16("3+", ignorable=True)
    results: list[DescribeLogDirsResult] = array(DescribeLogDirsResult, "0+")
