"""RemoveRaftVoter (key 81): a controller is no longer a voter of the metadata's log (KIP-853).

A voter is its ID and the ID of its directory together.
"""

from felice.wire.schema import Request, Response, int16, int32, string, uuid

__all__ = ["RemoveRaftVoterRequest", "RemoveRaftVoterResponse"]


class RemoveRaftVoterRequest(Request["RemoveRaftVoterResponse"], key=81, versions="0", flexible="0+"):
    cluster_id: str | None = string("0+", nullable="0+")
    voter_id: int = int32("0+")
    voter_directory_id: bytes = uuid("0+")


class RemoveRaftVoterResponse(Response, answers=RemoveRaftVoterRequest):
    throttle_time_ms: int = int32("0+")
    error_code: int = int16("0+")
    error_message: str | None = string("0+", nullable="0+", ignorable=True)
