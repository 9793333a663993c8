# cython: language_level=3, boundscheck=True, wraparound=False, cdivision=True, nonecheck=True, initializedcheck=False, auto_pickle=False
# cython: embedsignature=True, embedsignature.format=clinic, binding=False
"""The accumulator: where a caller's records become batches (compiled; `_accumulator_plain` is its twin).

`benchmarks/produce.py` pays for this module: a record costs one call, one copy into the wire format and one small
handle.

Theory of operation. A `Topic` holds one `PartitionQueue` per partition, and a queue at most one open `Batch` and any
number of sealed ones. A caller appends to the open batch; whoever finds it full seals it. The engine takes sealed
batches from the front, and settles them. A `Delivery` is a pointer to its batch and an index in it, so a batch of ten
thousand records is settled in one step.

Threads. Every method runs under the GIL from its start to its end, and none of the steps that must not be torn apart
runs any Python code: `Delivery` and the builder's buffer are not objects of the garbage collector, and a new `Batch`,
which is one, is made before the queue is looked at. So there is no lock here, and a finalizer or a signal handler that
sends from inside a send finds a whole accumulator. (The module does not declare itself safe without a GIL: a
free-threaded interpreter brings the GIL back when it is imported.)
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItemWithError
from cpython.list cimport PyList_GET_SIZE
from cpython.long cimport PyLong_AsLongLongAndOverflow
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from felice.wire._records cimport HEADER_BYTES, BatchBuilder, murmur2_c, pack_headers, seal_builder

from collections import deque

from felice.types import RecordMetadata
from felice.wire._records import stamp

cdef extern from "Python.h":
    PyObject* PyList_GET_ITEM_borrowed "PyList_GET_ITEM"(object items, Py_ssize_t index)

cdef extern from "coarse_clock.h" nogil:
    int64_t felice_now_ms()

cdef object _waiting = None


cdef waiting():
    """Return the module that waits for outcomes; imported when somebody first does, since it brings asyncio along."""
    global _waiting
    if _waiting is None:
        from felice.producer import delivery
        _waiting = delivery
    return _waiting


# What a batch is in.
OPEN, SEALED, DELIVERED, FAILED = range(4)
cdef enum:
    C_OPEN = 0
    C_SEALED = 1
    C_DELIVERED = 2
    C_FAILED = 3

# Why `offer` did not take a record.
UNKNOWN_TOPIC, NO_ROOM, TOO_LARGE, BAD_PARTITION, NOT_PLAIN = range(1, 6)
cdef enum:
    C_UNKNOWN_TOPIC = 1
    C_NO_ROOM = 2
    C_TOO_LARGE = 3
    C_BAD_PARTITION = 4
    C_NOT_PLAIN = 5

cdef enum:
    RECORD_OVERHEAD = 36        # the most that a record's own fields take, its key and value apart
    SMALLEST_BUFFER = 1024      # a fresh batch's buffer, before anything is known of the partition's traffic
    POOLED_FROM = 131072        # buffers from this size on are kept for reuse: fresh ones cost page faults


include "batches.pxi"
include "faces.pxi"


cdef class Accumulator:
    """Every open and sealed batch of a producer, in one budget of bytes."""

    def __init__(self, Py_ssize_t limit, ring, clock, stamper=None):
        """Make an empty accumulator.

        `limit` is the budget in bytes, `ring()` tells the engine that there is work, `clock` says when a batch was
        begun, and `stamper()` gives the wall clock in milliseconds where it is not the machine's.
        """
        self.limit = limit
        self.direct = True
        self._ring = ring
        self._monotonic = clock.monotonic
        self._stamper = stamper
        self._topics = {}
        self._learned = {}
        self._pool = []
        self._dirty = []

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    # -- callers ---------------------------------------------------------------------------------------------------

    def offer(self, topic, value, key, headers, partition, timestamp_ms):
        """Take a record if nothing stands in the way, and return its Delivery; otherwise the reason, a number."""
        return self.c_offer(topic, value, key, headers, partition, timestamp_ms)

    cdef inline object c_offer(self, topic, value, key, headers, partition, timestamp_ms):
        cdef PyObject* found
        if topic is not self._last_name or topic is None:
            if type(topic) is not str:
                return C_NOT_PLAIN
            found = PyDict_GetItemWithError(self._topics, topic)
            if found == NULL:
                return C_UNKNOWN_TOPIC
            self._last = <Topic>found
            # The caller's own string where it may be: the next send of the same one is found by its address.
            self._last_name = topic
        return self.c_offer_to(self._last, value, key, headers, partition, timestamp_ms, False)

    cdef object c_offer_to(self, Topic known, value, key, headers, partition, timestamp_ms, bint lenient):
        """Take one record for a topic, and return its Delivery or the reason why not.

        `lenient`: whatever the budget and the usual limit of a record say.
        """
        cdef int64_t stamped
        cdef Py_ssize_t number = -1
        cdef bytes packed = None
        cdef PyObject* batch = NULL
        cdef int32_t index = 0
        cdef int overflow = 0
        cdef Delivery delivery
        if headers is not None:
            if type(headers) is not list and type(headers) is not tuple:
                return C_NOT_PLAIN
            # Made before the queue is looked at: it may run the garbage collector, and so a finalizer that sends here.
            packed = pack_headers(headers)
            if packed is None:
                return C_NOT_PLAIN
        if timestamp_ms is not None:
            if type(timestamp_ms) is not int:
                return C_NOT_PLAIN
            stamped = PyLong_AsLongLongAndOverflow(timestamp_ms, &overflow)
            if stamped < 0:  # Also where it does not fit.
                return C_NOT_PLAIN
        else:
            stamped = self.c_now()
        if partition is not None:
            if type(partition) is not int:
                return C_NOT_PLAIN
            if partition < 0 or partition >= PyList_GET_SIZE(known.queues):
                return C_BAD_PARTITION
            number = partition
        cdef int reason = self.c_put(known, value, key, packed, number, stamped, lenient, &batch, &index)
        if reason:
            return reason
        delivery = Delivery.__new__(Delivery)
        delivery.batch = <Batch>batch
        delivery.index = index
        delivery.timestamp_ms = stamped
        if index == 0:
            self._ring()
        return delivery

    cdef inline int64_t c_now(self) except -1:
        return felice_now_ms() if self._stamper is None else self._stamper()

    cdef int c_put(self, Topic known, value, key, bytes packed, Py_ssize_t number, int64_t stamped,
                   bint lenient, PyObject** batch_out, int32_t* index_out) except -1:
        """Put a record into a batch, which its queue holds; 0, or the reason why not."""
        cdef const char* value_at = NULL
        cdef const char* key_at = NULL
        cdef Py_ssize_t value_len = -1, key_len = -1, need = RECORD_OVERHEAD
        cdef PartitionQueue queue
        cdef Batch batch
        cdef BatchBuilder builder
        if value is not None:
            if not PyBytes_CheckExact(value):
                return C_NOT_PLAIN
            value_at = PyBytes_AS_STRING(value)
            value_len = PyBytes_GET_SIZE(value)
            need += value_len
        if key is not None:
            if not PyBytes_CheckExact(key):
                return C_NOT_PLAIN
            key_at = PyBytes_AS_STRING(key)
            key_len = PyBytes_GET_SIZE(key)
            need += key_len
        if packed is not None:
            need += PyBytes_GET_SIZE(packed)
        if need + HEADER_BYTES > known.record_bytes and not lenient:
            return C_TOO_LARGE

        if number >= 0:
            if number >= PyList_GET_SIZE(known.queues):
                return C_BAD_PARTITION  # A topic that was made anew may have fewer.
            queue = <PartitionQueue>PyList_GET_ITEM_borrowed(known.queues, number)
        elif key_len >= 0:
            queue = <PartitionQueue>PyList_GET_ITEM_borrowed(
                known.queues,
                (murmur2_c(<const uint8_t*>key_at, key_len) & 0x7FFFFFFF) % <uint32_t>PyList_GET_SIZE(known.queues),
            )
        else:
            queue = known.sticky
        batch = queue.open
        if batch is not None:
            builder = batch.builder
            if builder.size + need > known.batch_bytes and builder.count:
                self.c_seal(queue)
                batch = None
                if number < 0 and key_len < 0:
                    queue = known.turn()
                    batch = queue.open
                    if batch is not None and batch.builder.size + need > known.batch_bytes:
                        self.c_seal(queue)
                        batch = None
        if batch is None:
            batch = self.c_begin(queue, need + HEADER_BYTES, lenient)
            if batch is None:
                return C_NO_ROOM
        builder = batch.builder
        if builder.size + need > builder.capacity and not self.c_grow(batch, builder.size + need, lenient):
            return C_NO_ROOM
        if packed is None:
            index_out[0] = builder.c_append(value_at, value_len, key_at, key_len, stamped)
        else:
            index_out[0] = builder.c_put(value_at, value_len, key_at, key_len, PyBytes_AS_STRING(packed),
                                         PyBytes_GET_SIZE(packed), stamped)
        batch.count = index_out[0] + 1
        batch_out[0] = <PyObject*>batch
        return 0

    def offer_many(self, str topic, list values, list keys, list headers, partition, timestamp_ms, Py_ssize_t start,
                   list spans):
        """Take checked records from `start` on while nothing stands in the way; add their spans.

        Returns how many records are taken by now, and the reason why the next one was not, or 0.
        """
        cdef Topic known = self._topics.get(topic)
        cdef Py_ssize_t i, n = PyList_GET_SIZE(values)
        cdef Py_ssize_t number = -1 if partition is None else partition
        cdef int64_t stamped = self.c_now() if timestamp_ms is None else timestamp_ms
        cdef Span span = None
        cdef PyObject* batch = NULL
        cdef int32_t index = 0
        cdef int reason = 0
        if known is None:
            return start, C_UNKNOWN_TOPIC
        if number >= PyList_GET_SIZE(known.queues):
            return start, C_BAD_PARTITION
        for i in range(start, n):
            reason = self.c_put(
                known,
                <object>PyList_GET_ITEM_borrowed(values, i),
                None if keys is None else <object>PyList_GET_ITEM_borrowed(keys, i),
                None if headers is None else pack_headers(<object>PyList_GET_ITEM_borrowed(headers, i)),
                number,
                stamped,
                False,
                &batch,
                &index,
            )
            if reason:
                return i, reason
            span = (<Batch>batch).span
            # A span ends where another caller's record comes between.
            if span is None or span.owner is not spans or span.first + span.count != index:
                (<Batch>batch).span = span = Span(spans, <Batch>batch, index, 0)
                spans.append(span)
            span.count += 1
            if index == 0:
                self._ring()
        return n, 0

    # -- batches ---------------------------------------------------------------------------------------------------

    cdef Batch c_begin(self, PartitionQueue queue, Py_ssize_t least, bint lenient):
        """Begin the queue's next batch with room for `least` bytes; None where the budget has none."""
        cdef Py_ssize_t capacity = max(queue.expected, least)
        cdef Batch made = Batch.__new__(Batch)  # May run the garbage collector, and so a finalizer that sends here.
        cdef double begun = self._monotonic()
        if queue.open is not None:
            return queue.open
        if self.used + capacity > self.limit:
            capacity = max(least, SMALLEST_BUFFER)
            if self.used + capacity > self.limit and not lenient:
                return None
        cdef Py_ssize_t i
        cdef BatchBuilder builder = None
        if capacity >= POOLED_FROM:
            for i in range(PyList_GET_SIZE(self._pool)):
                if (<BatchBuilder>PyList_GET_ITEM_borrowed(self._pool, i)).capacity >= capacity:
                    builder = <BatchBuilder>self._pool.pop(i)
                    self.pooled -= builder.capacity
                    break
        if builder is None:
            self.c_make_space(capacity)
            builder = BatchBuilder.__new__(BatchBuilder, capacity)
        made.queue = queue
        made.builder = builder
        made.begun = begun
        made.charge = builder.capacity
        self.used += made.charge
        queue.open = made
        self.c_mark(queue)
        return made

    cdef bint c_grow(self, Batch batch, Py_ssize_t need, bint lenient) except -1:
        """Double the batch's buffer until `need` bytes fit; False where the budget has no room for that."""
        cdef BatchBuilder builder = batch.builder
        cdef Py_ssize_t capacity = builder.capacity
        cdef Py_ssize_t most = batch.queue.owner.batch_bytes
        while capacity < need:
            capacity *= 2
        if need <= most < capacity:
            capacity = most  # It is sealed before it gets larger.
        if self.used + capacity - batch.charge > self.limit:
            capacity = need
            if self.used + capacity - batch.charge > self.limit and not lenient:
                return False
        self.c_make_space(capacity - batch.charge)
        builder.c_grow(capacity)
        self.used += builder.capacity - batch.charge
        batch.charge = builder.capacity
        return True

    cdef c_make_space(self, Py_ssize_t more):
        """Give pooled buffers back to the system while they and the live ones would pass the budget."""
        while self._pool and self.used + self.pooled + more > self.limit:
            self.pooled -= (<BatchBuilder>self._pool.pop()).capacity

    cdef c_seal(self, PartitionQueue queue):
        cdef Batch batch = queue.open
        batch.state = C_SEALED
        # The next batch of this partition probably becomes as large as this one; what is reserved in vain is taken from
        # other partitions' budget, so it shrinks again when traffic does.
        cdef Py_ssize_t capacity = batch.builder.capacity
        queue.expected = capacity if batch.builder.size > capacity // 2 else max(SMALLEST_BUFFER, capacity // 2)
        queue.open = None
        queue.sealed.append(batch)
        self.c_mark(queue)

    cdef c_mark(self, PartitionQueue queue):
        if not queue.dirty:
            queue.dirty = True
            self._dirty.append(queue)

    def seal(self, PartitionQueue queue):
        """Close the queue's open batch, if there is one, so that it can be sent."""
        if queue.open is not None and queue.open.count:
            self.c_seal(queue)
            if queue.owner.sticky is queue:
                queue.owner.turn()

    def seal_all(self):
        """Close every open batch; return how many there were."""
        cdef Py_ssize_t sealed = 0
        for known in list(self._learned.values()):
            for queue in (<Topic>known).queues + (<Topic>known).beyond:
                if (<PartitionQueue>queue).open is not None:
                    self.seal(queue)
                    sealed += 1
        if sealed:
            self._ring()
        return sealed

    def take_dirty(self):
        """Return the queues that have a new open or sealed batch since the last call. On the engine."""
        cdef list dirty = self._dirty
        self._dirty = []
        for queue in dirty:
            (<PartitionQueue>queue).dirty = False
        return dirty

    def release(self, Batch batch, builder=None):
        """Give a batch's bytes back to the budget; keep its buffer for reuse if nobody refers to it. On the engine."""
        self.used -= batch.charge
        batch.charge = 0
        batch.builder = None
        batch.payload = None
        if builder is not None:
            self.c_keep(<BatchBuilder>builder)

    cdef c_keep(self, BatchBuilder builder):
        if (
            builder.capacity >= POOLED_FROM
            and builder.exports == 0
            and self.used + self.pooled + builder.capacity <= self.limit
        ):
            builder.reset()
            self._pool.append(builder)
            self.pooled += builder.capacity

    def finish(self, list batches):
        """Write the headers and checksums of batches that go for the first time, in one go. On the engine.

        A batch whose bytes were made before (by compression) is only stamped.
        """
        cdef Batch batch
        cdef BatchBuilder builder
        cdef Py_ssize_t i, n = 0
        cdef PyObject* plain[64]
        for batch in batches:
            if batch.payload is not None:
                if batch.attempts == 1 and batch.producer_id >= 0:
                    stamp(
                        batch.payload,
                        producer_id=batch.producer_id,
                        producer_epoch=batch.producer_epoch,
                        base_sequence=batch.base_sequence,
                    )
                continue
            if n == 64:
                c_finish(plain, n)
                n = 0
            plain[n] = <PyObject*>batch
            n += 1
        c_finish(plain, n)
        for batch in batches:
            if batch.payload is None:
                batch.payload = memoryview(batch.builder)

    def compressed(self, Batch batch, payload):
        """Take a batch's compressed bytes and let its plain ones go. On the engine."""
        cdef BatchBuilder builder = batch.builder
        self.used += len(payload) - batch.charge
        batch.charge = len(payload)
        batch.payload = payload
        batch.builder = None
        self.c_keep(builder)

    def adopt(self, PartitionQueue queue, BatchBuilder builder, double begun):
        """Make a sealed batch of a builder's records, in the budget but in no queue. On the engine."""
        cdef Batch made = Batch.__new__(Batch)
        made.queue = queue
        made.builder = builder
        made.count = builder.count
        made.begun = begun
        made.state = C_SEALED
        made.charge = builder.capacity
        self.used += made.charge
        return made

    def charge(self, Py_ssize_t amount):
        """Take bytes from the budget for a record that waits elsewhere (negative: give them back)."""
        self.used += amount

    # -- topics ----------------------------------------------------------------------------------------------------

    def set_topic(self, str name, options, Py_ssize_t partitions, available, Py_ssize_t first):
        """Learn a topic or its newer shape: how many partitions there are, and which have a leader.

        `first` is where records without a key begin, modulo the available partitions. Returns the topic.
        """
        cdef Topic known = self._learned.get(name)
        if known is None:
            self._learned[name] = known = Topic(self, name, options)
        # Fewer than before: the topic was made anew. The queues beyond are kept, as their partitions may come back, and
        # there must never be two for one partition.
        while PyList_GET_SIZE(known.queues) > partitions:
            known.beyond.append(known.queues.pop())
        while PyList_GET_SIZE(known.queues) < partitions:
            known.queues.append(
                known.beyond.pop()
                if known.beyond
                else PartitionQueue(known, <int32_t>PyList_GET_SIZE(known.queues))
            )
        known.available = [known.queues[p] for p in available if p < partitions]
        if known.sticky is None and partitions:
            known.turns = first
            known.sticky = known.queues[0]
            known.turn()
        elif known.sticky.partition >= partitions or (known.available and known.sticky not in known.available):
            known.turn()
        return known

    def admit(self, Topic known):
        """Let callers find the topic."""
        self._topics[known.name] = known

    def topic(self, str name):
        """Return the topic as far as it is known, or None."""
        return self._topics.get(name)

    def topics(self):
        """Return every topic that is known."""
        return list(self._learned.values())

    def place_record(self, Topic known, value, key, headers, partition, timestamp_ms):
        """Put a checked record into its queue, whatever the budget and the usual limit of a record say.

        Returns its Delivery, or the reason, a number, why it has no place at all.
        """
        return self.c_offer_to(known, value, key, headers, partition, timestamp_ms, True)


cdef int c_finish(PyObject** batches, Py_ssize_t n) except -1:
    """Seal so many batches, 64 at most, while the GIL is let go once."""
    cdef Py_ssize_t i
    cdef void* builders[64]
    cdef int64_t producer_ids[64]
    cdef int epochs[64]
    cdef int32_t sequences[64]
    cdef Batch batch
    for i in range(n):
        batch = <Batch>batches[i]
        builders[i] = <void*>batch.builder
        producer_ids[i] = batch.producer_id
        epochs[i] = batch.producer_epoch
        sequences[i] = batch.base_sequence
    with nogil:
        for i in range(n):
            seal_builder(builders[i], producer_ids[i], epochs[i], sequences[i])
    return 0


def largest(list column not None):
    """Return the size of the longest item, or -1 where they are not all bytes or None."""
    cdef Py_ssize_t most = 0
    cdef PyObject* item
    for i in range(PyList_GET_SIZE(column)):
        item = PyList_GET_ITEM_borrowed(column, i)
        if PyBytes_CheckExact(<object>item):
            if PyBytes_GET_SIZE(<object>item) > most:
                most = PyBytes_GET_SIZE(<object>item)
        elif item != <PyObject*>None:
            return -1
    return most
