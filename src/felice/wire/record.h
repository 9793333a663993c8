/* Records of a batch v2, to and from bytes (KIP-98). Nothing here knows Python or allocates. */
#ifndef FELICE_RECORD_H
#define FELICE_RECORD_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    int32_t value_at, value_len; /* a length of -1 is null */
    int32_t key_at, key_len;
    int32_t headers_at, headers_len;
    int32_t offset_delta;
    int64_t timestamp_delta;
} record_t;

static inline void felice_put16(uint8_t *at, uint16_t v) { at[0] = (uint8_t)(v >> 8); at[1] = (uint8_t)v; }
static inline void felice_put32(uint8_t *at, uint32_t v) {
    felice_put16(at, (uint16_t)(v >> 16));
    felice_put16(at + 2, (uint16_t)v);
}
static inline void felice_put64(uint8_t *at, uint64_t v) {
    felice_put32(at, (uint32_t)(v >> 32));
    felice_put32(at + 4, (uint32_t)v);
}
static inline uint16_t felice_get16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t felice_get32(const uint8_t *at) {
    return (uint32_t)felice_get16(at) << 16 | felice_get16(at + 2);
}
static inline uint64_t felice_get64(const uint8_t *at) {
    return (uint64_t)felice_get32(at) << 32 | felice_get32(at + 4);
}

static inline uint64_t felice_zigzag(int64_t v) { return (uint64_t)v << 1 ^ (uint64_t)(v >> 63); }
static inline int64_t felice_unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }
static inline int felice_varint_size(uint64_t v) {
    int size = 1;
    while (v >= 0x80) { v >>= 7; size++; }
    return size;
}
static inline uint8_t *felice_put_varint(uint8_t *at, int64_t signed_v) {
    uint64_t v = felice_zigzag(signed_v);
    while (v >= 0x80) { *at++ = (uint8_t)(v | 0x80); v >>= 7; }
    *at++ = (uint8_t)v;
    return at;
}
/* The next varint of 64 bits, or of 32: ten or five bytes at most, as in Kafka. NULL where there is none. */
static const uint8_t *felice_get_long_varint(const uint8_t *at, const uint8_t *end, int64_t *out) {
    uint64_t v = 0;
    for (int shift = 0; at < end && shift < 64; shift += 7) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) return NULL;
        v |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) { *out = felice_unzigzag(v); return at; }
    }
    return NULL;
}
static const uint8_t *felice_get_long_varint32(const uint8_t *at, const uint8_t *end, int64_t *out) {
    at = felice_get_long_varint(at, end - at > 5 ? at + 5 : end, out);
    return at && *out >= INT32_MIN && *out <= INT32_MAX ? at : NULL;
}
/* Nearly all have one byte or two. */
static inline const uint8_t *felice_get_short_varint(const uint8_t *at, const uint8_t *end, int64_t *out) {
    if (at < end && at[0] < 0x80) { *out = felice_unzigzag(at[0]); return at + 1; }
    if (end - at > 1 && at[1] < 0x80) {
        *out = felice_unzigzag((uint64_t)(at[0] & 0x7F) | (uint64_t)at[1] << 7);
        return at + 2;
    }
    return NULL;
}
static inline const uint8_t *felice_get_varint(const uint8_t *at, const uint8_t *end, int64_t *out) {
    const uint8_t *next = felice_get_short_varint(at, end, out);
    return next ? next : felice_get_long_varint(at, end, out);
}
static inline const uint8_t *felice_get_varint32(const uint8_t *at, const uint8_t *end, int64_t *out) {
    const uint8_t *next = felice_get_short_varint(at, end, out);
    return next ? next : felice_get_long_varint32(at, end, out);
}

