"""Which producer ID and epoch each transactional ID has (KIP-98, KIP-360)."""

from collections.abc import Callable
from typing import NoReturn

from felice.broker.refusal import Refused
from felice.errors import ErrorCode

__all__ = ["NO_EPOCH", "TransactionalIds"]

NO_PRODUCER = -1
NO_EPOCH = -1
ABORTABLE_FROM = 11
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

    def refuse_write(self, transactional_id: str | None, version: int, producer_id: int) -> NoReturn:
        """Refuse a batch of a transaction: none has begun, as there is no request here to begin one with (KIP-890)."""
        known = self._known.get(transactional_id or "")
        if known is None or known[0] != producer_id:
            raise Refused(ErrorCode.INVALID_PRODUCER_ID_MAPPING, "this is not its producer ID")
        if version >= ABORTABLE_FROM:
            raise Refused(ErrorCode.TRANSACTION_ABORTABLE, "the partition is in no transaction")
        raise Refused(ErrorCode.INVALID_TXN_STATE, "the partition is in no transaction", shown=True)
