# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, nonecheck=False, initializedcheck=False
# cython: embedsignature=True, embedsignature.format=clinic, binding=False
"""Record batches v2 to and from bytes (compiled; `_records_plain` is its twin).

`benchmarks/codec.py` pays for this module. The format's rules are in KIP-98; the C headers beside it hold the loops,
which know neither Python nor its memory.
"""

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBUF_WRITABLE, Py_buffer, PyBuffer_FillInfo, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.list cimport PyList_New
from cpython.ref cimport Py_INCREF
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from felice.errors import CorruptBatch, UsageError
from felice.wire.compression import compress
from felice.wire.record import Record

cdef extern from "Python.h":
    void PyList_SET_ITEM(object items, Py_ssize_t index, object item)

    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from "crc32c.h" nogil:
    void felice_crc_init()
    uint32_t felice_crc32c(uint32_t crc, const void* data, size_t size)

cdef extern from "record.h" nogil:
    void felice_put16(uint8_t* at, uint16_t v)
    void felice_put32(uint8_t* at, uint32_t v)
    void felice_put64(uint8_t* at, uint64_t v)
    uint32_t felice_get32(const uint8_t* at)
    uint8_t* felice_put_varint(uint8_t* at, int64_t v)
    const uint8_t* felice_get_varint(const uint8_t* at, const uint8_t* end, int64_t* out)
    uint8_t* felice_put_record(uint8_t* at, int64_t timestamp_delta, int32_t offset_delta, const char* key,
                               Py_ssize_t key_len, const char* value, Py_ssize_t value_len, const char* headers,
                               Py_ssize_t headers_len)
    const uint8_t* felice_get_record(const uint8_t* base, const uint8_t* at, const uint8_t* limit, record_t* out)
    uint32_t felice_murmur2(const uint8_t* data, size_t size)

cdef enum:
    HEADER = 61
    RECORD_OVERHEAD = 36     # the most that a record's own fields take
    LARGE = 4096             # from this many bytes on, work is worth letting the GIL go

felice_crc_init()


cdef uint32_t murmur2_c(const uint8_t* data, size_t size) noexcept nogil:
    return felice_murmur2(data, size)


cdef uint32_t crc32c_c(const void* data, size_t size) noexcept nogil:
    return felice_crc32c(0, data, size)


cdef int parse_records(
    const uint8_t* base, Py_ssize_t start, Py_ssize_t end, int32_t count, record_t* out
) noexcept nogil:
    """Find `count` records that fill base[start:end] exactly; 0 when they do, or the number of the first bad one + 1."""
    cdef const uint8_t* at = base + start
    cdef const uint8_t* limit = base + end
    cdef int32_t i
    for i in range(count):
        at = felice_get_record(base, at, limit, &out[i])
        if at == NULL:
            return i + 1
    return 0 if at == limit else count + 1


def crc32c(data, uint32_t value=0):
    """Return the CRC-32C of a buffer, going on from `value`."""
    cdef Py_buffer view
    cdef uint32_t crc
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len < LARGE:
            crc = felice_crc32c(value, view.buf, view.len)
        else:
            with nogil:
                crc = felice_crc32c(value, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


def murmur2(bytes key not None):
    """Return the hash by which the Java client chooses a key's partition, as an unsigned number of 32 bits."""
    return felice_murmur2(<const uint8_t*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))


