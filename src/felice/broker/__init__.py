"""The embedded broker: Kafka's protocol inside a test's own process, or as a command (`python -m felice.broker`).

It shares nothing with the client but `felice.wire`: a broker that shared the client's logic would share its mistakes.
"""

from felice.broker.broker import Broker
from felice.broker.faults import Action, Fault, Faults
from felice.broker.request_log import RequestLog, SeenRequest
from felice.broker.steering import Replication

__all__ = ["Action", "Broker", "Fault", "Faults", "Replication", "RequestLog", "SeenRequest"]
