"""A cluster on the test's own loop, and what it told."""

import asyncio
from collections.abc import AsyncIterator, Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest

from felice.clock import SystemClock
from felice.cluster.router import Cluster
from felice.config import ClientConfig
from felice.events import EventBus
from heard_events import Told
from scripted_broker import ScriptedBroker

SEED = 20240229


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as made:
        yield made


@pytest.fixture
async def brokers() -> AsyncIterator[list[ScriptedBroker]]:
    """Three brokers that know of each other."""
    made = [await ScriptedBroker(node_id).start() for node_id in (1, 2, 3)]
    for one in made:
        one.peers = made
    yield made
    for one in made:
        await one.stop()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
async def make_cluster(told: Told) -> AsyncIterator[Callable[..., Cluster]]:
    """Make clusters that are closed at the end, with a check that they leave nothing behind."""
    loop = asyncio.get_running_loop()
    before = asyncio.all_tasks()
    made: list[Cluster] = []

    def make(*addresses: str, resolver: Any = None, **options: Any) -> Cluster:
        print(f"seed {SEED}")
        quick = {"reconnect_backoff": 0.01, "reconnect_backoff_max": 0.05}
        quick |= {"retry_backoff": 0.01, "retry_backoff_max": 0.05}
        cluster = Cluster(
            ClientConfig(bootstrap_servers=list(addresses), **(quick | options)),
            engine=SimpleNamespace(loop=loop, when_late=lambda callback: lambda: None),  # type: ignore[arg-type]
            clock=SystemClock(),
            random=Random(SEED),
            events=EventBus(lambda listener, event: listener(event), [told.hear]),
            resolver=resolver,
        )
        made.append(cluster)
        return cluster

    yield make
    for cluster in made:
        await cluster.close(loop.time() + 1)
        assert cluster.health.connections == 0
    left = [task for task in asyncio.all_tasks() - before if "felice" in task.get_name()]
    assert not left, f"tasks left behind: {left}"
