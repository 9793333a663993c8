# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True, nonecheck=False
# cython: initializedcheck=False, auto_pickle=False, binding=False, embedsignature=True, embedsignature.format=clinic
"""Record batches v2 to and from bytes (compiled; `_records_plain` is its twin).

`benchmarks/codec.py` pays for this module. The format's rules are in KIP-98; the C headers beside it hold the loops,
which know neither Python nor its memory.
"""

cimport cython
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITABLE,
    Py_buffer,
    PyBuffer_FillInfo,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.tuple cimport PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from felice.errors import CorruptBatch, RecordTooLarge, UsageError
from felice.wire.compression import Codec, compress
from felice.wire.record import Record

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

cdef extern from "crc32c.h" nogil:
    void felice_crc_init()
    uint32_t felice_crc32c(uint32_t crc, const void* data, size_t size)
    uint32_t felice_crc_plain(uint32_t crc, const uint8_t* data, size_t size)

cdef extern from "record.h" nogil:
    void felice_put16(uint8_t* at, uint16_t v)
    void felice_put32(uint8_t* at, uint32_t v)
    void felice_put64(uint8_t* at, uint64_t v)
    uint32_t felice_get32(const uint8_t* at)
    uint8_t* felice_put_varint(uint8_t* at, int64_t v)
    const uint8_t* felice_get_varint32(const uint8_t* at, const uint8_t* end, int64_t* out)
    uint8_t* felice_put_record(uint8_t* at, int64_t timestamp_delta, int32_t offset_delta, const char* key,
                               Py_ssize_t key_len, const char* value, Py_ssize_t value_len, const char* headers,
                               Py_ssize_t headers_len)
    const uint8_t* felice_get_length(const uint8_t* at, const uint8_t* end, int64_t* length)
    const uint8_t* felice_get_record(const uint8_t* base, const uint8_t* at, const uint8_t* limit, record_t* out)
    uint32_t felice_murmur2(const uint8_t* data, size_t size)

cdef enum:
    RECORD_OVERHEAD = 36     # the most that a record's own fields take
    SMALLEST_RECORD = 7      # bytes of a record without key, value and headers
    MOST_BYTES = 0x7FFFFFFF  # a batch's length has 31 bits
    # From this many bytes on, work is worth letting the GIL go: to get it back from a thread that computes can take
    # five milliseconds, in which far more than this is done.
    LARGE = 65536

cdef int64_t MOST_16 = 0x7FFF, MOST_32 = 0x7FFFFFFF, MOST_64 = 0x7FFFFFFFFFFFFFFF

felice_crc_init()


cdef uint32_t murmur2_c(const uint8_t* data, size_t size) noexcept nogil:
    return felice_murmur2(data, size)


cdef uint32_t crc32c_c(const void* data, size_t size) noexcept nogil:
    return felice_crc32c(0, data, size)


cdef int parse_records(
    const uint8_t* base, Py_ssize_t start, Py_ssize_t end, int32_t count, record_t* out
) noexcept nogil:
    """Find `count` records that fill base[start:end] exactly; 0 when they do, or the first bad one's number + 1."""
    cdef const uint8_t* at = base + start
    cdef const uint8_t* limit = base + end
    cdef int32_t i
    if end > MOST_BYTES:
        return 1
    for i in range(count):
        at = felice_get_record(base, at, limit, &out[i])
        if at == NULL:
            return i + 1
    return 0 if at == limit else count + 1


cdef int64_t within(object number, int64_t least, int64_t most, str name) except? -2:
    """Return a whole number between two bounds, which are part of the range."""
    cdef int overflow = 0
    if not isinstance(number, int):
        raise TypeError(f"{name} is a number, not {type(number).__name__}")
    cdef int64_t found = PyLong_AsLongLongAndOverflow(number, &overflow)
    if overflow or found < least or found > most:
        raise UsageError(f"{name}={number} is not between {least} and {most}")
    return found


def crc32c(data, value=0):
    """Return the CRC-32C of a buffer, going on from `value`."""
    cdef Py_buffer view
    cdef uint32_t crc = <uint32_t>within(value, 0, 0xFFFFFFFF, "value")
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        if view.len < LARGE:
            crc = felice_crc32c(crc, view.buf, view.len)
        else:
            with nogil:
                crc = felice_crc32c(crc, view.buf, view.len)
    finally:
        PyBuffer_Release(&view)
    return crc


def _crc32c_by_tables(data, uint32_t value=0):
    """Return what `crc32c` does where the processor has no instruction for it; for tests."""
    cdef Py_buffer view
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    cdef uint32_t crc = ~felice_crc_plain(~value, <const uint8_t*>view.buf, view.len)
    PyBuffer_Release(&view)
    return crc


