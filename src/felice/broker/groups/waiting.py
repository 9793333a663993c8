"""Requests of the classic protocol that are answered when the others have come too."""

import asyncio
from collections.abc import Callable
from typing import Any

from felice.errors import ErrorCode
from felice.wire.messages.join_group import JoinGroupResponse
from felice.wire.messages.sync_group import SyncGroupResponse
from felice.wire.schema import Response

__all__ = ["WaitingJoin", "WaitingSync"]

NULL_PROTOCOL_FROM = 7


class WaitingJoin:
    """A JoinGroup request. The future is cancelled where the client has gone; nobody in the group hears of that."""

    __slots__ = ("future", "version")

    def __init__(self, future: "asyncio.Future[Any]", version: int) -> None:
        self.future = future
        self.version = version

    def answer(self, response: JoinGroupResponse) -> None:
        """Answer it, unless that has happened."""
        if response.protocol_name is None and self.version < NULL_PROTOCOL_FROM:
            response.protocol_name = ""
        if not self.future.done():
            self.future.set_result(response)

    def refuse(self, code: ErrorCode, member_id: str) -> None:
        """Answer with an error."""
        self.answer(JoinGroupResponse(error_code=code, member_id=member_id, protocol_name=None))


class WaitingSync:
    """A SyncGroup request. With `when_written` an answer to it may be a future: until the replicas have the group."""

    __slots__ = ("_when_written", "future")

    def __init__(
        self,
        future: "asyncio.Future[Any]",
        when_written: "Callable[[SyncGroupResponse], Response | asyncio.Future[Any]]" = lambda response: response,
    ) -> None:
        self.future = future
        self._when_written = when_written

    def answer(self, response: SyncGroupResponse) -> None:
        """Answer it, unless that has happened."""
        answer = self._when_written(response)
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(lambda written: self._settle(written.result()))
        else:
            self._settle(answer)

    def refuse(self, code: ErrorCode) -> None:
        """Answer with an error."""
        self._settle(SyncGroupResponse(error_code=code))

    def _settle(self, response: Response) -> None:
        """Answer it now."""
        if not self.future.done():
            self.future.set_result(response)
