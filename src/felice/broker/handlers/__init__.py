"""One module per API that the broker answers. A module is imported when its API is first asked for."""

from collections.abc import Iterator, Mapping
from importlib import import_module

from felice.broker.call import Handler

__all__ = ["HANDLERS"]

_MODULES = {
    0: "produce",
    1: "fetch",
    2: "list_offsets",
    3: "metadata",
    10: "find_coordinator",
    18: "api_versions",
    19: "create_topics",
    20: "delete_topics",
    21: "delete_records",
    22: "init_producer_id",
    23: "offset_for_leader_epoch",
    32: "describe_configs",
}


class _Handlers(Mapping[int, Handler]):
    """The handlers, loaded one by one."""

    def __init__(self) -> None:
        self._loaded: dict[int, Handler] = {}

    def __getitem__(self, key: int) -> Handler:
        """Return the handler of an API; `KeyError` where it is not answered."""
        found = self._loaded.get(key)
        if found is None:
            found = import_module(f"felice.broker.handlers.{_MODULES[key]}").HANDLER
            self._loaded[key] = found
        return found

    def __iter__(self) -> Iterator[int]:
        """Give the keys, without loading anything."""
        return iter(_MODULES)

    def __len__(self) -> int:
        """Return how many APIs are answered."""
        return len(_MODULES)


HANDLERS: Mapping[int, Handler] = _Handlers()
"""The handlers by API key."""