def murmur2(bytes key not None):
    """Return the hash by which the Java client chooses a key's partition, as an unsigned number of 32 bits."""
    return felice_murmur2(<const uint8_t*>PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))


@cython.no_gc
@cython.final
cdef class BatchBuilder:
    """BatchBuilder(capacity=16384)
--

    A record batch under construction: each record is encoded straight into the bytes that will be sent.

    Its bytes are read through the buffer protocol; while somebody does, it can neither grow nor be used anew.
    """

    def __cinit__(self, Py_ssize_t capacity=16384):
        if capacity > MOST_BYTES:
            raise UsageError(f"a record batch has less than 2 GiB, not {capacity} bytes")
        if capacity < HEADER_BYTES + RECORD_OVERHEAD:
            capacity = HEADER_BYTES + RECORD_OVERHEAD
        self.data = <uint8_t*>malloc(capacity)
        if self.data == NULL:
            raise MemoryError
        self.capacity = capacity
        self.size = HEADER_BYTES
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
        if value_len > 0:
            need += value_len
        if key_len > 0:
            need += key_len
        if need > self.capacity or self.exports:
            if need > MOST_BYTES:
                raise RecordTooLarge("a record batch has less than 2 GiB")
            self.c_grow(min(max(need, self.capacity * 2), MOST_BYTES))
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

    def append(self, value, key=None, headers=None, timestamp_ms=-1):
        """Add a record and return its index in the batch.

        Value and key are bytes-like or None, headers a series of (str, bytes or None), and the timestamp milliseconds
        since 1970, or -1 for none. Raises TypeError and UsageError for values that cannot be, BufferError while
        somebody reads the batch, and RecordTooLarge where it would grow beyond 2 GiB; the batch is then as it was.
        """
        cdef Py_buffer value_view, key_view
        cdef const char* value_at = NULL
        cdef const char* key_at = NULL
        cdef Py_ssize_t value_len = -1, key_len = -1
        cdef bint value_held = False, key_held = False
        # Made first: from here to the end no Python code runs, so that nobody can append in between.
        cdef bytes packed = pack_headers(headers)
        if packed is None:
            raise TypeError("headers are a series of (str, bytes or None)")
        # Below the largest number, so that the difference of two timestamps is never beyond 64 bits.
        cdef int64_t timestamp = within(timestamp_ms, -1, MOST_64 - 1, "timestamp_ms")
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
                              timestamp)
        finally:
            if value_held:
                PyBuffer_Release(&value_view)
            if key_held:
                PyBuffer_Release(&key_view)

    cdef void c_seal(self, int64_t producer_id, int producer_epoch, int32_t base_sequence) noexcept nogil:
        put_header(self.data, self.size, 0, -1, 0, self.count, self.base_timestamp, self.max_timestamp, producer_id,
                   producer_epoch, base_sequence)

    def seal(self, *, codec=0, level=None, base_offset=0, leader_epoch=-1, producer_id=-1, producer_epoch=-1,
             base_sequence=-1, bint transactional=False, bint control=False, timestamp_type=0):
        """Write the header and the checksum, and return the batch as a writable buffer.

        It is the builder's own memory where there is no codec, and new memory otherwise. Sealing again writes the
        header anew. Raises UsageError for numbers that do not fit their fields and where there is no record, and
        ConfigError for a codec or a level that there is not.
        """
        cdef int64_t first_offset = within(base_offset, 0, MOST_64, "base_offset")
        cdef int64_t epoch = within(leader_epoch, -1, MOST_32, "leader_epoch")
        cdef int64_t producer = within(producer_id, -1, MOST_64, "producer_id")
        cdef int64_t generation = within(producer_epoch, -1, MOST_16, "producer_epoch")
        cdef int64_t sequence = within(base_sequence, -1, MOST_32, "base_sequence")
        cdef int attributes = Codec.parse(codec)
        cdef int32_t count
        cdef int64_t base_timestamp, max_timestamp
        cdef Py_buffer view
        if not self.count:
            raise UsageError("a batch without records cannot be sealed")
        # While this view is held nobody can append, also where the GIL is let go to compress.
        sealed = memoryview(self)
        count, base_timestamp, max_timestamp = self.count, self.base_timestamp, self.max_timestamp
        if attributes or level is not None:
            with sealed, sealed[HEADER_BYTES:] as plain:
                packed = bytearray(HEADER_BYTES)
                packed += compress(Codec.parse(codec), plain, level)
            sealed = memoryview(packed)
        attributes |= (8 if timestamp_type else 0) | (16 if transactional else 0) | (32 if control else 0)
        PyObject_GetBuffer(sealed, &view, PyBUF_WRITABLE)
        try:
            if view.len < LARGE:
                put_header(<uint8_t*>view.buf, view.len, first_offset, <int32_t>epoch, attributes, count,
                           base_timestamp, max_timestamp, producer, <int>generation, <int32_t>sequence)
            else:
                with nogil:
                    put_header(<uint8_t*>view.buf, view.len, first_offset, <int32_t>epoch, attributes, count,
                               base_timestamp, max_timestamp, producer, <int>generation, <int32_t>sequence)
        finally:
            PyBuffer_Release(&view)
        return sealed

    def reset(self):
        """Empty the batch, for reuse of its memory. Raises BufferError while somebody reads it."""
        if self.exports:
            raise BufferError("the batch's bytes are in use")
        self.size = HEADER_BYTES
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
    cdef Py_ssize_t size = 10, length = 0, count = 0
    cdef bint text_only = True
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
        try:
            PyUnicode_AsUTF8AndSize(name, &length)
        except UnicodeEncodeError:
            text_only = False
            length = 0
        size += 20 + length + (0 if value is None else PyBytes_GET_SIZE(value))
        count += 1
    if not text_only:
        return pack_surrogates(headers)
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


