"""Reading from Kafka."""

from typing import TYPE_CHECKING

from felice import native
from felice.consumer.aio import AsyncConsumer
from felice.consumer.consumer import Consumer
from felice.consumer.lookup import OffsetAndTimestamp
from felice.consumer.start import Timestamp

if TYPE_CHECKING:
    from felice.consumer._batch import Batch, Message
else:
    _native = native.pick("felice.consumer._batch")  # not `_batch`: that is the submodule's own name here
    Batch, Message = _native.Batch, _native.Message

__all__ = ["AsyncConsumer", "Batch", "Consumer", "Message", "OffsetAndTimestamp", "Timestamp"]
