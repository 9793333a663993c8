# Batches and their records, and the queues they stand in. Part of `_accumulator.pyx`.


@cython.final
cdef class Batch:
    """Records of one partition that are sent, and settled, together.

    The completion state outlives the buffer: handles read it for as long as they live.
    """

    def __cinit__(self):
        self.base_offset = -1
        self.append_time_ms = -1
        self.producer_id = -1
        self.producer_epoch = -1
        self.base_sequence = -1

    def __init__(self, PartitionQueue queue=None):
        """Make an empty batch of a queue; without one it only stands for records that move on later."""
        self.queue = queue

    def __len__(self):
        return self.count

    @property
    def done(self):
        """Whether every record has an outcome."""
        return self.state >= C_DELIVERED

    def reserve(self):
        """Add a record that has no bytes here (it moves on later) and return its index."""
        self.count += 1
        return self.count - 1

    def hurry(self):
        """Somebody waits: have the batch sent as soon as nothing of its partition is under way."""
        if not self.wanted:
            self.wanted = True
            if self.queue is not None and self.queue.open is self:
                self.queue.owner.accumulator.c_mark(self.queue)
                self.queue.owner.accumulator._ring()

    def place(self, int32_t index):
        """Return the batch that holds the record now, and its index there."""
        cdef Batch batch = self.c_place(&index)
        return batch, index

    cdef Batch c_place(self, int32_t* index):
        """Return the batch that holds the record now, and set its index there. Runs no garbage collector."""
        cdef Batch batch = self
        # `moved` may be shorter than the batch: records are staged behind those that have moved on.
        while batch.moved is not None and index[0] < PyList_GET_SIZE(batch.moved):
            found = batch.moved[index[0]]
            if found is None:
                break
            batch = <Batch>(<tuple>found)[0]
            index[0] = (<tuple>found)[1]
        return batch

    def move(self, int32_t index, Batch target, int32_t target_index):
        """Let another batch stand for the record from now on. On the engine, once a record."""
        if self.moved is None:
            self.moved = []
        if PyList_GET_SIZE(self.moved) < self.count:
            self.moved.extend([None] * (self.count - PyList_GET_SIZE(self.moved)))
        self.moved[index] = (target, target_index)
        if self.looked:
            target.looked = True
        if self.wanted:
            target.hurry()
        if self.hooks is not None:
            for hook in self.hooks.pop(index, ()):
                target.watch(target_index, hook, False)

    def watch(self, int32_t index, hook, bint looks=True):
        """Call `hook()` once the record has its outcome: later on the engine, or now. It must be short.

        `looks` says that somebody will look at the outcome, so that a failure need not be told elsewhere.
        """
        # Made first: an allocation may run the garbage collector, and so let the engine settle or move the record
        # between the look for its place and the hook's being there, where nobody would find it.
        cdef list hooks = [hook]
        cdef dict first = {}
        cdef Batch batch = self.c_place(&index)
        batch.looked = batch.looked or looks
        if batch.state >= C_DELIVERED:
            hook()
            return
        if batch.hooks is None:
            batch.hooks = first
        found = batch.hooks.get(index)
        if found is None:
            batch.hooks[index] = hooks
        else:
            (<list>found).append(hook)

    def unwatch(self, int32_t index, hook):
        """Take a hook back whose caller waits no more."""
        cdef Batch batch = self.c_place(&index)
        if batch.hooks is not None:
            found = batch.hooks.get(index)
            if found is not None and hook in found:
                (<list>found).remove(hook)

    def settle(self, int64_t base_offset, int64_t append_time_ms=-1, error=None):
        """Give every record its outcome and run the hooks. On the engine, once; the buffer is let go."""
        if self.state >= C_DELIVERED:
            return
        self.base_offset = base_offset
        self.append_time_ms = append_time_ms
        self.error = error
        self.builder = None
        self.payload = None
        self.state = C_DELIVERED if error is None else C_FAILED
        cdef dict hooks = self.hooks
        self.hooks = None
        if hooks is not None:
            for mine in hooks.values():
                for hook in mine:
                    hook()

    def settle_one(self, int32_t index, error):
        """Fail one record of a batch that only stands for records; the others move on. On the engine.

        Returns the batch that stands for the failed record.
        """
        cdef Batch failed = Batch.__new__(Batch)
        failed.queue = self.queue
        failed.count = 1
        failed.state = C_FAILED
        failed.error = error
        failed.looked = self.looked
        self.move(index, failed, 0)
        return failed


