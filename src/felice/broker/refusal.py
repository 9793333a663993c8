"""The one exception with which the broker's rooms say no."""

from collections.abc import Sequence

from felice.errors import ErrorCode

__all__ = ["Hangup", "Refused"]


class Refused(Exception):
    """A request, or a part of one, is answered with an error code.

    `records` names single records of a batch that are to blame, as pairs of their index in the batch and the reason
    (KIP-467). `position_known` tells whether the answer still says where the log starts, and `shown` is the message
    for the client: Kafka sends one only where it has more to say than its code.
    """

    def __init__(
        self,
        code: ErrorCode,
        message: str | None = None,
        *,
        records: Sequence[tuple[int, str | None]] = (),
        position_known: bool = False,
        shown: bool = False,
    ) -> None:
        super().__init__(code.name if message is None else f"{code.name}: {message}")
        self.code = code
        self.message = message
        self.records = records
        self.position_known = position_known
        self.shown = message if shown else None


class Hangup(Exception):
    """The connection is closed without an answer, as Kafka does with what it cannot read.

    It is worth a warning, unless it was `wanted`: a fault's doing.
    """

    def __init__(self, reason: str, *, wanted: bool = False) -> None:
        super().__init__(reason)
        self.wanted = wanted
