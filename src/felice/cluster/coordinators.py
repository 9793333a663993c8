"""Who coordinates a group or a transaction: found once, remembered until somebody says otherwise. On the engine."""

from collections.abc import Awaitable, Callable
from enum import IntEnum
from typing import Protocol

from felice.cluster.metadata import BrokerView
from felice.errors import BrokerError, ErrorCode, WireError
from felice.wire.messages.find_coordinator import FindCoordinatorRequest, FindCoordinatorResponse

__all__ = ["Coordinators", "KeyType"]

TRANSIENT = frozenset({ErrorCode.COORDINATOR_NOT_AVAILABLE, ErrorCode.COORDINATOR_LOAD_IN_PROGRESS})


class KeyType(IntEnum):
    """What a coordinator coordinates."""

    GROUP = 0
    TRANSACTION = 1
    SHARE = 2


class Answer(Protocol):
    """The common part of the two forms of answer."""

    node_id: int
    host: str
    port: int
    error_code: int
    error_message: str | None


class Coordinators:
    """The coordinators that were found."""

    def __init__(
        self,
        ask: Callable[[Callable[[int], FindCoordinatorRequest], float], Awaitable[FindCoordinatorResponse]],
        pause: Callable[[int, float, str], Awaitable[None]],
        met: Callable[[BrokerView], object],
    ) -> None:
        """Take how to ask any broker until a deadline, how to wait between tries, and whom to tell of brokers."""
        self._ask = ask
        self._pause = pause
        self._met = met
        self._found: dict[tuple[int, str], int] = {}

    async def find(self, key: str, kind: KeyType, deadline: float) -> int:
        """Return the coordinator's node ID; raises BrokerError, WireError or DeadlineExceeded."""
        known = self._found.get((kind, key))
        if known is not None:
            return known
        what = f"finding the coordinator of {kind.name.lower()} {key}"

        def build(version: int) -> FindCoordinatorRequest:
            if version >= 4:  # KIP-699
                return FindCoordinatorRequest(key_type=kind, coordinator_keys=[key])
            return FindCoordinatorRequest(key_type=kind, key=key)

        tries = 0
        while True:
            response = await self._ask(build, deadline)
            answer: Answer = next((c for c in response.coordinators if c.key == key), response)
            if not answer.error_code and not answer.port:
                raise WireError(f"{what}: the answer names nobody")
            if not answer.error_code:
                self._met(BrokerView(answer.node_id, answer.host, answer.port))
                self._found[kind, key] = answer.node_id
                return answer.node_id
            error = BrokerError(answer.error_code, what, broker_message=answer.error_message)
            if answer.error_code not in TRANSIENT:
                raise error
            await self._pause(tries, deadline, str(error))
            tries += 1

    def forget(self, key: str, kind: KeyType) -> None:
        """Find it anew next time: it has moved (NOT_COORDINATOR), or cannot be reached."""
        self._found.pop((kind, key), None)
