"""The sender: takes sealed batches to the leaders of their partitions and brings back what became of them.

On the engine only. One step, `_pump`, looks at every lane that has something to send, seals what is due, and fills the
requests that the brokers' windows have room for; whatever may let a batch go asks for another step: a new batch, an
answer, new metadata, a timer.

Non-obvious:

- A batch keeps its bytes through every retry. They are stamped anew only where the broker has said that it holds
  none of them, and never while a request carries them.
- A batch whose time is up while it is in flight is settled at once, as one that may have been written. Its buffer
  stays with the request, which refers to it, until that has ended; only then may it be reused.
"""

import asyncio
import logging
import math
from collections.abc import Callable, Iterable
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from felice.clock import Clock
from felice.cluster.link import Role
from felice.cluster.router import Cluster
from felice.config import ProducerConfig
from felice.error_codes import STALE_METADATA
from felice.errors import ClosedError, DeadlineExceeded, FeliceError
from felice.events import EventBus
from felice.producer.identification import Identification
from felice.producer.lane import Lane
from felice.producer.outcomes import Answer, Outcomes, own
from felice.producer.packer import Packer
from felice.wire.messages.produce import ProduceRequest, ProduceResponse
from felice.wire.records import stamp

if TYPE_CHECKING:
    from felice.producer._accumulator import Accumulator, Batch, PartitionQueue

Sent: TypeAlias = "tuple[Lane, Batch, bytes]"
"""A batch that a request carries, and the ID that its topic had then."""

_log = logging.getLogger("felice.producer")