@cython.no_gc
@cython.final
cdef class BatchBuilder:
    """A record batch under construction: each record is encoded straight into the bytes that will be sent.

    Its bytes are read through the buffer protocol; while somebody does, it can neither grow nor be used anew.
    """

    def __cinit__(self, Py_ssize_t capacity=16384):
        if capacity < HEADER + RECORD_OVERHEAD:
            capacity = HEADER + RECORD_OVERHEAD
        self.data = <uint8_t*>malloc(capacity)
        if self.data == NULL:
            raise MemoryError
        self.capacity = capacity
        self.size = HEADER
        self.base_timestamp = -1
        self.max_timestamp = -1

    def __dealloc__(self):
        free(self.data)

    cdef int c_grow(self, Py_ssize_t capacity) except -1:
        cdef uint8_t* data
        if self.exports:
            raise BufferError("the batch's bytes are in use")
        data = <uint8_t*>realloc(self.data, capacity)
        if data == NULL:
            raise MemoryError
        self.data = data
        self.capacity = capacity
        return 0

    cdef int32_t c_put(self, const char* value, Py_ssize_t value_len, const char* key, Py_ssize_t key_len,
                       const char* headers, Py_ssize_t headers_len, int64_t timestamp) except -1:
        cdef int32_t index = self.count
        cdef Py_ssize_t need = self.size + RECORD_OVERHEAD + headers_len
        cdef Py_ssize_t capacity
        if value_len > 0:
            need += value_len
        if key_len > 0:
            need += key_len
        if need > self.capacity or self.exports:
            if need > 0x7FFFFFFF:
                raise UsageError("a record batch cannot hold more than 2 GiB")
            capacity = self.capacity * 2
            self.c_grow(need if need > capacity else capacity)
        if index == 0:
            self.base_timestamp = timestamp
            self.max_timestamp = timestamp
        elif timestamp > self.max_timestamp:
            self.max_timestamp = timestamp
        self.size = felice_put_record(self.data + self.size, timestamp - self.base_timestamp, index, key, key_len,
                                      value, value_len, headers, headers_len) - self.data
        self.count = index + 1
        return index

    cdef int32_t c_append(self, const char* value, Py_ssize_t value_len, const char* key, Py_ssize_t key_len,
                          int64_t timestamp) except -1:
        return self.c_put(value, value_len, key, key_len, b"\0", 1, timestamp)

    def append(self, value, key=None, headers=None, int64_t timestamp_ms=-1):
        """Add a record and return its index: bytes-like or None for key and value, (str, bytes or None) as headers."""
        cdef Py_buffer value_view, key_view
        cdef const char* value_at = NULL
        cdef const char* key_at = NULL
        cdef Py_ssize_t value_len = -1, key_len = -1
        cdef bint value_held = False, key_held = False
        # Made first: from here to the end no Python code runs, so that nobody can append in between.
        cdef bytes packed = pack_headers(headers)
        if packed is None:
            raise TypeError("headers are a series of (str, bytes or None)")
        try:
            if value is not None:
                PyObject_GetBuffer(value, &value_view, PyBUF_SIMPLE)
                value_held = True
                value_at = <const char*>value_view.buf
                value_len = value_view.len
            if key is not None:
                PyObject_GetBuffer(key, &key_view, PyBUF_SIMPLE)
                key_held = True
                key_at = <const char*>key_view.buf
                key_len = key_view.len
            return self.c_put(value_at, value_len, key_at, key_len, PyBytes_AS_STRING(packed), len(packed),
                              timestamp_ms)
        finally:
            if value_held:
                PyBuffer_Release(&value_view)
            if key_held:
                PyBuffer_Release(&key_view)

    cdef void c_seal(self, int64_t producer_id, int producer_epoch, int32_t base_sequence) noexcept nogil:
        put_header(self.data, self.size, 0, -1, 0, self.count, self.base_timestamp, self.max_timestamp, producer_id,
                   producer_epoch, base_sequence)

    def seal(self, *, codec=0, level=None, int64_t base_offset=0, int32_t leader_epoch=-1, int64_t producer_id=-1,
             int producer_epoch=-1, int32_t base_sequence=-1, bint transactional=False, bint control=False,
             int timestamp_type=0):
        """Write the header and the checksum, and return the batch as a writable buffer.

        It is the builder's own memory where there is no codec, and new memory otherwise.
        """
        cdef int attributes = codec | (8 if timestamp_type else 0) | (16 if transactional else 0) | (32 if control else 0)
        cdef uint8_t* data = self.data
        cdef Py_ssize_t size = self.size
        cdef Py_buffer view
        if codec:
            with memoryview(self) as plain:
                packed = compress(codec, plain[HEADER:], level)
            sealed = bytearray(HEADER)
            sealed += packed
            PyObject_GetBuffer(sealed, &view, PyBUF_WRITABLE)
            data, size = <uint8_t*>view.buf, view.len
        else:
            sealed = memoryview(self)
        with nogil:
            put_header(data, size, base_offset, leader_epoch, attributes, self.count, self.base_timestamp,
                       self.max_timestamp, producer_id, producer_epoch, base_sequence)
        if codec:
            PyBuffer_Release(&view)
        return sealed

    def reset(self):
        """Empty the batch, for reuse of its memory."""
        if self.exports:
            raise BufferError("the batch's bytes are in use")
        self.size = HEADER
        self.count = 0
        self.base_timestamp = -1
        self.max_timestamp = -1

    def __len__(self):
        return self.count

    def __getbuffer__(self, Py_buffer* view, int flags):
        PyBuffer_FillInfo(view, self, self.data, self.size, 0, flags)
        self.exports += 1

    def __releasebuffer__(self, Py_buffer* view):
        self.exports -= 1


