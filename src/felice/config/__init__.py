"""What can be set: frozen values by role, each option with its unit, default and Kafka's own key."""

from felice.config.addresses import Address, parse_addresses
from felice.config.client import ClientConfig
from felice.config.consumer import ConsumerConfig, ConsumerOptions
from felice.config.producer import Acks, ProducerConfig, ProducerOptions, TopicConfig

__all__ = [
    "Acks",
    "Address",
    "ClientConfig",
    "ConsumerConfig",
    "ConsumerOptions",
    "ProducerConfig",
    "ProducerOptions",
    "TopicConfig",
    "parse_addresses",
]
