"""For tests of programs that use Kafka, whichever client they use.

pytest finds the fixtures by itself (see `felice.testing.plugin`); with other frameworks a test begins with
`felice.broker.Broker`, which is a context manager.

- `FaultProxy`: a proxy before any cluster, through which things go wrong.
- `NodeKiller`: kills nodes of a cluster, at random and again by the same seed.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from felice.testing.killer import NodeKiller as NodeKiller
    from felice.testing.proxy import FaultProxy as FaultProxy

__all__ = ["FaultProxy", "NodeKiller"]

_HOMES = {"FaultProxy": "felice.testing.proxy", "NodeKiller": "felice.testing.killer"}


def __getattr__(name: str) -> object:
    """Load a name when it is first asked for."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(importlib.import_module(home), name)
    return found


def __dir__() -> list[str]:
    """Return the names that can be asked for too."""
    return sorted({*globals(), *__all__})
