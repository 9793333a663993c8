"""Producers, of both faces, that are closed at the end."""

from collections.abc import Iterator
from typing import Any

import pytest

from felice.broker import Broker
from producer_faces import Connect, Face


@pytest.fixture(params=["sync", "async"])
def face(request: pytest.FixtureRequest) -> str:
    """Return each face's name in turn."""
    kind: str = request.param
    return kind


@pytest.fixture
def connect(face: str) -> Iterator[Connect]:
    """Make producers for a broker: `connect(broker, linger=1)`."""
    made: list[Face] = []

    def make(broker: Broker | str, **options: Any) -> Face:
        servers = broker if isinstance(broker, str) else broker.bootstrap_servers
        made.append(Face(face, servers, **options))
        return made[-1]

    yield make
    for producer in made:
        producer.dispose()
