# The structures of the compiled accumulator.
from cpython.ref cimport PyObject
from libc.stdint cimport int32_t, int64_t

from felice.wire._records cimport BatchBuilder


cdef class Batch:
    cdef readonly PartitionQueue queue
    cdef readonly BatchBuilder builder
    cdef readonly int32_t count
    cdef readonly int state
    cdef readonly int64_t base_offset
    cdef readonly int64_t append_time_ms
    cdef readonly object error
    cdef readonly Py_ssize_t charge
    cdef public bint wanted
    cdef public bint looked
    cdef readonly list moved
    cdef dict hooks             # by index
    cdef Span span
    # Written on the engine alone, or as the record is placed.
    cdef public double begun
    cdef public object payload
    cdef public int64_t serial
    cdef public int64_t producer_id
    cdef public int producer_epoch
    cdef public int32_t base_sequence
    cdef public int attempts
    cdef public bint in_flight
    cdef public bint in_doubt

    cdef Batch c_place(self, int32_t* index)


cdef class Delivery:
    cdef Batch batch
    cdef int32_t index
    cdef int64_t timestamp_ms


cdef class Span:
    cdef readonly object owner
    cdef readonly Batch batch
    cdef readonly int32_t first
    cdef readonly int32_t count


cdef class PartitionQueue:
    cdef readonly Topic owner
    cdef readonly str topic
    cdef readonly int32_t partition
    cdef readonly Batch open
    cdef readonly object sealed
    cdef bint dirty
    cdef Py_ssize_t expected
    cdef public object lane


cdef class Topic:
    cdef readonly Accumulator accumulator
    cdef readonly str name
    cdef readonly object options
    cdef readonly double linger
    cdef Py_ssize_t batch_bytes
    cdef Py_ssize_t record_bytes
    cdef readonly list queues
    cdef list beyond
    cdef readonly list available
    cdef readonly PartitionQueue sticky
    cdef Py_ssize_t turns

    cdef PartitionQueue turn(self)


cdef class Accumulator:
    cdef readonly Py_ssize_t limit
    cdef readonly Py_ssize_t used
    cdef readonly Py_ssize_t pooled
    cdef public bint direct
    cdef object _ring
    cdef object _monotonic
    cdef object _stamper
    cdef dict _topics           # those that callers find
    cdef dict _learned
    cdef str _last_name
    cdef Topic _last
    cdef list _pool
    cdef list _dirty

    cdef object c_offer(self, topic, value, key, headers, partition, timestamp_ms)
    cdef object c_offer_to(self, Topic known, value, key, headers, partition, timestamp_ms, bint lenient)
    cdef int64_t c_now(self) except -1
    cdef int c_put(self, Topic known, value, key, bytes packed, Py_ssize_t number, int64_t stamped,
                   bint lenient, PyObject** batch_out, int32_t* index_out) except -1
    cdef Batch c_begin(self, PartitionQueue queue, Py_ssize_t least, bint lenient)
    cdef bint c_grow(self, Batch batch, Py_ssize_t need, bint lenient) except -1
    cdef c_make_space(self, Py_ssize_t more)
    cdef c_seal(self, PartitionQueue queue)
    cdef c_mark(self, PartitionQueue queue)
    cdef c_keep(self, BatchBuilder builder)


cdef class SyncFace:
    cdef readonly Accumulator _core


cdef class AsyncFace:
    cdef readonly Accumulator _core