cdef bytes pack_surrogates(headers):
    """Return the bytes of headers of which some have names that are no text, as a reader gives them."""
    cdef list pieces = [varint(len(headers))]
    for name, value in headers:
        try:
            text = name.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            raise UsageError(f"the name of a header, {name!r}, is not Unicode") from None
        pieces += [varint(len(text)), text, varint(-1 if value is None else len(value)), value or b""]
    return b"".join(pieces)


cdef bytes varint(int64_t number):
    cdef uint8_t room[10]
    return PyBytes_FromStringAndSize(<char*>room, felice_put_varint(room, number) - room)


def stamp(batch, *, producer_id, producer_epoch, base_sequence):
    """Write a producer's numbers into one sealed batch, a writable buffer, and renew its checksum.

    Raises UsageError for what is not one whole batch and for numbers that do not fit, and BufferError for a buffer that
    cannot be written to.
    """
    cdef int64_t producer = within(producer_id, -1, MOST_64, "producer_id")
    cdef int64_t generation = within(producer_epoch, -1, MOST_16, "producer_epoch")
    cdef int64_t sequence = within(base_sequence, -1, MOST_32, "base_sequence")
    cdef Py_buffer view
    cdef uint8_t* data
    PyObject_GetBuffer(batch, &view, PyBUF_WRITABLE)
    try:
        data = <uint8_t*>view.buf
        if view.len < HEADER_BYTES or felice_get32(data + 8) != <uint64_t>view.len - 12:
            raise UsageError(f"{view.len} bytes that are not one whole record batch")
        felice_put64(data + 43, <uint64_t>producer)
        felice_put16(data + 51, <uint16_t>generation)
        felice_put32(data + 53, <uint32_t>sequence)
        if view.len < LARGE:
            felice_put32(data + 17, felice_crc32c(0, data + 21, view.len - 21))
        else:
            with nogil:
                felice_put32(data + 17, felice_crc32c(0, data + 21, view.len - 21))
    finally:
        PyBuffer_Release(&view)


cdef struct span_t:
    int64_t found               # records that make sense
    int64_t earliest, latest    # timestamp deltas
    Py_ssize_t left             # bytes behind the last record; -1 where one makes no sense
    bint contiguous             # whether the offset deltas are 0, 1, 2...


def scan(payload, int64_t count, int64_t base_timestamp=0):
    """Check that `count` records fill the payload; return their largest timestamp delta and last offset delta.

    Offset deltas must run from 0 without gaps, as in what producers write; -1 stands for a last delta that does not.
    Raises CorruptBatch.
    """
    cdef Py_buffer view
    cdef span_t span
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        check_count(count, view.len)
        if view.len < LARGE:
            span = measure(<const uint8_t*>view.buf, view.len, count)
        else:
            with nogil:
                span = measure(<const uint8_t*>view.buf, view.len, count)
        check_end(span.found, count, span.left, view.len)
    finally:
        PyBuffer_Release(&view)
    if add_overflows(base_timestamp, span.latest) or add_overflows(base_timestamp, span.earliest):
        raise CorruptBatch(f"a timestamp of {count} records is beyond 64 bits")
    return span.latest, count - 1 if span.contiguous else -1


