"""Both twins of the record loops."""

from types import ModuleType

import pytest

from felice.wire import _records, _records_plain


@pytest.fixture(params=[_records, _records_plain], ids=["compiled", "plain"])
def twin(request: pytest.FixtureRequest) -> ModuleType:
    """Give the compiled module, then the plain one."""
    module: ModuleType = request.param
    return module
