# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, nonecheck=False, initializedcheck=False
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

from felice.wire._records cimport crc32c_c, parse_records, record_t

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
    HEADER = 61             # bytes of a record batch before its records
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


# ------------------------------------------------------------------------------------------------------- messages


@cython.final
@cython.no_gc
@cython.freelist(512)
cdef class Message:
    """One record of a topic; read-only.

    `topic`, `partition`, `offset`; `value` and `key`, bytes or what the deserializer made of them, None where the
    record has none; `timestamp_ms` in milliseconds since 1970; `leader_epoch`, -1 where unknown; `size` in bytes, of
    key, value and headers. A value that refers back to its own message is never freed (see the head of this file).
    """
    cdef PyObject* value_
    cdef PyObject* key_
    cdef PyObject* topic_
    cdef PyObject* headers_     # NULL: none; bytes: as on the wire; a tuple: decoded
    cdef int64_t offset_
    cdef int64_t timestamp_
    cdef int32_t partition_
    cdef int32_t leader_epoch_
    cdef int32_t size_
    cdef int8_t log_append_

    def __init__(
        self, str topic not None, int partition, int64_t offset, value, key=None, *, headers=(),
        int64_t timestamp_ms=-1, timestamp_type=CREATE, int leader_epoch=-1, int size=-1,
    ):
        if self.topic_ != NULL:
            raise TypeError("a message never changes")
        cdef tuple decoded = tuple(headers)
        if size < 0:
            size = _length(value) + _length(key)
            for name, content in decoded:
                size += len(name.encode("utf-8", "surrogateescape")) + _length(content)
        self.log_append_ = 1 if timestamp_type == LOG_APPEND else 0
        self.offset_ = offset
        self.timestamp_ = timestamp_ms
        self.partition_ = partition
        self.leader_epoch_ = leader_epoch
        self.size_ = size
        for held in (topic, value, key, decoded):
            Py_INCREF(held)
        self.value_ = <PyObject*>value
        self.key_ = <PyObject*>key
        self.headers_ = <PyObject*>decoded
        self.topic_ = <PyObject*>topic

    def __dealloc__(self):
        Py_XDECREF(self.value_)
        Py_XDECREF(self.key_)
        Py_XDECREF(self.topic_)
        Py_XDECREF(self.headers_)

    @property
    def headers(self):
        """The headers as (key, value) pairs, in order; keys that are not UTF-8 come with surrogates."""
        if self.headers_ == NULL:
            return NO_HEADERS
        cdef object held = <object>self.headers_
        if isinstance(held, tuple):
            return held
        cdef tuple decoded = _headers(<const uint8_t*>PyBytes_AS_STRING(held), PyBytes_GET_SIZE(held))
        if self.headers_ == <PyObject*>held:    # Decoding may have run a finalizer that read them too.
            Py_INCREF(decoded)
            self.headers_ = <PyObject*>decoded
            Py_DECREF(held)
        return decoded

    @property
    def timestamp_type(self):
        """Who set the timestamp."""
        return LOG_APPEND if self.log_append_ else CREATE

    def __repr__(self):
        return (
            f"Message(topic={self.topic!r}, partition={self.partition_}, offset={self.offset_}, "
            f"key={_short(self.key)}, value={_short(self.value)}, timestamp_ms={self.timestamp_})"
        )

    def _fields(self):
        return (
            self.topic, self.partition_, self.offset_, self.value, self.key, self.headers, self.timestamp_,
            self.timestamp_type, self.leader_epoch_, self.size_,
        )

    def __eq__(self, other):
        if isinstance(other, Message):
            return self._fields() == (<Message>other)._fields()
        return NotImplemented

    def __hash__(self):
        return hash((self.topic, self.partition_, self.offset_))

    def __reduce__(self):
        return _rebuild, self._fields()

    __class_getitem__ = classmethod(GenericAlias)


cdef PyMemberDef members[8]
cdef int added = 0

cdef int _add_member(Message sample, const char* name, int kind, void* at, const char* doc) except -1:
    """Give `Message` a slot that the interpreter reads in place; an attribute of Cython's would be a call."""
    global added
    cdef PyMemberDef* member = &members[added]
    member.name = name
    member.type = kind
    member.offset = <char*>at - <char*><PyObject*>sample
    member.flags = READONLY
    member.doc = doc
    (<dict><object>(<type_t*><PyObject*>Message).tp_dict)[name.decode()] = PyDescr_NewMember(Message, member)
    added += 1
    return 0