cdef void put_header(uint8_t* data, Py_ssize_t size, int64_t base_offset, int32_t leader_epoch, int attributes,
                     int32_t count, int64_t base_timestamp, int64_t max_timestamp, int64_t producer_id,
                     int producer_epoch, int32_t base_sequence) noexcept nogil:
    felice_put64(data, <uint64_t>base_offset)
    felice_put32(data + 8, <uint32_t>(size - 12))
    felice_put32(data + 12, <uint32_t>leader_epoch)
    data[16] = 2
    felice_put16(data + 21, <uint16_t>attributes)
    felice_put32(data + 23, <uint32_t>(count - 1))
    felice_put64(data + 27, <uint64_t>base_timestamp)
    felice_put64(data + 35, <uint64_t>max_timestamp)
    felice_put64(data + 43, <uint64_t>producer_id)
    felice_put16(data + 51, <uint16_t>producer_epoch)
    felice_put32(data + 53, <uint32_t>base_sequence)
    felice_put32(data + 57, <uint32_t>count)
    felice_put32(data + 17, felice_crc32c(0, data + 21, size - 21))


cdef void seal_builder(
    void* builder, int64_t producer_id, int producer_epoch, int32_t base_sequence
) noexcept nogil:
    """Seal a builder that somebody else keeps alive."""
    (<BatchBuilder>builder).c_seal(producer_id, producer_epoch, base_sequence)


cdef bytes pack_headers(headers):
    """Return the bytes of headers, their count in front; None where they are not all (str, bytes or None)."""
    cdef Py_ssize_t size = 10, length, count = 0
    cdef const char* text
    cdef uint8_t* at
    cdef bytes packed
    if not headers:
        return b"\0"
    if type(headers) is not list and type(headers) is not tuple:
        headers = tuple(headers)
    for header in headers:
        if type(header) is not tuple or PyTuple_GET_SIZE(header) != 2:
            return None
        name, value = <tuple>header
        if type(name) is not str or not (value is None or PyBytes_CheckExact(value)):
            return None
        PyUnicode_AsUTF8AndSize(name, &length)
        size += 20 + length + (0 if value is None else PyBytes_GET_SIZE(value))
        count += 1
    packed = PyBytes_FromStringAndSize(NULL, size)
    at = felice_put_varint(<uint8_t*>PyBytes_AS_STRING(packed), count)
    for header in headers:
        name, value = <tuple>header
        text = PyUnicode_AsUTF8AndSize(name, &length)
        at = felice_put_varint(at, length)
        memcpy(at, text, length)
        at += length
        if value is None:
            at = felice_put_varint(at, -1)
        else:
            at = felice_put_varint(at, PyBytes_GET_SIZE(value))
            memcpy(at, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value))
            at += PyBytes_GET_SIZE(value)
    return packed[:at - <uint8_t*>PyBytes_AS_STRING(packed)]


def stamp(batch, *, int64_t producer_id, int producer_epoch, int32_t base_sequence):
    """Write a producer's numbers into a sealed batch, a writable buffer, and renew its checksum."""
    cdef Py_buffer view
    cdef uint8_t* data
    PyObject_GetBuffer(batch, &view, PyBUF_WRITABLE)
    try:
        if view.len < HEADER:
            raise CorruptBatch(f"a record batch of {view.len} bytes")
        data = <uint8_t*>view.buf
        felice_put64(data + 43, <uint64_t>producer_id)
        felice_put16(data + 51, <uint16_t>producer_epoch)
        felice_put32(data + 53, <uint32_t>base_sequence)
        with nogil:
            felice_put32(data + 17, felice_crc32c(0, data + 21, view.len - 21))
    finally:
        PyBuffer_Release(&view)


