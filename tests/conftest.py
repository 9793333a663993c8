"""What every room's tests share."""

import os
import random
import signal
from collections.abc import Callable, Iterator

import pytest

from felice.broker import Broker

BASE_SEED = int(os.environ.get("FELICE_SEED") or random.SystemRandom().randrange(2**32))


def pytest_configure() -> None:
    """Let Ctrl-C be tested where the shell has it ignored, as it does for what runs in its background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Print the seed, so that a failure can be had again."""
    return f"felice: FELICE_SEED={BASE_SEED}"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return a seed for this test, printed with its output; FELICE_SEED gives the same ones again."""
    made = random.Random(f"{BASE_SEED}:{request.node.nodeid}").randrange(2**32)
    print(f"seed={made} (FELICE_SEED={BASE_SEED})")
    return made


@pytest.fixture
def make_broker() -> Iterator[Callable[..., Broker]]:
    """Make embedded brokers, of `Broker`'s own arguments; they are closed at the end."""
    made: list[Broker] = []

    def make(**options: object) -> Broker:
        options.setdefault("auto_create", False)
        made.append(Broker(**options).start())  # type: ignore[arg-type]
        return made[-1]

    yield make
    for broker in made:
        broker.close()


@pytest.fixture
def broker(make_broker: Callable[..., Broker]) -> Broker:
    """Return a fresh broker of one node with a topic `letters` of four partitions; it creates none by itself."""
    return make_broker(topics={"letters": 4})
