# What the other two compiled modules use of the records'.
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    HEADER_BYTES = 61       # what a batch has in front of its records

cdef extern from "record.h" nogil:
    ctypedef struct record_t:
        int32_t value_at
        int32_t value_len
        int32_t key_at
        int32_t key_len
        int32_t headers_at
        int32_t headers_len
        int32_t offset_delta
        int64_t timestamp_delta


cdef class BatchBuilder:
    cdef uint8_t* data
    cdef readonly Py_ssize_t size
    cdef readonly Py_ssize_t capacity
    cdef readonly int32_t count
    cdef readonly int64_t base_timestamp
    cdef readonly int64_t max_timestamp
    cdef readonly int exports

    cdef int c_grow(self, Py_ssize_t capacity) except -1
    cdef int32_t c_append(self, const char* value, Py_ssize_t value_len, const char* key, Py_ssize_t key_len,
                          int64_t timestamp) except -1
    cdef int32_t c_put(self, const char* value, Py_ssize_t value_len, const char* key, Py_ssize_t key_len,
                       const char* headers, Py_ssize_t headers_len, int64_t timestamp) except -1
    cdef void c_seal(self, int64_t producer_id, int producer_epoch, int32_t base_sequence) noexcept nogil


cdef void seal_builder(void* builder, int64_t producer_id, int producer_epoch, int32_t base_sequence) noexcept nogil
cdef bytes pack_headers(headers)
cdef uint32_t murmur2_c(const uint8_t* data, size_t size) noexcept nogil
cdef uint32_t crc32c_c(const void* data, size_t size) noexcept nogil
cdef int parse_records(
    const uint8_t* base, Py_ssize_t start, Py_ssize_t end, int32_t count, record_t* out
) noexcept nogil
