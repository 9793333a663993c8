# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, nonecheck=False, initializedcheck=False, auto_pickle=False
"""Batches and messages, compiled; `_batch_plain` is the twin that says the same in plain Python.

Theory of operation. A `Reader` is given the bytes of one partition as they came (`add`), and turns some of them into a
`Table` (`decode`): where in those bytes each record's key, value and headers are. That is one pass which checks
checksums and finds records without the interpreter's lock, and it stops only for what needs Python: to unpack a
compressed batch, or to look up whether a transaction was aborted. A `Batch` is a stretch of a table; `Message` objects
and lists of values are made from it when somebody asks.

Non-obvious:

- A table never changes once `decode` has returned, so batches of it may be read while the reader goes on.
- A table keeps the bytes it points into exported (`Pin`): whoever owns them cannot reuse or resize them meanwhile.
- `Message` has member slots, not properties: CPython reads those in about 2 ns (`benchmarks/codec`), and it is not
  tracked by the garbage collector, because ten thousand tracked objects a batch would set that off every time.
- A list under construction holds null pointers, so no foreign code runs before it is complete: where there is a
  deserializer, lists are made the slow way.

Paid for by `benchmarks/codec` and `benchmarks/consume`.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New
from cpython.object cimport PyObject, PyTypeObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.stdint cimport INT64_MAX, int8_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memmove

from felice.wire._records cimport HEADER_BYTES, crc32c_c, parse_records, record_t

from types import GenericAlias

from felice.errors import CorruptBatch, DeserializeError, WireError
from felice.types import TimestampType
from felice.wire.compression import Codec, decompress

cdef extern from "record.h" nogil:
    uint16_t get16 "felice_get16"(const uint8_t* at)
    uint32_t get32 "felice_get32"(const uint8_t* at)
    uint64_t get64 "felice_get64"(const uint8_t* at)

cdef extern from "structmember.h":
    ctypedef struct PyMemberDef:
        const char* name
        int type
        Py_ssize_t offset
        int flags
        const char* doc
    int T_OBJECT_EX, T_INT, T_LONGLONG, READONLY

cdef extern from "Python.h":
    PyObject* new_bytes "PyBytes_FromStringAndSize"(const char* at, Py_ssize_t size) except NULL
    void set_item "PyList_SET_ITEM"(list items, Py_ssize_t index, PyObject* item)
    object PyDescr_NewMember(type owner, PyMemberDef* member)
    void PyType_Modified(type owner)
    ctypedef struct async_methods_t "PyAsyncMethods":
        int (*am_send)(PyObject* self, PyObject* sent, PyObject** result) noexcept
    ctypedef struct type_t "PyTypeObject":
        PyObject* tp_dict
        async_methods_t* tp_as_async
    int PYGEN_RETURN


cdef enum:
    SMALLEST_RECORD = 7     # bytes of a record without key, value and headers
    BITE = 256              # messages made at once while iterating: they stay in the processor's cache
    UNPACKED = 4194304      # bytes of unpacked batches in a table, beside the first

cdef enum Stop:             # why a pass ended
    GOOD
    DRY                     # no whole batch is left in these bytes
    FULL                    # the next batch would be more than was asked for
    PACKED                  # the next batch is compressed
    MARKER                  # the next batch is a control batch, and it matters which
    MAYBE_ABORTED           # the next batch is part of a transaction
    NO_MEMORY
    BAD_LENGTH
    BAD_MAGIC
    BAD_COUNT
    BAD_CRC
    BAD_RECORD

cdef enum:                  # bits of a batch's attributes
    CODEC = 0x07
    ZSTD = 4                # the last codec that there is
    LOG_APPEND_TIME = 0x08
    TRANSACTIONAL = 0x10
    CONTROL = 0x20

cdef dict REASONS = {
    BAD_LENGTH: "its length is less than a header's",
    BAD_MAGIC: "it is of another format than record batches version 2",
    BAD_COUNT: "its count of records does not fit its length or its offsets",
    BAD_CRC: "its checksum does not match its content",
    BAD_RECORD: "its records do not fit its length or its offsets",
}

cdef struct header_t:
    Py_ssize_t whole        # bytes of the batch, with the header
    int64_t base_offset
    int64_t last_offset
    int64_t base_timestamp
    int64_t max_timestamp
    int64_t producer_id
    int32_t leader_epoch
    int32_t count
    uint32_t crc
    uint16_t attributes

cdef struct segment_t:      # the records of one batch on the wire
    const uint8_t* base     # what the places in their rows count from
    Py_ssize_t first        # the first one's row
    int64_t base_offset
    int64_t base_timestamp
    int32_t leader_epoch
    int8_t log_append       # whether all have the broker's timestamp, which is then base_timestamp

cdef tuple NO_HEADERS = ()
cdef object CREATE = TimestampType.CREATE
cdef object LOG_APPEND = TimestampType.LOG_APPEND


@cython.final
@cython.internal
@cython.no_gc
cdef class Pin:
    """Keeps a buffer exported."""
    cdef Py_buffer view

    def __cinit__(self, owner):
        PyObject_GetBuffer(owner, &self.view, PyBUF_SIMPLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.view)


include "message.pxi"
include "batch.pxi"
include "iteration.pxi"
include "reader.pxi"
