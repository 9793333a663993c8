"""Both twins of the reader's compiled module."""

import importlib
from types import ModuleType

import pytest


@pytest.fixture(params=["_batch", "_batch_plain"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """The compiled module, and its twin in plain Python."""
    return importlib.import_module(f"felice.consumer.{request.param}")