@cython.no_gc
@cython.final
@cython.freelist(1024)
cdef class Delivery:
    """One record on its way: ask it, wait for it, await it. Made by a producer's `send`."""

    def _place(self):
        """Return the batch that holds the record now, and its index there."""
        return self.batch.place(self.index)

    def done(self):
        """Tell whether the record has its outcome."""
        cdef int32_t index = self.index
        return self.batch.c_place(&index).state >= C_DELIVERED

    def result(self, timeout=None):
        """Wait up to `timeout` seconds for the record's RecordMetadata; raise what became of it instead.

        Raises DeadlineExceeded when the time is up (the record is still on its way), and the record's own error
        otherwise.
        """
        cdef Batch batch = self.batch
        cdef int32_t index = self.index
        if batch.moved is not None:
            batch = batch.c_place(&index)
        if batch.state != C_DELIVERED:
            batch, index = waiting().outcome(self, timeout)
        return RecordMetadata(
            batch.queue.topic,
            batch.queue.partition,
            batch.base_offset + index if batch.base_offset >= 0 else -1,
            batch.append_time_ms if batch.append_time_ms >= 0 else self.timestamp_ms,
        )

    def exception(self, timeout=None):
        """Wait up to `timeout` seconds; return the record's error, or None where it was delivered."""
        return waiting().exception(self, timeout)

    def add_done_callback(self, callback):
        """Call `callback(delivery)` when the record has its outcome.

        On the running event loop where this is called on one, and on felice's callback thread otherwise.
        """
        waiting().add_callback(self, callback)

    def __await__(self):
        return waiting().awaiting(self).__await__()


def deliver(Batch batch, int32_t index, int64_t timestamp_ms):
    """Make the handle of a record in a batch."""
    cdef Delivery made = Delivery.__new__(Delivery)
    made.batch = batch
    made.index = index
    made.timestamp_ms = timestamp_ms
    return made


@cython.final
cdef class Span:
    """Records that one `send_many` put into one batch, one after another."""

    def __init__(self, owner, Batch batch, int32_t first, int32_t count):
        self.owner = owner
        self.batch = batch
        self.first = first
        self.count = count


@cython.final
cdef class PartitionQueue:
    """One partition's batches: the open one, and the sealed ones in order."""

    def __init__(self, Topic owner, int32_t partition):
        self.owner = owner
        self.topic = owner.name
        self.partition = partition
        self.sealed = deque()
        self.expected = SMALLEST_BUFFER


@cython.final
cdef class Topic:
    """A topic whose partitions are known."""

    def __init__(self, Accumulator accumulator, str name, options):
        self.accumulator = accumulator
        self.name = name
        self.options = options
        self.linger = options.linger
        self.batch_bytes = options.batch_bytes
        self.record_bytes = options.record_bytes
        self.queues = []
        self.beyond = []
        self.available = []

    cdef PartitionQueue turn(self):
        """Go on to the next partition that has a leader, for records without a key."""
        cdef Py_ssize_t n = PyList_GET_SIZE(self.available)
        if n:
            self.turns = (self.turns + 1) % n
            self.sticky = <PartitionQueue>self.available[self.turns]
        else:
            self.sticky = <PartitionQueue>self.queues[(self.sticky.partition + 1) % PyList_GET_SIZE(self.queues)]
        return self.sticky
