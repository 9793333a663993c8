"""The packer: compresses batches before they go. On the engine, but for the compressing of large ones."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from felice.errors import FeliceError
from felice.producer.lane import Lane
from felice.wire.records import BatchBuilder, Codec

if TYPE_CHECKING:
    from felice.producer._accumulator import Batch

__all__ = ["Packer"]

COMPRESS_HERE = 16 * 1024
"""Batches up to this many bytes are compressed on the engine; for larger ones another thread is worth its wake."""

THREADS = 2


class Packer:
    """One producer's compression."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        packed: "Callable[[Batch, Any], None]",
        failed: "Callable[[Lane, Batch, FeliceError], None]",
        wake: Callable[[], None],
    ) -> None:
        """Take whom to tell of the compressed bytes, of a failure, and that a lane's batch may go."""
        self._loop = loop
        self._packed = packed
        self._failed = failed
        self._wake = wake
        self._pool: ThreadPoolExecutor | None = None

    def ready(self, lane: Lane, batch: "Batch") -> bool:
        """Tell whether the batch at the head of a lane can go as it is; otherwise it is seen to, and `wake` called."""
        options = lane.queue.owner.options
        if batch.payload is not None or options.compression == "none":
            return True
        if lane.preparing:
            return False
        if batch.builder.size <= COMPRESS_HERE:
            return self._pack_here(lane, batch)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(THREADS, "felice-compress")
        try:
            work = self._loop.run_in_executor(self._pool, _compress, batch.builder, options)
        except RuntimeError:
            # The interpreter is ending, or no thread can be started: then the pool has queued the work all the same
            # and would do it once the memory is another batch's.
            self.close()
            self._pool = None
            return self._pack_here(lane, batch)
        lane.preparing = True

        def finish(done: "asyncio.Future[Any]") -> None:
            lane.preparing = False
            if not done.cancelled() and not batch.done:  # Done: the producer was closed meanwhile.
                if (error := done.exception()) is not None:
                    self._give_up(lane, batch, error)
                else:
                    self._packed(batch, done.result())
            self._wake()

        work.add_done_callback(finish)
        return False

    def close(self) -> None:
        """End the threads, once what they do is done."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _pack_here(self, lane: Lane, batch: "Batch") -> bool:
        try:
            self._packed(batch, _compress(batch.builder, lane.queue.owner.options))
        except Exception as error:
            self._give_up(lane, batch, error)
            return False
        return True

    def _give_up(self, lane: Lane, batch: "Batch", error: BaseException) -> None:
        lane.queue.sealed.popleft()
        self._failed(lane, batch, FeliceError(f"{lane.name}: compression failed: {error!r}"))


def _compress(builder: BatchBuilder, options: Any) -> Any:
    return builder.seal(codec=Codec.parse(options.compression), level=options.compression_level)
