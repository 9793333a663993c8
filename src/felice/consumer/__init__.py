"""Reading from Kafka: the two faces of a consumer, and what they hand out."""

import importlib
from typing import TYPE_CHECKING

from felice import native
from felice.consumer.consumer import Consumer
from felice.consumer.start import OffsetAndTimestamp, Timestamp

if TYPE_CHECKING:
    from felice.consumer._batch import Batch, Message
    from felice.consumer.aio import AsyncConsumer
else:
    _compiled_or_plain = native.pick("felice.consumer._batch")
    Batch, Message = _compiled_or_plain.Batch, _compiled_or_plain.Message

    def __getattr__(name: str) -> object:
        # Whoever does without asyncio is not made to import it.
        if name == "AsyncConsumer":
            return importlib.import_module("felice.consumer.aio").AsyncConsumer
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["AsyncConsumer", "Batch", "Consumer", "Message", "OffsetAndTimestamp", "Timestamp"]
