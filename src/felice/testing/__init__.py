"""For tests of programs that use Kafka, whichever client they use.

pytest finds the fixtures by itself (see `felice.testing.plugin`); with other frameworks a test begins with
`felice.broker.Broker`, which is a context manager. `FaultProxy` makes things go wrong before any cluster.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from felice.testing.proxy import FaultProxy

__all__ = ["FaultProxy"]

_HOMES = {"FaultProxy": "felice.testing.proxy"}


def __getattr__(name: str) -> Any:
    """Import what is asked for: pytest loads this package in every run, and must not pay for all of it."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
