"""felice: a Kafka toolkit for Python.

The public names are loaded when they are first asked for: importing the package starts no thread, opens no socket and
takes next to no time.
"""

import importlib
from typing import TYPE_CHECKING

from felice import errors as _errors

if TYPE_CHECKING:
    from felice.cluster.health import Health as Health
    from felice.config import ConsumerConfig as ConsumerConfig
    from felice.config import ProducerConfig as ProducerConfig
    from felice.config import TopicConfig as TopicConfig
    from felice.consumer import AsyncConsumer as AsyncConsumer
    from felice.consumer import Batch as Batch
    from felice.consumer import Consumer as Consumer
    from felice.consumer import Message as Message
    from felice.consumer import OffsetAndTimestamp as OffsetAndTimestamp
    from felice.consumer import Timestamp as Timestamp
    from felice.errors import *  # noqa: F403
    from felice.producer import AsyncProducer as AsyncProducer
    from felice.producer import Delivery as Delivery
    from felice.producer import Producer as Producer
    from felice.producer.delivery import BulkDelivery as BulkDelivery
    from felice.producer.delivery import RecordRange as RecordRange
    from felice.types import GroupMetadata as GroupMetadata
    from felice.types import Header as Header
    from felice.types import OffsetAndEpoch as OffsetAndEpoch
    from felice.types import RecordMetadata as RecordMetadata
    from felice.types import TimestampType as TimestampType
    from felice.types import TopicPartition as TopicPartition

__version__ = "0.1.0"

_HOMES = {
    "felice.cluster.health": ("Health",),
    "felice.config": ("ConsumerConfig", "ProducerConfig", "TopicConfig"),
    "felice.consumer": ("AsyncConsumer", "Batch", "Consumer", "Message", "OffsetAndTimestamp", "Timestamp"),
    "felice.producer": ("AsyncProducer", "Delivery", "Producer"),
    "felice.producer.delivery": ("BulkDelivery", "RecordRange"),
    "felice.types": ("GroupMetadata", "Header", "OffsetAndEpoch", "RecordMetadata", "TimestampType", "TopicPartition"),
    "felice.errors": tuple(_errors.__all__),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME})