cdef class Parsed:
    """Records found in a buffer, which it keeps."""
    cdef Py_buffer view
    cdef bint held
    cdef record_t* table
    cdef int32_t count

    def __cinit__(self, payload, int64_t count):
        cdef int bad
        PyObject_GetBuffer(payload, &self.view, PyBUF_SIMPLE)
        self.held = True
        # The smallest record has seven bytes: what cannot be there is not made room for.
        if count < 0 or count > self.view.len // 7:
            raise CorruptBatch(f"{count} records in {self.view.len} bytes")
        self.count = <int32_t>count
        self.table = <record_t*>malloc(self.count * sizeof(record_t) + 1)
        if self.table == NULL:
            raise MemoryError
        with nogil:
            bad = parse_records(<const uint8_t*>self.view.buf, 0, self.view.len, self.count, self.table)
        if bad > self.count:
            raise CorruptBatch(f"{self.count} records do not fill their {self.view.len} bytes")
        if bad:
            raise CorruptBatch(f"record {bad - 1} of {self.count} is damaged")

    def __dealloc__(self):
        free(self.table)
        if self.held:
            PyBuffer_Release(&self.view)


def scan(payload, int64_t count):
    """Check that `count` records fill the payload; return their largest timestamp delta and last offset delta.

    Offset deltas must run from 0 without gaps, as in what producers write; -1 stands for a last delta that does not.
    Raises CorruptBatch.
    """
    cdef Parsed parsed = Parsed(payload, count)
    cdef int32_t i
    cdef int64_t latest = 0
    cdef bint contiguous = True
    with nogil:
        for i in range(parsed.count):
            if i == 0 or parsed.table[i].timestamp_delta > latest:
                latest = parsed.table[i].timestamp_delta
            if parsed.table[i].offset_delta != i:
                contiguous = False
    return latest, parsed.count - 1 if contiguous else -1


def decode(payload, int64_t count, int64_t base_offset, int64_t base_timestamp, int64_t append_time=-1):
    """Return the records of a payload, uncompressed and without the batch's header. Raises CorruptBatch."""
    cdef Parsed parsed = Parsed(payload, count)
    cdef const char* base = <const char*>parsed.view.buf
    cdef list found = PyList_New(parsed.count)
    cdef record_t* at
    cdef int32_t i
    cdef object record
    cdef int64_t stamp
    for i in range(parsed.count):
        at = &parsed.table[i]
        if base_offset > <int64_t>0x7FFFFFFFFFFFFFFF - at.offset_delta:
            raise CorruptBatch("an offset beyond 2**63")
        if append_time >= 0:
            stamp = append_time
        else:
            if add_overflows(base_timestamp, at.timestamp_delta):
                raise CorruptBatch("a timestamp beyond 2**63")
            stamp = base_timestamp + at.timestamp_delta
        record = Record(
            base_offset + at.offset_delta,
            stamp,
            None if at.key_len < 0 else PyBytes_FromStringAndSize(base + at.key_at, at.key_len),
            None if at.value_len < 0 else PyBytes_FromStringAndSize(base + at.value_at, at.value_len),
            unpack_headers(<const uint8_t*>base + at.headers_at, at.headers_len),
        )
        Py_INCREF(record)
        PyList_SET_ITEM(found, i, record)
    return found


cdef bint add_overflows(int64_t a, int64_t b) noexcept nogil:
    return (b > 0 and a > <int64_t>0x7FFFFFFFFFFFFFFF - b) or (b < 0 and a < -<int64_t>0x7FFFFFFFFFFFFFFF - 1 - b)


cdef tuple unpack_headers(const uint8_t* at, int32_t size):
    """Return headers whose bytes `parse_records` has checked."""
    cdef const uint8_t* end = at + size
    cdef int64_t count = 0, length = 0
    cdef list found
    if size == 1:
        return ()
    at = felice_get_varint(at, end, &count)
    found = []
    while count > 0:
        at = felice_get_varint(at, end, &length)
        try:
            name = PyUnicode_DecodeUTF8(<const char*>at, length, NULL)
        except UnicodeDecodeError:
            raise CorruptBatch("a header's name is not UTF-8") from None
        at += length
        at = felice_get_varint(at, end, &length)
        if length < 0:
            found.append((name, None))
        else:
            found.append((name, PyBytes_FromStringAndSize(<const char*>at, length)))
            at += length
        count -= 1
    return tuple(found)
