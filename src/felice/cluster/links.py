"""All the ways of one client to its brokers: a link for each broker and role. Runs on the engine.

The addresses that the user gave are brokers too, with numbers below zero, until the brokers tell their own.
"""

import asyncio
from collections.abc import Iterator
from functools import partial

from felice.cluster.link import Link, Role, Wiring
from felice.cluster.metadata import Metadata
from felice.config import Address
from felice.errors import ClosedError, FeliceError

__all__ = ["Links"]


class Links:
    """The links of one client, each made when it is first asked for."""

    def __init__(self, wiring: Wiring, metadata: Metadata) -> None:
        """Take what all links share, and the picture that tells where brokers are."""
        self.seeds: dict[int, Address] = {-1 - n: address for n, address in enumerate(wiring.config.addresses)}
        """The addresses that the user gave."""
        self._wiring = wiring
        self._metadata = metadata
        self._links: dict[tuple[int, Role], Link] = {}
        self._closed = False

    def find(self, node_id: int, role: Role) -> Link | None:
        """Return the link to a broker for a role, if there is one."""
        return self._links.get((node_id, role))

    def get(self, node_id: int, role: Role) -> Link:
        """Return the link to a broker for a role, making it if need be; raises ClosedError."""
        link = self._links.get((node_id, role))
        if link is None:
            if self._closed:
                raise ClosedError("the client is closed")
            link = Link(self._wiring, role, partial(self._locate, node_id), partial(self.name, node_id))
            self._links[node_id, role] = link
        return link

    async def close(self) -> None:
        """End every connection and every attempt at one; requests under way fail with ClosedError."""
        self._closed = True
        links = tuple(self._links.values())
        self._links.clear()
        await asyncio.gather(*(link.close() for link in links))

    # -- how they stand -------------------------------------------------------------------------------------------

    @property
    def live(self) -> int:
        """How many connections there are. From any thread."""
        return sum(link.live is not None for link in list(self._links.values()))

    @property
    def last_error(self) -> FeliceError | None:
        """Why a broker of the cluster cannot be reached that somebody wants; None where all can. From any thread."""
        links = list(self._links.items())
        brokers = self._metadata.brokers
        reached = {node_id for (node_id, _), link in links if link.live is not None}
        for (node_id, _), link in links:
            # Once there are brokers, the given addresses are none.
            if node_id not in reached and (node_id in brokers or not brokers) and (error := link.failing) is not None:
                return error
        return None

    def name(self, node_id: int) -> str:
        """Return what to call a broker in errors."""
        broker = self._metadata.brokers.get(node_id)
        if broker is not None:
            return str(broker)
        return str(self.seeds[node_id]) if node_id in self.seeds else f"node {node_id}"

    def _locate(self, node_id: int) -> Address | None:
        broker = self._metadata.brokers.get(node_id)
        return Address(broker.host, broker.port) if broker is not None else self.seeds.get(node_id)

    # -- which broker to ask --------------------------------------------------------------------------------------

    def likeliest(self) -> Iterator[int]:
        """Yield brokers for control requests, the likeliest to answer first; the given addresses last."""
        for nodes in (list(self._metadata.brokers), list(self.seeds)):
            self._wiring.random.shuffle(nodes)
            nodes.sort(key=self._preference)
            yield from nodes

    def _preference(self, node_id: int) -> tuple[int, float]:
        link = self.find(node_id, Role.CONTROL)
        if link is None:
            return 1, 0.0
        if link.live is not None:
            return 0, link.live.load + link.live.throttled
        return (2, link.backing_off) if link.last_error is not None else (1, 0.0)

    # -- a new picture --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Bring the links in line with a new picture of the cluster."""
        brokers = self._metadata.brokers
        if brokers:
            self._settle_seeds()
        for (node_id, role), link in list(self._links.items()):
            if node_id < 0:
                continue
            if node_id not in brokers and link.unused:
                del self._links[node_id, role]
            elif link.live is not None and link.address != self._locate(node_id):
                link.retire("the broker has gone from the cluster, or has moved")

    def _settle_seeds(self) -> None:
        """Give connections to the given addresses to the brokers that are there; end the others."""
        by_address = {Address(b.host, b.port): b.node_id for b in self._metadata.brokers.values()}
        for seed, address in self.seeds.items():
            link = self.find(seed, Role.CONTROL)
            if link is None:
                continue
            if link.live is None:
                # Its failures are no news of the cluster any more.
                link.last_error = None
                continue
            node_id = by_address.get(address)
            if node_id is not None and (node_id, Role.CONTROL) not in self._links:
                del self._links[seed, Role.CONTROL]
                self._links[node_id, Role.CONTROL] = link
                link.locate, link.name = partial(self._locate, node_id), partial(self.name, node_id)
                link.live.peer = self.name(node_id)
            else:
                link.retire("the brokers are known now")
