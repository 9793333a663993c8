"""Requests of the classic protocol that are answered when the others have come too."""

import asyncio
from typing import Any

from felice.errors import ErrorCode
from felice.wire.messages.join_group import JoinGroupResponse
from felice.wire.messages.sync_group import SyncGroupResponse

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
    """A SyncGroup request."""

    __slots__ = ("future",)

    def __init__(self, future: "asyncio.Future[Any]") -> None:
        self.future = future

    def answer(self, response: SyncGroupResponse) -> None:
        """Answer it, unless that has happened."""
        if not self.future.done():
            self.future.set_result(response)

    def refuse(self, code: ErrorCode) -> None:
        """Answer with an error."""
        self.answer(SyncGroupResponse(error_code=code))