class Sender:
    """One producer's way to the brokers."""

    def __init__(
        self,
        accumulator: "Accumulator[Any, Any]",
        cluster: Cluster,
        config: ProducerConfig,
        *,
        clock: Clock,
        random: Random,
        events: EventBus,
        on_room: Callable[[], None],
        on_failure: Callable[..., None],
    ) -> None:
        """Take the rooms it works between; `on_room` is called when bytes were given back to the budget."""
        self._accumulator = accumulator
        self._cluster = cluster
        self._config = config
        self._clock = clock
        self._on_room = on_room
        self._acks = -1 if config.acks == "all" else config.acks
        self._outcomes = Outcomes(
            accumulator,
            config,
            clock=clock,
            random=random,
            events=events,
            again=self._again,
            wake_at=self._wake_at,
            on_room=on_room,
            on_failure=on_failure,
        )
        self._lanes: list[Lane] = []
        self._active: dict[Lane, None] = {}
        self._windows: dict[int, int] = {}
        self._identification = Identification(
            cluster,
            config,
            clock=clock,
            random=random,
            events=events,
            on_change=self.wake,
            on_setback=self._note,
        )
        self._tasks: dict[asyncio.Task[None], tuple[int, list[Sent]]] = {}
        """Requests that wait for a connection, and whatever has become of it."""
        self._pumping = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._sweep: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._packer = Packer(self._loop, self._compressed, self._outcomes.fail, self.wake)
        self.closing = False
        """Whether open batches go without their linger."""
        self._closed = False

    # -- steps -----------------------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Ask for a step soon."""
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _again(self, lane: Lane) -> None:
        self._active[lane] = None

    def _wake_at(self, when: float) -> None:
        """Ask for a step at a time of the clock."""
        if when < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = when
            self._timer = self._loop.call_later(max(0.0, when - self._clock.monotonic()), self._on_timer)

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self.wake()

    def step(self) -> None:
        """Look at what there is to send, now, unless a step is due anyway."""
        if not self._pumping:
            self._pump()

    def _pump(self) -> None:
        self._pumping = False
        if self._closed:
            return
        now = self._clock.monotonic()
        for queue in self._accumulator.take_dirty():
            self._active[self._lane(queue)] = None
        if self._active and self._sweep is None:
            self._sweep_later()
        if self._config.idempotence and self._active:
            self._identification.seek()
            self._outcomes.fatal = self._outcomes.fatal or self._identification.failure
        picks: dict[int, list[tuple[Lane, Batch]]] = {}
        sizes: dict[int, int] = {}
        for lane in tuple(self._active):
            self._seal_if_due(lane, now)
            if lane.idle:
                del self._active[lane]
                continue
            node = self._ready_at(lane, now)
            if node is None:
                continue
            batch = lane.next_batch(
                now, self._config.max_in_flight, self._identification.current, self._config.idempotence
            )
            if batch is None or not self._packer.ready(lane, batch):
                continue
            size = _size(batch)
            if picks.get(node) and sizes[node] + size > self._config.request_bytes:
                self.wake()  # The next request takes it, if the window has room for one.
                continue
            picks.setdefault(node, []).append((lane, batch))
            sizes[node] = sizes.get(node, 0) + size
        for node, chosen in picks.items():
            self._dispatch(node, chosen)

    def _lane(self, queue: "PartitionQueue") -> Lane:
        lane: Lane | None = queue.lane
        if lane is None:
            lane = queue.lane = Lane(queue)
            self._lanes.append(lane)
        return lane

    def _seal_if_due(self, lane: Lane, now: float) -> None:
        """Seal the open batch when its linger is over, or at once when somebody waits and nothing is under way."""
        batch = lane.queue.open
        if batch is None or not len(batch):
            return
        due = batch.begun + lane.queue.owner.linger
        if now >= due or self.closing or (batch.wanted and not lane.busy and not lane.queue.sealed):
            self._accumulator.seal(lane.queue)
        else:
            self._wake_at(due)

    def _ready_at(self, lane: Lane, now: float) -> int | None:
        """Return the node that takes this lane's batches now, or None."""
        if self._outcomes.fatal is not None:
            self._give_up(lane, self._outcomes.fatal)
            return None
        if lane.retry_at > now:
            if self._leader(lane) in (-1, lane.node):
                self._wake_at(lane.retry_at)
                return None
            lane.retry_at = 0.0  # Another leader than the one that failed, as an answer or metadata told.
        topic = self._cluster.metadata.topic(lane.queue.topic)
        if topic is None or lane.queue.partition >= len(topic.partitions):
            self._cluster.request_refresh(f"{lane.name} is not in the metadata")
            return None
        if topic.topic_id != lane.topic_id:
            # A topic of the same name and another ID holds none of what was sent to the old one (KIP-516).
            lane.begin_again = lane.begin_again or bool(lane.topic_id and self._config.idempotence)
            lane.topic_id = topic.topic_id
        if lane.begin_again and not lane.in_flight and not self._begin_again(lane):
            return None
        if lane.sequence.restart and not lane.busy and lane.sequence.identity == self._identification.current:
            self._identification.bump("the sequence numbers of a failed batch are in doubt")
        leader = self._leader(lane)
        if leader < 0:
            self._cluster.request_refresh(f"{lane.name} has no leader")
            return None
        if lane.in_flight and leader != lane.node:
            return None
        if self._windows.get(leader, 0) >= self._config.max_in_flight:
            return None
        return leader

    def _leader(self, lane: Lane) -> int:
        """Return the node that leads the lane's partition, or -1."""
        view = self._cluster.metadata.leader(lane.queue.topic, lane.queue.partition)
        return -1 if view is None else view.leader

    # -- before a batch goes ---------------------------------------------------------------------------------------

    def _compressed(self, batch: "Batch", payload: Any) -> None:
        """Keep the compressed bytes, and let the plain ones go."""
        self._accumulator.compressed(batch, payload)
        self._on_room()

    def _dispatch(self, node: int, chosen: "list[tuple[Lane, Batch]]") -> None:
        """Send one request with these batches, one a partition."""
        for lane, batch in chosen:
            lane.take(batch, node)
            if not batch.attempts:
                lane.sequence.stamp(batch, self._identification.current if self._config.idempotence else None)
            batch.attempts += 1
        self._accumulator.finish([batch for _, batch in chosen])
        self._windows[node] = self._windows.get(node, 0) + 1
        self._send(node, [(lane, batch, lane.topic_id) for lane, batch in chosen])
        for lane, _ in chosen:
            # To the back, so that lanes take turns where a request cannot hold them all.
            del self._active[lane]
            if not lane.idle:
                self._active[lane] = None
                self.wake()

    def _begin_again(self, lane: Lane) -> bool:
        """Stamp everything that waits anew; nothing of the lane is in flight."""
        if self._identification.current is None:
            return False
        lane.begin_again = False
        if not lane.waiting:
            lane.sequence.restart = True
            return True
        if lane.sequence.identity == self._identification.current:
            self._identification.bump(f"{lane.name} was out of sequence")
        if self._identification.current is None:
            lane.begin_again = True
            return False
        lane.sequence.begin_again(list(lane.waiting), self._identification.current)
        for batch in lane.waiting:
            stamp(
                batch.payload,
                producer_id=batch.producer_id,
                producer_epoch=batch.producer_epoch,
                base_sequence=batch.base_sequence,
            )
            batch.in_doubt = False
        return True

    def _request(self, chosen: "list[Sent]", version: int) -> ProduceRequest:
        """Make a request of these batches, now that there is a connection for it."""
        topics: dict[str, ProduceRequest.TopicProduceData] = {}
        for lane, batch, topic_id in chosen:
            if batch.done:
                continue  # Its time was up before there was a connection: it has never left, and has no bytes any more.
            batch.in_flight = True
            queue = lane.queue
            topic = topics.get(queue.topic)
            if topic is None:
                topic = topics[queue.topic] = (
                    ProduceRequest.TopicProduceData(topic_id=topic_id, partition_data=[])
                    if version >= 13
                    else ProduceRequest.TopicProduceData(name=queue.topic, partition_data=[])
                )
            topic.partition_data.append(
                ProduceRequest.PartitionProduceData(index=queue.partition, records=batch.payload)
            )
        return ProduceRequest(
            acks=self._acks,
            timeout_ms=min(int(self._config.request_timeout * 1000), 2**31 - 1),
            topic_data=list(topics.values()),
        )

    # -- answers ---------------------------------------------------------------------------------------------------

    def _send(self, node: int, chosen: "list[Sent]") -> None:
        """Send one request: at once where a connection is ready, for a task would cost two turns of the loop more."""
        request = partial(self._request, chosen)
        told = self._cluster.tell(node, partial(self._come_back, node, chosen), request, **self._how(chosen))
        if not told:
            task = self._loop.create_task(self._exchange(node, chosen, request))
            self._tasks[task] = (node, chosen)
            task.add_done_callback(self._tasks.pop)

    def _how(self, chosen: "list[Sent]") -> dict[str, Any]:
        """Return how a request is sent."""
        known = all(any(topic_id) for _, _, topic_id in chosen)
        return {
            "api": ProduceRequest,
            "role": Role.PRODUCE,
            "timeout": self._config.request_timeout,
            "version_cap": None if known else 12,
            "expect_response": self._acks != 0,
        }

    async def _exchange(self, node: int, chosen: "list[Sent]", request: Callable[[int], ProduceRequest]) -> None:
        """Send one request on a connection that is still to be made."""
        outcome: ProduceResponse | Exception
        try:
            outcome = await self._cluster.send(node, request, **self._how(chosen))
        except Exception as error:
            outcome = error
        self._come_back(node, chosen, outcome)

    def _come_back(self, node: int, chosen: "list[Sent]", outcome: ProduceResponse | Exception | None) -> None:
        """Settle a request's batches, whatever came of it; None where acks=0 wants no answer."""
        self._land(node, chosen)
        if isinstance(outcome, FeliceError):
            self._cluster.request_refresh(f"producing to node {node}: {outcome}")
            for lane, batch, _ in chosen:
                self._outcomes.retry(lane, batch, outcome, in_doubt=outcome.may_have_happened)
        elif isinstance(outcome, Exception):
            for lane, batch, _ in chosen:
                self._fail_unexpectedly(lane, batch, outcome)
        elif outcome is None:
            for lane, batch, _ in chosen:
                self._outcomes.deliver(lane, batch, -1, -1)
        else:
            self._take_response(node, chosen, outcome)
        if self._active:
            self.wake()

    def _land(self, node: int, chosen: "list[Sent]") -> None:
        """Note that a request carries its batches no more."""
        self._windows[node] -= 1
        for _, batch, _ in chosen:
            batch.in_flight = False
            if batch.done:  # Given up while it was under way: only now are its bytes free.
                self._accumulator.release(batch)
                self._on_room()

    def _take_response(self, node: int, chosen: "list[Sent]", response: ProduceResponse) -> None:
        answers: dict[tuple[str | bytes, int], Answer] = {}
        for topic in response.responses:
            for answer in topic.partition_responses:
                answers[topic.name or topic.topic_id, answer.index] = answer
        stale = ""
        for lane, batch, topic_id in chosen:
            queue = lane.queue
            found = answers.get((queue.topic, queue.partition)) or answers.get((topic_id, queue.partition))
            if found is None:
                missing = FeliceError(f"node {node} did not answer for {lane.name}", may_have_happened=True)
                self._outcomes.retry(lane, batch, missing, in_doubt=True)
                continue
            if found.error_code in STALE_METADATA:
                hint = found.current_leader
                if hint is not None and hint.leader_id >= 0 and hint.leader_epoch >= 0:
                    self._cluster.update_leader(
                        queue.topic, queue.partition, hint.leader_id, hint.leader_epoch, response.node_endpoints
                    )
                stale = f"{lane.name}: node {node} answered {found.error_code}"
            try:
                self._outcomes.take_answer(lane, batch, found)
            except Exception as error:  # No memory to split it, say.
                self._fail_unexpectedly(lane, batch, error)
        if stale:
            self._cluster.request_refresh(stale)

    def _fail_unexpectedly(self, lane: Lane, batch: "Batch", error: Exception) -> None:
        """Give a batch an outcome where we are at fault ourselves."""
        _log.error("%s: sending failed unexpectedly", lane.name, exc_info=error)
        if not batch.done:
            fault = FeliceError(f"{lane.name}: {error!r} while sending", may_have_happened=True)
            self._outcomes.fail(lane, batch, fault, in_doubt=True)

    def _note(self, error: FeliceError) -> None:
        for lane in self._active:
            lane.last_error = error

    # -- time, and the end -----------------------------------------------------------------------------------------

    def _sweep_later(self) -> None:
        period = min(max(self._config.delivery_timeout / 20, 0.01), 1.0)
        self._sweep = self._loop.call_later(period, self._expire)

    def _expire(self) -> None:
        """Fail what is older than the delivery timeout."""
        self._sweep = None
        now = self._clock.monotonic()
        patience = self._config.delivery_timeout
        busy = False
        for lane in self._lanes:
            open_batch = lane.queue.open
            if open_batch is not None and open_batch.begun <= now - patience:
                self._accumulator.seal(lane.queue)
            for batch in lane.expired(now, patience):
                self._outcomes.fail(lane, batch, self._too_late(lane, batch), in_doubt=batch.in_flight)
            busy = busy or lane.busy or not lane.idle
        if busy:
            self._sweep_later()
            self.wake()

    def _too_late(self, lane: Lane, batch: "Batch") -> DeadlineExceeded:
        doubt = batch.in_doubt or batch.in_flight
        return DeadlineExceeded(
            f"{lane.name}: not delivered within {self._config.delivery_timeout:g} s"
            f"{', but may have been written' if doubt else ''}; {self._why(lane)}",
            may_have_happened=doubt,
        )

    def _why(self, lane: Lane) -> str:
        """Say what keeps a lane from being delivered."""
        topic, partition = lane.queue.topic, lane.queue.partition
        if self._leader(lane) < 0 or lane.last_error is None:
            found = self._cluster.explain(topic, partition)
            return found if lane.last_error is None or "; last: " in found else f"{found}; last: {lane.last_error}"
        return f"last: {lane.last_error}"

    def _give_up(self, lane: Lane, error: FeliceError) -> None:
        """Fail all of a lane that is not in flight."""
        self._accumulator.seal(lane.queue)
        if lane.preparing:
            return
        left = [*lane.waiting, *lane.queue.sealed]
        lane.waiting.clear()
        lane.queue.sealed.clear()
        for batch in left:
            self._outcomes.fail(lane, batch, own(error))

    def live(self) -> "Iterable[Batch]":
        """Return every batch that has no outcome; open ones are sealed first."""
        self._accumulator.seal_all()
        for queue in self._accumulator.take_dirty():
            self._active[self._lane(queue)] = None
        self.wake()
        return [batch for lane in self._lanes for batch in (*lane.unsettled(), *lane.queue.sealed)]

    def refuse(self) -> None:
        """Fail all that has no outcome: the producer is closed."""
        self._accumulator.seal_all()
        for queue in self._accumulator.take_dirty():
            self._lane(queue)
        for lane in self._lanes:
            left = [*lane.unsettled(), *lane.queue.sealed]
            lane.waiting.clear()
            lane.queue.sealed.clear()
            for batch in left:
                doubt = batch.in_doubt or batch.in_flight
                said = ", but it may have been written" if doubt else ""
                error = ClosedError(
                    f"{lane.name}: the producer was closed before the record was delivered{said}; {self._why(lane)}",
                    may_have_happened=doubt,
                )
                self._outcomes.fail(lane, batch, error, in_doubt=doubt)

    async def close(self) -> None:
        """Fail all that is left, and end every task."""
        self._closed = True
        self.refuse()
        for handle in (self._timer, self._sweep):
            if handle is not None:
                handle.cancel()
        tasks = dict(self._tasks)
        for task in tasks:
            task.cancel()
        await self._identification.close()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task, (node, chosen) in tasks.items():
            if task.cancelled():
                self._land(node, chosen)
        self._packer.close()


def _size(batch: "Batch") -> int:
    return len(batch.payload) if batch.payload is not None else batch.builder.size
