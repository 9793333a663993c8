"""Which producer ID and epoch each transactional ID has (KIP-98, KIP-360)."""

from collections.abc import Callable

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["NO_EPOCH", "TransactionalIds"]

NO_PRODUCER = -1
NO_EPOCH = -1
LAST_EPOCH = 0x7FFF - 1
"""The last epoch that is given out; with the one behind it a coordinator fences."""


class TransactionalIds:
    """Hands out producer IDs, each time with an epoch that fences whoever had the transactional ID before."""

    __slots__ = ("_known", "_new_producer_id")

    def __init__(self, new_producer_id: Callable[[], int]) -> None:
        self._new_producer_id = new_producer_id
        self._known: dict[str, tuple[int, int]] = {}

    def initialise(self, transactional_id: str, producer_id: int, epoch: int) -> tuple[int, int]:
        """Return a producer ID and epoch; `producer_id` and `epoch` are what the producer had, or -1 both.

        Refuse with PRODUCER_FENCED where somebody else has it by now.
        """
        known = self._known.get(transactional_id)
        if known is None:
            given = (self._new_producer_id(), 0)
        else:
            if producer_id != NO_PRODUCER and known != (producer_id, epoch):
                raise Refused(ErrorCode.PRODUCER_FENCED, f"the transactional ID {transactional_id!r} is another's now")
            given = (known[0], known[1] + 1) if known[1] < LAST_EPOCH else (self._new_producer_id(), 0)
        self._known[transactional_id] = given
        return given