cdef span_t measure(const uint8_t* base, Py_ssize_t size, int64_t count) noexcept nogil:
    """Go through records without keeping them."""
    cdef span_t span = span_t(0, 0, 0, size, True)
    cdef const uint8_t* at = base
    cdef const uint8_t* limit = base + size
    cdef record_t row
    while span.found < count:
        at = felice_get_record(base, at, limit, &row)
        if at == NULL:
            span.left = -1
            return span
        if span.found == 0:
            span.earliest = span.latest = row.timestamp_delta
        elif row.timestamp_delta > span.latest:
            span.latest = row.timestamp_delta
        elif row.timestamp_delta < span.earliest:
            span.earliest = row.timestamp_delta
        if row.offset_delta != span.found:
            span.contiguous = False
        span.found += 1
    span.left = limit - at
    return span


# What a named tuple's own constructor calls; that one is written in Python and costs more than all the rest.
cdef object make_tuple = tuple.__new__


def decode(payload, header):
    """Return the records of a payload, unpacked and without the batch's header, which is the other argument.

    Raises CorruptBatch.
    """
    cdef Py_buffer view
    cdef const uint8_t* base
    cdef const uint8_t* at
    cdef const uint8_t* limit
    cdef record_t row
    cdef int64_t index = 0, count = header.count, previous = -1, last = header.last_offset_delta
    cdef int64_t base_offset = header.base_offset, base_timestamp = header.base_timestamp
    cdef bint appended = header.timestamp_type
    cdef int64_t timestamp = header.max_timestamp
    cdef list found = []
    PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
    try:
        check_count(count, view.len)
        base = at = <const uint8_t*>view.buf
        limit = base + view.len
        while index < count:
            at = felice_get_record(base, at, limit, &row)
            if at == NULL:
                break
            if row.offset_delta <= previous or row.offset_delta > last:
                raise CorruptBatch(
                    f"record {index} of {count} is out of order: offset delta {row.offset_delta}"
                    f" behind {previous} and up to {last}"
                )
            previous = row.offset_delta
            if not appended:
                if add_overflows(base_timestamp, row.timestamp_delta):
                    raise CorruptBatch(f"a timestamp of {count} records is beyond 64 bits")
                timestamp = base_timestamp + row.timestamp_delta
            found.append(make_tuple(Record, (
                base_offset + row.offset_delta,
                timestamp,
                field(base + row.key_at, row.key_len),
                field(base + row.value_at, row.value_len),
                unpack_headers(base + row.headers_at, row.headers_len) if row.headers_len > 1 else (),
            )))
            index += 1
        check_end(index, count, limit - at if at != NULL else -1, view.len)
    finally:
        PyBuffer_Release(&view)
    return found


cdef int check_count(int64_t count, Py_ssize_t size) except -1:
    """Refuse more records than there can be, before anything is done for them."""
    if count < 0 or count > size // SMALLEST_RECORD or size > MOST_BYTES:
        raise CorruptBatch(f"{count} records in {size} bytes")
    return 0


cdef int check_end(int64_t index, int64_t count, Py_ssize_t left, Py_ssize_t size) except -1:
    """Refuse records of which one makes no sense (then `left` is -1), or that leave bytes behind them."""
    if left < 0:
        raise CorruptBatch(f"record {index} of {count} is damaged")
    if left > 0:
        raise CorruptBatch(f"{count} records do not fill their {size} bytes")
    return 0


cdef inline object field(const uint8_t* at, int32_t size):
    return None if size < 0 else PyBytes_FromStringAndSize(<const char*>at, size)


cdef bint add_overflows(int64_t a, int64_t b) noexcept nogil:
    return (b > 0 and a > <int64_t>0x7FFFFFFFFFFFFFFF - b) or (b < 0 and a < -<int64_t>0x7FFFFFFFFFFFFFFF - 1 - b)


cdef tuple unpack_headers(const uint8_t* at, int32_t size):
    """Return a record's headers, with surrogates in names that are not UTF-8.

    They were checked before, but their buffer may be one that somebody writes to meanwhile: so each bound is asked for
    again.
    """
    cdef const uint8_t* end = at + size
    cdef int64_t count = 0, length = 0
    cdef list found = []
    at = felice_get_varint32(at, end, &count)
    while at != NULL and count > 0:
        at = felice_get_length(at, end, &length)
        if at == NULL or length < 0:
            break
        name = PyUnicode_DecodeUTF8(<const char*>at, length, "surrogateescape")
        at = felice_get_length(at + length, end, &length)
        if at == NULL:
            break
        found.append((name, field(at, <int32_t>length)))
        if length > 0:
            at += length
        count -= 1
    if at == NULL or count != 0:
        raise CorruptBatch("the headers of a record make no sense")
    return tuple(found)