cdef int _add_members(Message sample) except -1:
    _add_member(sample, b"topic", T_OBJECT_EX, &sample.topic_, b"The topic's name.")
    _add_member(sample, b"partition", T_INT, &sample.partition_, b"The partition's number.")
    _add_member(sample, b"offset", T_LONGLONG, &sample.offset_, b"The record's offset in its partition.")
    _add_member(sample, b"value", T_OBJECT_EX, &sample.value_, b"The value; None where it has none (a tombstone).")
    _add_member(sample, b"key", T_OBJECT_EX, &sample.key_, b"The key; None where it has none.")
    _add_member(sample, b"timestamp_ms", T_LONGLONG, &sample.timestamp_, b"Milliseconds since 1970, or -1.")
    _add_member(sample, b"leader_epoch", T_INT, &sample.leader_epoch_, b"The epoch of the leader that took it, or -1.")
    _add_member(sample, b"size", T_INT, &sample.size_, b"Bytes of its key, value and headers.")
    PyType_Modified(Message)
    return 0

_add_members(Message.__new__(Message))


def _rebuild(topic, partition, offset, value, key, headers, timestamp_ms, timestamp_type, leader_epoch, size):
    """Make a message from what `Message.__reduce__` says of it."""
    return Message(
        topic, partition, offset, value, key, headers=headers, timestamp_ms=timestamp_ms,
        timestamp_type=timestamp_type, leader_epoch=leader_epoch, size=size,
    )


cdef Py_ssize_t _length(value) except -1:
    return len(value) if isinstance(value, (bytes, bytearray, memoryview, str)) else 0


cdef str _short(value):
    cdef str said = repr(value)
    return said if len(said) <= 60 else said[:57] + "..."


cdef const uint8_t* _varint(const uint8_t* at, const uint8_t* end, int64_t* out) noexcept:
    """Read a zigzag varint of 32 bits; NULL where there is none."""
    cdef uint64_t value = 0
    cdef int shift = 0
    while at < end and shift < 35:
        value |= <uint64_t>(at[0] & 0x7F) << shift
        if at[0] < 0x80:
            out[0] = <int64_t>(value >> 1) ^ -<int64_t>(value & 1)
            return at + 1
        at += 1
        shift += 7
    return NULL


cdef tuple _headers(const uint8_t* at, Py_ssize_t size):
    """Decode a record's headers, from their count on."""
    cdef const uint8_t* end = at + size
    cdef int64_t count = 0, length = 0
    cdef list found = []
    at = _varint(at, end, &count)
    while at != NULL and count > 0:
        at = _varint(at, end, &length)
        if at == NULL or length < 0 or length > end - at:
            break
        name = at[:length].decode("utf-8", "surrogateescape")
        at = _varint(at + length, end, &length)
        if at == NULL or length > end - at:
            break
        if length < 0:
            found.append((name, None))
        else:
            found.append((name, at[:length]))
            at += length
        count -= 1
    if at == NULL or count != 0:
        raise CorruptBatch("the headers of a record make no sense")
    return tuple(found)


# -------------------------------------------------------------------------------------------------------- batches


@cython.final
@cython.internal
cdef class Table:
    """Where the records of some batches on the wire are, and what those places are in."""
    cdef record_t* rows
    cdef segment_t* segments
    cdef Py_ssize_t count, room, segment_count, segment_room
    cdef Py_ssize_t unpacked
    cdef list pins

    def __cinit__(self):
        self.pins = []

    cdef int keep(self, Pin pin) except -1:
        """Hold the bytes that rows point into."""
        if not self.pins or self.pins[len(self.pins) - 1] is not pin:
            self.pins.append(pin)
        return 0

    def __dealloc__(self):
        free(self.rows)
        free(self.segments)

    cdef int reserve(self, Py_ssize_t records) noexcept nogil:
        """Make room for so many rows more and one segment; -1 where there is no memory."""
        cdef Py_ssize_t room
        cdef void* grown
        if self.count + records > self.room:
            room = max(self.count + records, self.room * 2)
            grown = realloc(self.rows, room * sizeof(record_t))
            if grown == NULL:
                return -1
            self.rows = <record_t*>grown
            self.room = room
        if self.segment_count == self.segment_room:
            room = max(<Py_ssize_t>8, self.segment_room * 2)
            grown = realloc(self.segments, room * sizeof(segment_t))
            if grown == NULL:
                return -1
            self.segments = <segment_t*>grown
            self.segment_room = room
        return 0

    cdef Py_ssize_t segment_of(self, Py_ssize_t row) noexcept:
        """Find the segment a row is in."""
        cdef Py_ssize_t low = 0, high = self.segment_count, middle
        while high - low > 1:
            middle = (low + high) // 2
            if self.segments[middle].first <= row:
                low = middle
            else:
                high = middle
        return low

    cdef inline Py_ssize_t segment_end(self, Py_ssize_t segment) noexcept:
        """Return the row after a segment's last."""
        return self.segments[segment + 1].first if segment + 1 < self.segment_count else self.count

    cdef int64_t offset_of(self, Py_ssize_t row) noexcept:
        return self.segments[self.segment_of(row)].base_offset + self.rows[row].offset_delta


