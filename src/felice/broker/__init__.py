"""The embedded broker: Kafka's protocol inside a test's own process, or as a command (`python -m felice.broker`).

It shares nothing with the client but `felice.wire`: a broker that shared the client's logic would share its mistakes.
"""

from felice.broker.broker import Broker
from felice.broker.clock import StoppedClock
from felice.broker.faults import Action, Fault, Faults
from felice.broker.own_answers import AskedRequest, OwnAnswer
from felice.broker.request_log import RequestLog
from felice.broker.seen_request import SeenRequest

__all__ = [
    "Action",
    "AskedRequest",
    "Broker",
    "Fault",
    "Faults",
    "OwnAnswer",
    "RequestLog",
    "SeenRequest",
    "StoppedClock",
]
