"""What every room's tests share."""

import os
import random

import pytest

BASE_SEED = int(os.environ.get("FELICE_SEED") or random.SystemRandom().randrange(2**32))


def pytest_report_header() -> str:
    """Print the seed, so that a failure can be had again."""
    return f"felice: FELICE_SEED={BASE_SEED}"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    """Return a seed for this test, printed with its output; FELICE_SEED gives the same ones again."""
    made = random.Random(f"{BASE_SEED}:{request.node.nodeid}").randrange(2**32)
    print(f"seed={made} (FELICE_SEED={BASE_SEED})")
    return made
