"""What becomes of batches that were sent: delivered, to go again, cut in pieces, or failed. On the engine only."""

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

from felice.clock import Clock
from felice.config import ProducerConfig
from felice.error_codes import ErrorCode
from felice.errors import BrokerError, FeliceError, RecordTooLarge
from felice.events import BatchSplit, EventBus
from felice.producer.lane import Lane
from felice.producer.sequence import Verdict, verdict
from felice.producer.splitting import halves, part
from felice.wire.messages.produce import ProduceResponse

if TYPE_CHECKING:
    from felice.producer._accumulator import Accumulator, Batch

__all__ = ["Answer", "Outcomes", "own"]

Answer: TypeAlias = ProduceResponse.TopicProduceResponse.PartitionProduceResponse


class Outcomes:
    """Gives batches their outcomes, or puts them back into their lanes."""

    def __init__(
        self,
        accumulator: "Accumulator[Any, Any]",
        config: ProducerConfig,
        *,
        clock: Clock,
        random: Random,
        events: EventBus,
        again: Callable[[Lane], None],
        wake_at: Callable[[float], None],
        on_room: Callable[[], None],
        on_failure: Callable[..., None],
    ) -> None:
        """Take whom to tell: `again(lane)` when it has something to send, `wake_at(time)` when it may."""
        self._accumulator = accumulator
        self._config = config
        self._clock = clock
        self._random = random
        self._events = events
        self._again = again
        self._wake_at = wake_at
        self._on_room = on_room
        self._on_failure = on_failure
        self.fatal: FeliceError | None = None
        """Why nothing more can be sent, ever."""

    def take_answer(self, lane: Lane, batch: "Batch", answer: Answer) -> None:
        """Do what a broker's answer for one batch asks for."""
        code = answer.error_code
        if not code:
            self.deliver(lane, batch, answer.base_offset, answer.log_append_time_ms)
            return
        if batch not in lane.in_flight:
            return  # Given up while it was under way.
        error = BrokerError(code, f"producing to {lane.name}", broker_message=answer.error_message)
        match verdict(code, records=len(batch), oldest=lane.oldest(batch), idempotent=self._config.idempotence):
            case Verdict.DELIVERED:
                self.deliver(lane, batch, answer.base_offset, answer.log_append_time_ms)
            case Verdict.RETRY:
                self.retry(lane, batch, error)
            case Verdict.RETRY_IN_DOUBT:
                self.retry(lane, batch, error, in_doubt=True)
            case Verdict.FOLLOW:
                # At once, unless what it has to follow is slow to come back itself.
                follows = batch.attempts <= lane.unsettled()[0].attempts + 1
                self.retry(lane, batch, lane.last_error or error, pause=not follows)
            case Verdict.BEGIN_AGAIN:
                lane.begin_again = True
                self.retry(lane, batch, error)
            case Verdict.SPLIT if batch.in_doubt and self._config.idempotence:
                # An earlier try may have been written, under a limit that was larger then: a part of it would not be
                # known for a duplicate.
                self.fail(lane, batch, error)
            case Verdict.SPLIT:
                self._split(lane, batch)
            case Verdict.FAIL if named := _named(batch, answer):
                self._fail_named(lane, batch, code, named)
            case Verdict.FAIL if code in (ErrorCode.MESSAGE_TOO_LARGE, ErrorCode.RECORD_LIST_TOO_LARGE):
                limit = f"the broker's limit for {lane.queue.topic}"
                self.fail(lane, batch, RecordTooLarge(f"{lane.name}: {error}: one record above {limit}"))
            case Verdict.FAIL:
                self.fail(lane, batch, error)
            case Verdict.FAIL_IN_DOUBT:
                error.may_have_happened = True
                self.fail(lane, batch, error, in_doubt=True)
            case Verdict.FATAL:
                error.hint = error.hint or "close this producer and make a new one"
                self.fatal = error
                self.fail(lane, batch, error)

    def deliver(self, lane: Lane, batch: "Batch", base_offset: int, append_time_ms: int) -> None:
        """Settle a batch that was written."""
        if lane.come_back(batch):
            lane.setbacks = 0
            lane.last_error = None
            lane.sequence.delivered(batch)
            self._settle(batch, base_offset, append_time_ms, None)

    def retry(
        self, lane: Lane, batch: "Batch", error: Exception, *, in_doubt: bool = False, pause: bool = True
    ) -> None:
        """Put a batch back to its place, to go again, as a rule after a pause."""
        if not lane.come_back(batch):
            return
        lane.last_error = error
        batch.in_doubt = batch.in_doubt or in_doubt
        lane.put_back(batch)
        self._again(lane)
        now = self._clock.monotonic()
        if pause and lane.retry_at <= now:  # Those that come back together make one pause.
            seconds = min(self._config.retry_backoff * 2 ** min(lane.setbacks, 16), self._config.retry_backoff_max)
            lane.retry_at = now + seconds * self._random.uniform(0.8, 1.2)
            lane.setbacks += 1
            self._wake_at(lane.retry_at)

    def fail(self, lane: Lane, batch: "Batch", error: FeliceError, *, in_doubt: bool = False) -> None:
        """Fail a batch for good; its numbers leave a hole unless it was the last one."""
        lane.come_back(batch)
        in_doubt = in_doubt or batch.in_doubt
        if batch.attempts:
            last = batch.serial + len(batch) == lane.sequence.next_serial
            lane.sequence.lost(batch, last, in_doubt)
        if in_doubt and not error.may_have_happened:
            error = own(error)
            error.may_have_happened = True
            error.message += "; an earlier try may have been written"
        self._settle(batch, -1, -1, error)

    def _settle(self, batch: "Batch", base_offset: int, append_time_ms: int, error: FeliceError | None) -> None:
        builder = batch.builder
        batch.settle(base_offset, append_time_ms, error)
        if not batch.in_flight:  # Otherwise its request refers to the buffer still: see `_land`.
            self._accumulator.release(batch, builder)
            self._on_room()
        if error is not None and not batch.looked:
            self._on_failure(batch)

    def _fail_named(self, lane: Lane, batch: "Batch", code: int, named: dict[int, str]) -> None:
        """Fail the records that the broker has named (KIP-467); the others go again without them."""
        lane.come_back(batch)
        lane.put_back(part(self._accumulator, batch, [n for n in range(len(batch)) if n not in named]))
        failed = [
            batch.settle_one(index, BrokerError(code, f"producing to {lane.name}", broker_message=said))
            for index, said in named.items()
        ]
        self._let_go(lane, batch)
        # Where these records were there is a hole in the numbers.
        lane.begin_again = self._config.idempotence
        if unseen := [record for record in failed if not record.looked]:
            self._on_failure(*unseen)

    def _let_go(self, lane: Lane, batch: "Batch") -> None:
        """Give back the bytes of a batch for whose records others stand now."""
        builder, batch.payload = batch.builder, None
        self._accumulator.release(batch, builder)
        self._again(lane)

    def _split(self, lane: Lane, batch: "Batch") -> None:
        """Cut a batch that is too large for the broker in two."""
        lane.come_back(batch)
        for half in halves(self._accumulator, batch):
            lane.put_back(half)
        self._let_go(lane, batch)
        self._events.emit(
            BatchSplit(
                client_id=self._config.client_id,
                topic=lane.queue.topic,
                partition=lane.queue.partition,
                records=len(batch),
                batches=2,
            )
        )


def _named(batch: "Batch", answer: Answer) -> dict[int, str]:
    """Return the records that the broker refuses, with its reasons, where the others are worth another try."""
    if batch.in_doubt or answer.error_code not in (ErrorCode.INVALID_RECORD, ErrorCode.INVALID_TIMESTAMP):
        return {}
    named = {
        found.batch_index: found.batch_index_error_message or answer.error_message or ""
        for found in answer.record_errors
        if 0 <= found.batch_index < len(batch)
    }
    return named if len(named) < len(batch) else {}


def own(error: FeliceError) -> FeliceError:
    """Return an equal error that one batch has for itself."""
    copy = type(error).__new__(type(error))
    copy.__dict__.update(error.__dict__)
    copy.args, copy.__cause__ = error.args, error.__cause__
    return copy
