"""ShareFetch where its connection ends in the very moment in which it was to be answered."""

import asyncio
import time
from typing import Any

from felice.broker.call import Call
from felice.broker.cluster import Cluster
from felice.broker.handlers.share_fetch import HANDLER
from felice.errors import ErrorCode
from felice.wire.frames import RequestHeader
from felice.wire.messages.share_fetch import ShareFetchRequest
from virtual_cluster import virtual_cluster

WAIT_MS = 20


def begin(cluster: Cluster, member_id: str) -> "asyncio.Future[Any]":
    """Open a session, with a fetch that waits."""
    header = RequestHeader(ShareFetchRequest.api_key, 2, 0, None, 0)
    request = ShareFetchRequest(group_id="g", member_id=member_id, max_wait_ms=WAIT_MS, min_bytes=1, max_records=1)
    call = Call(cluster, cluster.nodes[1], header, request, asyncio.get_running_loop())
    answer: Any = HANDLER.handle(call, request)
    return answer


def test_a_session_too_many_whose_connection_ends_as_it_is_to_be_refused_is_no_error() -> None:
    """One that stays is refused when its time is up."""
    wrong: list[object] = []

    async def story() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda loop, context: wrong.append(context))
        cluster = virtual_cluster(group_share_max_share_sessions=1)
        begin(cluster, "first")
        stays, goes = begin(cluster, "stays"), begin(cluster, "goes")
        loop.call_later(WAIT_MS / 2000, goes.cancel)
        loop.call_soon(time.sleep, 2 * WAIT_MS / 1000)  # Then both are due: the connection's end, and the answer.
        assert (await stays).error_code == ErrorCode.SHARE_SESSION_LIMIT_REACHED
        await asyncio.sleep(0)

    asyncio.run(story())
    assert not wrong