cdef inline PyObject* _bytes_at(const uint8_t* base, int32_t at, int32_t length) except NULL:
    """Return a new reference: bytes, or None for a negative length."""
    if length < 0:
        Py_INCREF(None)
        return <PyObject*>None
    return new_bytes(<const char*>base + at, length)


cdef inline int64_t _timestamp(const segment_t* segment, const record_t* row) noexcept:
    return segment.base_timestamp if segment.log_append else segment.base_timestamp + row.timestamp_delta


@cython.final
cdef class Batch:
    """Records of one partition, in order of offset, still in the bytes that came from the broker.

    `topic`, `partition`, `generation` (which assignment it belongs to); `offset`, the position it begins at, and
    `next_offset`, the position after it: both may lie further out than its records, where compaction or a transaction
    left gaps. `size` is in bytes, of keys, values and headers. The bytes stay in memory as long as the batch; the
    messages and lists made from it are copies.
    """
    cdef Table table
    cdef Py_ssize_t start, stop
    cdef object decode_key, decode_value
    cdef readonly str topic
    cdef readonly int partition
    cdef readonly int generation
    cdef readonly int64_t offset
    cdef readonly int64_t next_offset

    def __init__(self):
        raise TypeError("batches come from a consumer")

    @classmethod
    def empty(cls, str topic not None="", int partition=-1, int generation=-1, int64_t offset=-1):
        """Make a batch without records, as a poll returns it whose time is up."""
        return _batch(Table.__new__(Table), 0, 0, topic, partition, generation, offset, offset, None, None)

    @property
    def leader_epoch(self):
        """The leader epoch of the last record; -1 where unknown."""
        if self.start == self.stop:
            return -1
        return self.table.segments[self.table.segment_of(self.stop - 1)].leader_epoch

    @property
    def size(self):
        cdef Py_ssize_t i
        cdef int64_t total = 0
        for i in range(self.start, self.stop):
            total += _size(&self.table.rows[i])
        return total

    def values(self):
        """Return the records' values: bytes, None where there is none, or what the deserializer makes of them."""
        if self.decode_value is not None:
            return [self.decoded(i, False) for i in range(self.start, self.stop)]
        cdef list out = PyList_New(self.stop - self.start)
        cdef Py_ssize_t i, end, at = self.start, segment
        cdef const uint8_t* base
        cdef const record_t* rows = self.table.rows
        if at < self.stop:
            segment = self.table.segment_of(at)
            while at < self.stop:
                base = self.table.segments[segment].base
                end = min(self.stop, self.table.segment_end(segment))
                for i in range(at, end):
                    set_item(out, i - self.start, _bytes_at(base, rows[i].value_at, rows[i].value_len))
                at = end
                segment += 1
        return out

    def keys(self):
        """Return the records' keys: bytes, None where there is none, or what the deserializer makes of them."""
        if self.decode_key is not None:
            return [self.decoded(i, True) for i in range(self.start, self.stop)]
        cdef list out = PyList_New(self.stop - self.start)
        cdef Py_ssize_t i, end, at = self.start, segment
        cdef const uint8_t* base
        cdef const record_t* rows = self.table.rows
        if at < self.stop:
            segment = self.table.segment_of(at)
            while at < self.stop:
                base = self.table.segments[segment].base
                end = min(self.stop, self.table.segment_end(segment))
                for i in range(at, end):
                    set_item(out, i - self.start, _bytes_at(base, rows[i].key_at, rows[i].key_len))
                at = end
                segment += 1
        return out

    def offsets(self):
        """Return the records' offsets."""
        cdef list out = []
        cdef Py_ssize_t i, end, at = self.start, segment = 0
        cdef int64_t base
        while at < self.stop:
            segment = self.table.segment_of(at)
            base = self.table.segments[segment].base_offset
            end = min(self.stop, self.table.segment_end(segment))
            for i in range(at, end):
                out.append(base + self.table.rows[i].offset_delta)
            at = end
        return out

    def timestamps_ms(self):
        """Return the records' timestamps in milliseconds since 1970, the broker's where the topic has it stamp them."""
        cdef list out = []
        cdef Py_ssize_t i, end, at = self.start
        cdef const segment_t* segment
        while at < self.stop:
            segment = &self.table.segments[self.table.segment_of(at)]
            end = min(self.stop, self.table.segment_end(self.table.segment_of(at)))
            for i in range(at, end):
                out.append(_timestamp(segment, &self.table.rows[i]))
            at = end
        return out

    def headers(self):
        """Return the records' headers: for each a tuple of (key, value) pairs."""
        cdef list out = []
        cdef Py_ssize_t i
        cdef const record_t* row
        for i in range(self.start, self.stop):
            row = &self.table.rows[i]
            if row.headers_len <= 1:
                out.append(NO_HEADERS)
            else:
                out.append(_headers(self.base_of(i) + row.headers_at, row.headers_len))
        return out

    def messages(self):
        """Return the records as messages."""
        return list(self)

    def __len__(self):
        return self.stop - self.start

    def __iter__(self):
        cdef BatchIterator messages = BatchIterator.__new__(BatchIterator)
        messages.load(self)
        return messages

    def __getitem__(self, index):
        cdef Py_ssize_t start, stop, step, at
        if isinstance(index, slice):
            start, stop, step = index.indices(self.stop - self.start)
            if step != 1:
                raise ValueError("a slice of a batch has no step: take it of values() or messages()")
            return self.part(start, max(start, stop))
        at = index
        if at < 0:
            at += self.stop - self.start
        if not 0 <= at < self.stop - self.start:
            raise IndexError(f"record {index} of a batch of {len(self)}")
        return self.message(self.start + at)

    def __repr__(self):
        return (
            f"<Batch of {self.topic}-{self.partition}: {len(self)} records, offsets {self.offset} to "
            f"{self.next_offset - 1}>"
        )

    __class_getitem__ = classmethod(GenericAlias)

    cdef Batch part(self, Py_ssize_t start, Py_ssize_t stop):
        """Cut out records `start` to `stop`; the first part begins, and the last part ends, where the whole does."""
        cdef int64_t offset = self.offset, next_offset = self.next_offset
        if start > 0:
            offset = self.table.offset_of(self.start + start - 1) + 1
        if stop < self.stop - self.start:
            next_offset = self.table.offset_of(self.start + stop - 1) + 1 if stop > start else offset
        return _batch(
            self.table, self.start + start, self.start + stop, self.topic, self.partition, self.generation, offset,
            next_offset, self.decode_key, self.decode_value,
        )

    cdef inline const uint8_t* base_of(self, Py_ssize_t row) noexcept:
        return self.table.segments[self.table.segment_of(row)].base

    cdef object decoded(self, Py_ssize_t row, bint key):
        """Return a record's key or value as its deserializer makes it; DeserializeError where that raises."""
        cdef const record_t* at = &self.table.rows[row]
        cdef int32_t length = at.key_len if key else at.value_len
        cdef object decode = self.decode_key if key else self.decode_value
        if length < 0:
            return None
        raw = PyBytes_FromStringAndSize(<const char*>self.base_of(row) + (at.key_at if key else at.value_at), length)
        if decode is None:
            return raw
        try:
            return decode(raw)
        except Exception as error:
            offset = self.table.offset_of(row)
            raise DeserializeError(
                f"the {'key' if key else 'value'} of {self.topic}-{self.partition} at offset {offset} "
                f"({length} bytes) cannot be deserialized: {error!r}",
                topic=self.topic, partition=self.partition, offset=offset, next_offset=offset + 1,
                hint=f"seek to {offset + 1} to skip it",
            ) from error

    cdef Message message(self, Py_ssize_t row):
        """Make one message, through the deserializers where there are any."""
        cdef Message made
        if self.decode_key is None and self.decode_value is None:
            return self.plain_message(&self.table.segments[self.table.segment_of(row)], &self.table.rows[row])
        key = self.decoded(row, True)
        value = self.decoded(row, False)
        made = Message.__new__(Message)
        self.fill(made, &self.table.segments[self.table.segment_of(row)], &self.table.rows[row])
        Py_INCREF(key)
        made.key_ = <PyObject*>key
        Py_INCREF(value)
        made.value_ = <PyObject*>value
        return made

    cdef inline Message plain_message(self, const segment_t* segment, const record_t* row):
        cdef Message made = Message.__new__(Message)
        made.value_ = _bytes_at(segment.base, row.value_at, row.value_len)
        made.key_ = _bytes_at(segment.base, row.key_at, row.key_len)
        self.fill(made, segment, row)
        return made

    cdef inline int fill(self, Message made, const segment_t* segment, const record_t* row) except -1:
        """Set all of a message but its key and value."""
        Py_INCREF(self.topic)
        made.topic_ = <PyObject*>self.topic
        made.partition_ = self.partition
        made.offset_ = segment.base_offset + row.offset_delta
        made.timestamp_ = _timestamp(segment, row)
        made.leader_epoch_ = segment.leader_epoch
        made.log_append_ = segment.log_append
        made.size_ = _size(row)
        if row.headers_len > 1:
            made.headers_ = new_bytes(<const char*>segment.base + row.headers_at, row.headers_len)
        return 0


