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
    _batch = native.pick("felice.consumer._batch")
    Batch, Message = _batch.Batch, _batch.Message

__all__ = ["AsyncConsumer", "Batch", "Consumer", "Message", "OffsetAndTimestamp", "Timestamp"]
