"""Every error that felice raises, in one tree.

    FeliceError
    ├── ConfigError            an option is wrong: named, with the right ones (a ValueError)
    ├── UsageError             a call that can never work as it stands
    │   ├── ClosedError        the client is closed
    │   ├── ForkedError        the client belongs to the parent process
    │   ├── UnsupportedField   a message field that the chosen version cannot carry
    │   └── RecordTooLarge     one record above a limit: its size, the limit and the option
    ├── BufferFull             no room for another record yet
    ├── WireError              bytes of a peer that make no sense
    │   ├── CorruptBatch       a record batch that is damaged
    │   └── DecompressionLimit a record batch that would unpack to too much
    ├── NetworkError           the way to a broker is broken
    │   ├── ConnectError       no connection came about
    │   └── ConnectionLost     a connection ended under a request
    ├── DeadlineExceeded       a wait ended without its event (a TimeoutError)
    │   └── RequestTimeout     a broker did not answer in time
    ├── UnsupportedVersion     no version of a request that both sides speak
    ├── PartitionError         reading one partition cannot go on
    │   ├── OffsetReset        the position is not in the log, or the topic is another one now
    │   │   └── LogTruncated   the log was cut off below the position
    │   └── DeserializeError   a deserializer refused a key or a value
    ├── DeliveryError          records that were not delivered: from a delivery, `flush` or `close`
    └── BrokerError            a broker's error code; `code`, `name`

Each answers three questions. May I retry: `retriable`. May it have happened all the same: `may_have_happened`. What
should I look at: `hint`, which is also part of the text.
"""

from typing import Any

from felice.error_codes import ErrorCode, traits

__all__ = [
    "BrokerError",
    "BufferFull",
    "ClosedError",
    "ConfigError",
    "ConnectError",
    "ConnectionLost",
    "CorruptBatch",
    "DeadlineExceeded",
    "DecompressionLimit",
    "DeliveryError",
    "DeserializeError",
    "ErrorCode",
    "FeliceError",
    "ForkedError",
    "LogTruncated",
    "NetworkError",
    "OffsetReset",
    "PartitionError",
    "RecordTooLarge",
    "RequestTimeout",
    "UnsupportedField",
    "UnsupportedVersion",
    "UsageError",
    "WireError",
]
"""What `felice` exports, too."""


class FeliceError(Exception):
    """The root of the tree.

    `message` says what was being done, to what; `hint` what to do next. The two class attributes are the usual
    answers of a kind of error, and an instance may differ.
    """

    retriable: bool = False
    """Whether the same call may succeed later."""
    may_have_happened: bool = False
    """Whether the operation may have taken effect although this was raised."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        retriable: bool | None = None,
        may_have_happened: bool | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if retriable is not None:
            self.retriable = retriable
        if may_have_happened is not None:
            self.may_have_happened = may_have_happened

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error be copied, and travel between processes, whatever its constructor asks for."""
        return _blank, (type(self),), {**self.__dict__, "args": self.args}

    def __str__(self) -> str:
        """Return the message and the hint."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


def _blank(kind: type[FeliceError]) -> FeliceError:
    """Make an error of which nothing is set yet."""
    return kind.__new__(kind)


class ConfigError(FeliceError, ValueError):
    """An option has a wrong name, type or value."""


class UsageError(FeliceError):
    """A call that can never work as it stands."""


class ClosedError(UsageError):
    """The client is closed."""


class ForkedError(UsageError):
    """The client was made before a fork and belongs to the parent process."""


class UnsupportedField(UsageError):
    """A message has a field set that the chosen version of the protocol cannot carry."""


class RecordTooLarge(UsageError):
    """A record is above a limit; nothing was accepted."""


class BufferFull(FeliceError):
    """The producer's buffer has no room for a record, which was not accepted.

    From `send_many`, `accepted` counts the records that were accepted before it, and `delivery` is their handle.
    """

    retriable = True
    accepted: int = 0
    delivery: object = None

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave the handle behind: what is on its way stays with the process that sent it."""
        make, args, state = super().__reduce__()
        return make, args, {name: value for name, value in state.items() if name != "delivery"}


class WireError(FeliceError):
    """A peer sent bytes that make no sense; `position` is where in the buffer, or -1."""

    def __init__(self, message: str, *, position: int = -1, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.position = position


class CorruptBatch(WireError):
    """A record batch is damaged: its checksum, its lengths or its counts do not hold."""


class DecompressionLimit(WireError):
    """A record batch would unpack to more than the limit."""


class NetworkError(FeliceError):
    """The way to a broker is broken."""

    retriable = True


class ConnectError(NetworkError):
    """No connection to a broker came about, so nothing was sent."""


class ConnectionLost(NetworkError):
    """A connection ended while a request was under way."""

    may_have_happened = True


class DeadlineExceeded(FeliceError, TimeoutError):
    """A wait ended without its event; the text carries the chain of reasons."""

    retriable = True


class RequestTimeout(DeadlineExceeded):
    """A broker did not answer a request in time."""

    may_have_happened = True


class UnsupportedVersion(FeliceError):
    """The broker and felice have no version of a request in common."""


class PartitionError(FeliceError):
    """Reading one partition cannot go on; the position has not moved.

    `topic`, `partition` and `offset` (the position) say where; `next_offset` is where to seek to go on, or -1.
    """

    def __init__(
        self, message: str, *, topic: str, partition: int, offset: int, next_offset: int = -1, hint: str = ""
    ) -> None:
        super().__init__(message, hint=hint)
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.next_offset = next_offset


class OffsetReset(PartitionError):
    """The position is outside the log, or the topic was deleted and created anew, and the policy is `error`."""


class LogTruncated(OffsetReset):
    """A log was cut off below the position (an unclean election, mostly), and the policy is `error`.

    `divergent_offset` is the first offset at which the log is not what was read, and `divergent_epoch` the leader
    epoch that goes up to there; both are -1 where the leader cannot tell. `next_offset` is where to seek to go on.
    """

    def __init__(
        self,
        message: str,
        *,
        topic: str,
        partition: int,
        offset: int,
        next_offset: int = -1,
        divergent_offset: int = -1,
        divergent_epoch: int = -1,
        hint: str = "",
    ) -> None:
        super().__init__(message, topic=topic, partition=partition, offset=offset, next_offset=next_offset, hint=hint)
        self.divergent_offset = divergent_offset
        self.divergent_epoch = divergent_epoch


class DeserializeError(PartitionError):
    """A deserializer refused the key or the value of a record; its own error is the cause."""


class DeliveryError(FeliceError):
    """Records were not delivered; `failed` counts them, and `first` is the first one's error.

    `may_have_happened` tells whether any of them may have been written.
    """

    def __init__(
        self,
        message: str,
        *,
        failed: int,
        first: BaseException | None = None,
        may_have_happened: bool = False,
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint, may_have_happened=may_have_happened)
        self.failed = failed
        self.first = first


class BrokerError(FeliceError):
    """A broker answered with an error code.

    `code` is the number (one of `ErrorCode` or not), `name` its name, and `broker_message` what the broker said
    itself, which may be empty.
    """

    def __init__(self, code: int, doing: str, *, broker_message: str | None = None, hint: str | None = None) -> None:
        known = traits(code)
        said = f": {broker_message}" if broker_message else ""
        super().__init__(
            f"{doing}: {known.name} ({code}){said}",
            hint=known.hint if hint is None else hint,
            retriable=known.retriable,
        )
        self.code = code
        self.name = known.name
        self.broker_message = broker_message or ""