cdef inline int32_t _size(const record_t* row) noexcept:
    return max(row.key_len, 0) + max(row.value_len, 0) + (row.headers_len if row.headers_len > 1 else 0)


cdef Batch _batch(
    Table table, Py_ssize_t start, Py_ssize_t stop, str topic, int partition, int generation, int64_t offset,
    int64_t next_offset, decode_key, decode_value,
):
    cdef Batch made = Batch.__new__(Batch)
    made.table = table
    made.start = start
    made.stop = stop
    made.topic = topic
    made.partition = partition
    made.generation = generation
    made.offset = offset
    made.next_offset = next_offset
    made.decode_key = decode_key
    made.decode_value = decode_value
    return made


# ------------------------------------------------------------------------------------------------------ iteration


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

    cdef object following(self):
        """Return the next message; there must be one."""
        cdef object message
        cdef PyObject* item
        if self.at >= self.bitten:
            if self.source.decode_key is not None or self.source.decode_value is not None:
                # One at a time: a deserializer may raise, and the messages before that one are good. It may also
                # come back here, so nothing moves before it has returned.
                message = self.source.message(self.made)
                self.made += 1
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
        if self.at >= self.bitten and self.made >= self.end:
            raise StopIteration
        return self.following()

    def __length_hint__(self):
        return self.end - self.made + self.bitten - self.at


