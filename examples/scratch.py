"""A topic on a cluster for as long as a program runs.

felice has no admin client yet: two requests go straight through its cluster layer.
"""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

from felice.clock import SystemClock
from felice.cluster.engine import Engine
from felice.cluster.router import CONTROLLER, Cluster
from felice.config import ClientConfig
from felice.errors import BrokerError
from felice.events import EventBus
from felice.wire.messages.create_topics import CreateTopicsRequest
from felice.wire.messages.delete_topics import DeleteTopicsRequest

PATIENCE = 30.0  # seconds


@contextmanager
def scratch_topic(servers: str, partitions: int) -> Iterator[str]:
    """Create a topic under a new name, give the name, and delete the topic in the end."""
    name = f"felice-demo-{secrets.token_hex(4)}"
    clock, engine = SystemClock(), Engine.current()
    events = EventBus(engine.callbacks.post)
    config = ClientConfig(bootstrap_servers=servers)
    cluster = Cluster(config, engine=engine, clock=clock, random=Random(), events=events)

    async def create() -> None:
        topic = CreateTopicsRequest.CreatableTopic(name=name, num_partitions=partitions, replication_factor=-1)
        request = CreateTopicsRequest(topics=[topic], timeout_ms=20_000)
        await cluster.start()
        answer = await cluster.call(request, node=CONTROLLER, deadline=clock.monotonic() + PATIENCE)
        _check(answer.topics[0].error_code, f"creating the topic {name}")

    async def delete() -> None:
        def request(version: int) -> DeleteTopicsRequest:  # by name or ID since version 6
            if version < 6:
                return DeleteTopicsRequest(topic_names=[name], timeout_ms=20_000)
            state = DeleteTopicsRequest.DeleteTopicState(name=name)
            return DeleteTopicsRequest(topics=[state], timeout_ms=20_000)

        deadline = clock.monotonic() + PATIENCE
        answer = await cluster.call(request, api=DeleteTopicsRequest, node=CONTROLLER, deadline=deadline)
        await cluster.close(deadline)
        _check(answer.responses[0].error_code, f"deleting the topic {name}")

    engine.run(create)
    try:
        yield name
    finally:
        engine.run(delete)


def _check(code: int, doing: str) -> None:
    if code:
        raise BrokerError(code, doing)
