"""Sending records: the two faces of a producer, and the handle that they give."""

from typing import TYPE_CHECKING

from felice import native
from felice.producer.aio import AsyncProducer
from felice.producer.producer import Producer

if TYPE_CHECKING:
    from felice.producer._accumulator import Delivery
else:
    Delivery = native.pick("felice.producer._accumulator").Delivery

__all__ = ["AsyncProducer", "Delivery", "Producer"]