@cython.internal
cdef class Following(Bites):
    """What the two iterators over all of a consumer's messages share."""
    cdef object refill
    cdef object __weakref__

    def __init__(self, refill):
        self.refill = refill

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
        while self.at >= self.bitten and self.made >= self.end:
            batch = self.refill()
            if batch is None:
                raise StopIteration
            self.load(<Batch?>batch)
        return self.following()


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
        if self.at >= self.bitten and self.made >= self.end:
            return self.refilled()
        message = self.following()
        ready = Ready.__new__(Ready)
        ready.result = message
        return ready

    async def refilled(self):
        while self.at >= self.bitten and self.made >= self.end:
            batch = await self.refill()
            if batch is None:
                raise StopAsyncIteration
            self.load(<Batch?>batch)
        return self.following()


# -------------------------------------------------------------------------------------------------------- reading


@cython.final
cdef class Reader:
    """Turns the bytes of one partition into batches, in one thread.

    `add` gives it what a broker answered; `decode` makes records available, `take` hands them out. Left out are records
    below the position, control batches and, where `aborted` is given, aborted transactions; the position moves past
    them. When a batch makes no sense, all records before it are handed out first; then `decode` raises CorruptBatch or
    DecompressionLimit each time it is called, the position stays at the batch, and `failed_next` is the offset after
    it.
    """
    cdef str topic
    cdef int partition, generation
    cdef bint check_crc
    cdef Py_ssize_t limit
    cdef object decode_key, decode_value
    cdef list waiting                   # what was added and not begun: (data, aborted)
    cdef Pin pin                        # what is being read: from `data`, at `at`, to `end`
    cdef object view
    cdef const uint8_t* data
    cdef Py_ssize_t at, end
    cdef Py_ssize_t checked             # where the last batch is whose checksum held
    cdef bint settled                   # whether that one is known not to be aborted
    cdef bint committed                 # whether there are aborted transactions to be left out
    cdef list aborting                  # (first offset, producer ID) by offset; those from `upcoming` on still to come
    cdef Py_ssize_t upcoming
    cdef set aborted                    # producer IDs whose open transaction was aborted
    cdef Table table                    # what take() hands out: rows from `taken` on
    cdef Py_ssize_t taken
    cdef int64_t decoded                # the offset up to which all is decoded
    cdef readonly int64_t position
    """The offset of the next record that `take` hands out, or where to go on."""
    cdef readonly int64_t failed_next
    """The offset after the batch that made no sense; -1 where there is none."""
    cdef readonly int leader_epoch
    """The leader epoch of the last batch decoded; -1 where unknown."""

    def __init__(
        self, str topic not None, int partition, int generation, int64_t position, *, bint check_crc=True,
        Py_ssize_t max_batch_bytes=67108864, deserializers=None,
    ):
        self.topic = topic
        self.partition = partition
        self.generation = generation
        self.position = self.decoded = position
        self.check_crc = check_crc
        self.limit = max_batch_bytes
        if deserializers is not None:
            self.decode_key, self.decode_value = deserializers
        self.waiting = []
        self.table = Table.__new__(Table)
        self.failed_next = -1
        self.leader_epoch = -1

    @property
    def pending(self):
        """How many decoded records `take` has not handed out."""
        return self.table.count - self.taken

    @property
    def dry(self):
        """Whether all that was added is read and handed out."""
        return self.taken == self.table.count and self.pin is None and not self.waiting

    def add(self, data, aborted=None):
        """Read on in `data`, a buffer, when what was added before is read.

        `aborted` is the answer's list of aborted transactions as (producer ID, first offset); None reads everything,
        as read_uncommitted does.
        """
        self.waiting.append((data, aborted))

    def decode(self, Py_ssize_t want):
        """Make up to `want` records available, or the next batch whatever it holds; return how many there are.

        0 means that all that was added is read. Does nothing while records are pending.
        """
        cdef Stop stop
        cdef Table table
        cdef Py_ssize_t segments = 0
        if self.taken < self.table.count:
            return self.table.count - self.taken
        table = self.table = Table.__new__(Table)
        self.taken = 0
        while True:
            if self.pin is None:
                if not self.waiting:
                    break
                data, aborted = self.waiting.pop(0)
                self.begin(data, aborted)
            if self.end - self.at > 4096:
                with nogil:
                    stop = self.pass_over(table, want)
            else:
                stop = self.pass_over(table, want)
            if table.segment_count > segments:
                segments = table.segment_count
                table.keep(self.pin)
            if stop == DRY:
                self.pin = None
                self.view = None
                self.data = NULL
            elif stop == FULL:
                break
            elif stop == MARKER:
                self.end_transaction()
            elif stop == MAYBE_ABORTED:
                self.settle()
            elif stop == PACKED and (table.count == 0 or table.unpacked < UNPACKED):
                if not self.unpack(table):
                    break
                segments = table.segment_count
            elif stop == PACKED or table.count:
                break
            else:
                self.refuse(stop)
        if table.count == 0:
            self.position = self.decoded
        return table.count

    def take(self, Py_ssize_t most):
        """Hand out up to `most` of the pending records; `decode` first. The batch may be empty."""
        cdef Py_ssize_t start = self.taken, stop = min(self.table.count, start + max(most, 0))
        cdef int64_t next_offset = self.decoded
        if stop < self.table.count:
            next_offset = self.table.offset_of(stop - 1) + 1 if stop > start else self.position
        made = _batch(
            self.table, start, stop, self.topic, self.partition, self.generation, self.position, next_offset,
            self.decode_key, self.decode_value,
        )
        self.taken = stop
        self.position = next_offset
        return made

    cdef int begin(self, data, aborted) except -1:
        """Begin to read in other bytes."""
        self.view = memoryview(data)
        self.pin = Pin(self.view)
        self.data = <const uint8_t*>self.pin.view.buf
        self.end = self.pin.view.len
        self.at = 0
        self.checked = -1
        self.aborted = set()
        # The answer lists each transaction that reaches into it; which batches those are is told by the order of
        # offsets: from a transaction's first offset to its marker (as KIP-98 has it).
        self.aborting = sorted([(first, producer) for producer, first in aborted or ()])
        self.upcoming = 0
        self.committed = bool(self.aborting)
        return 0

    cdef Stop pass_over(self, Table table, Py_ssize_t want) noexcept nogil:
        """Find records until something stops it; the batch that stopped it is not passed."""
        cdef header_t header
        cdef Stop stop
        while True:
            stop = read_header(self.data + self.at, self.end - self.at, &header)
            if stop != GOOD:
                return stop
            if header.last_offset < self.decoded:
                self.at += header.whole     # Brokers answer with whole batches: some begin below what was asked for.
                continue
            if table.count > 0 and table.count + header.count > want:
                return FULL
            if self.checked != self.at:
                if self.check_crc and crc32c_c(self.data + self.at + 21, header.whole - 21) != header.crc:
                    return BAD_CRC
                self.checked = self.at
                self.settled = not self.committed
            if header.attributes & CONTROL:
                if self.committed:
                    return MARKER
            elif header.count > 0:
                if header.attributes & TRANSACTIONAL and not self.settled:
                    return MAYBE_ABORTED
                if header.attributes & CODEC:
                    return PACKED
                stop = self.index(table, self.data + self.at, HEADER, header.whole, &header)
                if stop != GOOD:
                    return stop
            self.pass_by(&header)

    cdef inline void pass_by(self, const header_t* header) noexcept nogil:
        """Move past a batch. Also where nothing of it is handed out: else the position would never move on."""
        self.at += header.whole
        self.decoded = header.last_offset + 1
        self.leader_epoch = header.leader_epoch

    cdef Stop index(
        self, Table table, const uint8_t* base, Py_ssize_t start, Py_ssize_t end, const header_t* header
    ) noexcept nogil:
        """Add a batch's records to the table, but for those below the position."""
        cdef Py_ssize_t below = 0, i
        cdef int64_t delta, previous = -1, last = header.last_offset - header.base_offset
        cdef record_t* rows
        cdef segment_t* segment
        if (end - start) // SMALLEST_RECORD < header.count:
            return BAD_COUNT
        if table.reserve(header.count) < 0:
            return NO_MEMORY
        rows = table.rows + table.count
        if parse_records(base, start, end, header.count, rows) != 0:
            return BAD_RECORD
        for i in range(header.count):
            delta = rows[i].offset_delta
            if delta <= previous or delta > last:
                return BAD_RECORD
            previous = delta
            if header.base_offset + delta < self.decoded:
                below += 1
        if below == header.count:
            return GOOD
        if below > 0:
            memmove(rows, rows + below, (header.count - below) * sizeof(record_t))
        segment = table.segments + table.segment_count
        segment.base = base
        segment.first = table.count
        segment.base_offset = header.base_offset
        segment.leader_epoch = header.leader_epoch
        segment.log_append = 1 if header.attributes & LOG_APPEND_TIME else 0
        segment.base_timestamp = header.max_timestamp if segment.log_append else header.base_timestamp
        table.segment_count += 1
        table.count += header.count - below
        return GOOD

    cdef int end_transaction(self) except -1:
        """Read a control batch: an abort marker ends the aborted transaction of its producer."""
        cdef header_t header
        cdef record_t row
        cdef const uint8_t* batch = self.data + self.at
        read_header(batch, self.end - self.at, &header)
        if (
            header.count != 1 or header.attributes & CODEC
            or parse_records(batch, HEADER, header.whole, 1, &row) != 0 or row.key_len < 4
        ):
            self.refuse(BAD_RECORD)
        if get16(batch + row.key_at + 2) == 0:
            self.aborted.discard(header.producer_id)
        self.pass_by(&header)
        return 0

    cdef int settle(self) except -1:
        """Look up whether a transactional batch was aborted, and if so, move past it."""
        cdef header_t header
        read_header(self.data + self.at, self.end - self.at, &header)
        while self.upcoming < len(self.aborting) and self.aborting[self.upcoming][0] <= header.last_offset:
            self.aborted.add(self.aborting[self.upcoming][1])
            self.upcoming += 1
        if header.producer_id in self.aborted:
            self.pass_by(&header)
        else:
            self.settled = True
        return 0

    cdef bint unpack(self, Table table) except -1:
        """Add a compressed batch's records; False where it makes no sense and there are others to hand out first."""
        cdef header_t header
        cdef Stop stop
        cdef Pin pin
        read_header(self.data + self.at, self.end - self.at, &header)
        try:
            if header.attributes & CODEC > ZSTD:
                raise CorruptBatch(f"a batch in codec {header.attributes & CODEC}, which does not exist")
            unpacked = decompress(
                Codec(header.attributes & CODEC), self.view[self.at + HEADER:self.at + header.whole], self.limit
            )
        except WireError:
            if table.count:
                return False
            self.position = self.decoded
            self.failed_next = header.last_offset + 1
            raise
        pin = Pin(unpacked)
        with nogil:
            stop = self.index(table, <const uint8_t*>pin.view.buf, 0, pin.view.len, &header)
        if stop != GOOD:
            if not table.count:
                self.refuse(stop)
            return False
        table.pins.append(pin)
        table.unpacked += pin.view.len
        self.pass_by(&header)
        return True

    cdef int refuse(self, Stop stop) except -1:
        """Raise CorruptBatch for the batch that stopped the pass."""
        cdef header_t header
        cdef Stop readable = read_header(self.data + self.at, self.end - self.at, &header)
        if stop == NO_MEMORY:
            raise MemoryError
        self.position = self.decoded
        self.failed_next = header.last_offset + 1 if readable == GOOD else -1
        raise CorruptBatch(
            f"a record batch of {self.topic}-{self.partition} at offset {self.decoded} is damaged: {REASONS[stop]}",
            position=self.at,
        )


