# Iterating over one batch, and over all of a consumer's. Part of `_batch.pyx`.


@cython.internal
cdef class Bites:
    """The messages of a batch one by one, made a bite ahead so that they come from, and go back to, a warm cache."""
    cdef Batch source
    cdef Py_ssize_t made, end, at, bitten
    cdef PyObject* bite[BITE]

    def __dealloc__(self):
        self.spit()

    cdef void spit(self) noexcept:
        """Drop the messages made ahead."""
        cdef PyObject* item
        while self.at < self.bitten:
            item = self.bite[self.at]
            self.at += 1
            Py_DECREF(<object>item)
        self.at = self.bitten = 0

    cdef void load(self, Batch batch):
        """Begin with a batch."""
        self.spit()
        self.source = batch
        self.made = batch.start
        self.end = batch.stop

    cdef int chew(self) except -1:
        """Make the next bite of plain messages; there must be one."""
        cdef Table table = self.source.table
        cdef Py_ssize_t segment = table.segment_of(self.made), last, count = 0
        cdef Py_ssize_t stop = min(self.end, self.made + BITE), row = self.made
        cdef Message message
        self.at = self.bitten = 0
        while row < stop:
            last = min(stop, table.segment_end(segment))
            while row < last:
                message = self.source.plain_message(&table.segments[segment], &table.rows[row])
                Py_INCREF(message)
                self.bite[count] = <PyObject*>message
                count += 1
                row += 1
                self.bitten = count
                self.made = row
            segment += 1
        return 0

    cdef bint over(self) noexcept:
        """Tell whether nothing is left of the batch."""
        return self.at >= self.bitten and self.made >= self.end

    cdef object following(self):
        """Return the next message, which there must be; None where that was taken away while it was made."""
        cdef object message
        cdef PyObject* item
        cdef Batch source = self.source
        cdef Py_ssize_t row = self.made
        if self.at >= self.bitten:
            if source.decode_key is not None or source.decode_value is not None:
                # One at a time: a deserializer may raise, and the messages before that one are good. It may also
                # come back here, so nothing moves before it has returned.
                # Race: a pause while a message is made.
                #   1. reader: has record 7 deserialized      2. pauser: takes the rest away, record 7 the first of it
                #   3. reader: has its message, which must not come twice
                message = source.message(row)
                if self.source is not source or self.made != row:
                    return None
                self.made = row + 1
                return message
            self.chew()
        item = self.bite[self.at]
        self.at += 1
        message = <object>item
        Py_DECREF(message)
        return message


@cython.final
@cython.internal
cdef class BatchIterator(Bites):
    """Iterates over one batch."""

    def __iter__(self):
        return self

    def __next__(self):
        while not self.over():
            message = self.following()
            if message is not None:
                return message
        raise StopIteration

    def __length_hint__(self):
        return self.end - self.made + self.bitten - self.at


@cython.internal
cdef class Following(Bites):
    """What the two iterators over all of a consumer's messages share."""
    cdef object refill
    cdef object __weakref__
    cdef public object owner
    """What the next batch belongs to, if `refill` says so: the batch is dropped unless `owner.shelf is shelf`."""
    cdef public object shelf

    def __init__(self, refill):
        self.refill = refill

    cdef int take(self, Batch batch) except -1:
        """Begin with a batch, unless its owner has moved on; nothing of another thread's comes between the two."""
        if self.owner is None or self.owner.shelf is self.shelf:
            self.load(batch)
        return 0

    @property
    def batch(self):
        """The batch the iteration is in, or None."""
        return self.source

    @property
    def position(self):
        """The last yielded message's offset plus one, or where the batch begins; -1 outside of one."""
        if self.source is None:
            return -1
        cdef Py_ssize_t yielded = self.made - (self.bitten - self.at)
        if yielded == self.source.start:
            return self.source.offset
        return self.source.table.offset_of(yielded - 1) + 1

    def rest(self):
        """Take away what has not been yielded of the batch, as a batch that may be empty; None outside of one."""
        cdef Batch source = self.source
        cdef Py_ssize_t yielded
        if source is None:
            return None
        yielded = self.made - (self.bitten - self.at)
        self.source = None
        self.made = self.end = 0
        self.spit()
        return source.part(yielded - source.start, source.stop - source.start)


@cython.final
cdef class Messages(Following):
    """Iterates over message after message, batch after batch, and knows how far it is.

    `refill` is called for each next batch; None ends the iteration.
    """

    def __iter__(self):
        return self

    def __next__(self):
        while True:
            while self.over():
                batch = self.refill()
                if batch is None:
                    raise StopIteration
                self.take(<Batch?>batch)
            message = self.following()
            if message is not None:
                return message


@cython.final
@cython.internal
@cython.no_gc
@cython.freelist(8)
cdef class Ready:
    """An awaitable whose result is there."""
    cdef object result

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        raise StopIteration(self.result)

cdef int _send_ready(PyObject* ready, PyObject* sent, PyObject** result) noexcept:
    """Answer `await` at once; by `Ready.__next__` each message would cost an exception."""
    Py_INCREF((<Ready>ready).result)
    result[0] = <PyObject*>(<Ready>ready).result
    return PYGEN_RETURN

(<type_t*><PyObject*>Ready).tp_as_async.am_send = _send_ready


@cython.final
cdef class AsyncMessages(Following):
    """`Messages` for `async for`; `refill` is a coroutine function.

    A message that is there already costs no coroutine and no turn of the event loop.
    """

    def __aiter__(self):
        return self

    def __anext__(self):
        cdef Ready ready
        while not self.over():
            message = self.following()
            if message is not None:
                ready = Ready.__new__(Ready)
                ready.result = message
                return ready
        return self._refilled()

    async def _refilled(self):
        while True:
            while self.over():
                batch = await self.refill()
                if batch is None:
                    raise StopAsyncIteration
                self.take(<Batch?>batch)
            message = self.following()
            if message is not None:
                return message
