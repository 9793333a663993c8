"""Both twins of the accumulator."""

from types import ModuleType

import pytest

from felice.producer import _accumulator, _accumulator_plain


@pytest.fixture(params=[_accumulator, _accumulator_plain], ids=["compiled", "plain"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """Return the accumulator's module, compiled and plain in turn."""
    found: ModuleType = request.param
    return found