cdef Stop read_header(const uint8_t* at, Py_ssize_t left, header_t* header) noexcept nogil:
    """Read the batch header that begins at `at`; DRY where the batch is not all there."""
    cdef int64_t length, delta
    if left < 12:
        return DRY
    length = <int32_t>get32(at + 8)
    if length < HEADER - 12:
        return BAD_LENGTH
    if left > 16 and at[16] != 2:
        return BAD_MAGIC
    header.whole = length + 12
    if header.whole > left:
        return DRY
    delta = <int32_t>get32(at + 23)
    header.base_offset = <int64_t>get64(at)
    header.count = <int32_t>get32(at + 57)
    header.attributes = <uint16_t>get16(at + 21)
    if delta < 0 or header.base_offset < 0 or header.base_offset > INT64_MAX - 1 - delta:
        return BAD_COUNT
    if header.count < 0 or header.count > delta + 1:
        return BAD_COUNT
    header.last_offset = header.base_offset + delta
    header.leader_epoch = <int32_t>get32(at + 12)
    header.crc = <uint32_t>get32(at + 17)
    header.base_timestamp = <int64_t>get64(at + 27)
    header.max_timestamp = <int64_t>get64(at + 35)
    header.producer_id = <int64_t>get64(at + 43)
    return GOOD


def scan(data, int64_t offset):
    """Look over record batches without reading them: what is there, for one who asked for them from `offset`.

    Returns how many bytes are whole batches, the offset to ask for next, the size of the incomplete batch that follows
    them (0 where there is none), and the leader epoch of the last whole one (-1 where unknown). Where something makes
    no sense it is left to `Reader` to say what: all bytes count as whole then, and the size is -1.
    """
    cdef Pin pin = Pin(data)
    cdef const uint8_t* start = <const uint8_t*>pin.view.buf
    cdef Py_ssize_t at = 0
    cdef int epoch = -1
    cdef header_t header
    cdef Stop stop
    with nogil:
        while True:
            stop = read_header(start + at, pin.view.len - at, &header)
            if stop != GOOD:
                break
            at += header.whole
            epoch = header.leader_epoch
            offset = max(offset, header.last_offset + 1)
    if stop != DRY:
        return pin.view.len, offset, -1, epoch
    return at, offset, 12 + <int32_t>get32(start + at + 8) if pin.view.len - at >= 12 else 0, epoch