/* Writes a record; the headers are bytes made before, their count in front. */
static inline uint8_t *felice_put_record(uint8_t *at, int64_t timestamp_delta, int32_t offset_delta, const char *key,
                                         ptrdiff_t key_len, const char *value, ptrdiff_t value_len,
                                         const char *headers, ptrdiff_t headers_len) {
    int64_t body = 1 + felice_varint_size(felice_zigzag(timestamp_delta)) +
                   felice_varint_size(felice_zigzag(offset_delta)) +
                   felice_varint_size(felice_zigzag(key_len)) + (key_len > 0 ? key_len : 0) +
                   felice_varint_size(felice_zigzag(value_len)) + (value_len > 0 ? value_len : 0) + headers_len;
    at = felice_put_varint(at, body);
    *at++ = 0; /* attributes: none are defined */
    at = felice_put_varint(at, timestamp_delta);
    at = felice_put_varint(at, offset_delta);
    at = felice_put_varint(at, key_len);
    if (key_len > 0) { memcpy(at, key, (size_t)key_len); at += key_len; }
    at = felice_put_varint(at, value_len);
    if (value_len > 0) { memcpy(at, value, (size_t)value_len); at += value_len; }
    if (headers_len == 1) *at++ = *headers; /* most records: no headers, a count of 0 */
    else { memcpy(at, headers, (size_t)headers_len); at += headers_len; }
    return at;
}

/* The length of a field: up to what is left, or -1 for null, which Kafka reads from any negative number. */
static inline const uint8_t *felice_get_length(const uint8_t *at, const uint8_t *end, int64_t *length) {
    at = felice_get_varint32(at, end, length);
    if (!at || *length > end - at) return NULL;
    if (*length < 0) *length = -1;
    return at;
}

/* Reads the record at `at`, which may reach up to `limit`, and returns where the next one begins, or NULL where it
   makes no sense. Places are counted from `base`, which must be less than 2 GiB before `limit`. */
static inline const uint8_t *felice_get_record(const uint8_t *base, const uint8_t *at, const uint8_t *limit,
                                               record_t *out) {
    int64_t length, number;
    const uint8_t *end;
    at = felice_get_varint32(at, limit, &length);
    if (!at || length < 1 || length > limit - at) return NULL;
    end = at + length;
    at++; /* attributes: none are defined */
    if (!(at = felice_get_varint(at, end, &out->timestamp_delta))) return NULL;
    if (!(at = felice_get_varint32(at, end, &number)) || number < 0) return NULL;
    out->offset_delta = (int32_t)number;
    if (!(at = felice_get_length(at, end, &length))) return NULL;
    out->key_len = (int32_t)length;
    out->key_at = (int32_t)(at - base);
    if (length > 0) at += length;
    if (!(at = felice_get_length(at, end, &length))) return NULL;
    out->value_len = (int32_t)length;
    out->value_at = (int32_t)(at - base);
    if (length > 0) at += length;
    out->headers_at = (int32_t)(at - base);
    out->headers_len = (int32_t)(end - at);
    /* A header takes two bytes or more. */
    if (!(at = felice_get_varint32(at, end, &number)) || number < 0 || number > (end - at) / 2) return NULL;
    for (; number > 0; number--) {
        if (!(at = felice_get_varint32(at, end, &length)) || length < 0 || length > end - at) return NULL;
        at += length;
        if (!(at = felice_get_length(at, end, &length))) return NULL;
        if (length > 0) at += length;
    }
    return at == end ? end : NULL;
}

/* The hash of the Java client's default partitioner. */
static inline uint32_t felice_murmur2(const uint8_t *data, size_t size) {
    const uint32_t m = 0x5BD1E995u;
    uint32_t h = 0x9747B28Cu ^ (uint32_t)size;
    for (; size >= 4; data += 4, size -= 4) {
        uint32_t k = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        k *= m; k ^= k >> 24; k *= m;
        h *= m; h ^= k;
    }
    if (size == 3) h ^= (uint32_t)data[2] << 16;
    if (size >= 2) h ^= (uint32_t)data[1] << 8;
    if (size >= 1) { h ^= data[0]; h *= m; }
    h ^= h >> 13; h *= m; h ^= h >> 15;
    return h;
}
#endif
