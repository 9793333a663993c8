/* CRC-32C (Castagnoli), as Kafka's record batches carry it.

   Where the processor has an instruction for it (SSE4.2, asked for at run time; ARMv8, where the compiler may use it),
   three streams are folded side by side, which hides the instruction's latency of three cycles; elsewhere eight bytes
   go through eight tables at a time. The tables are built once, when the module is imported. */
#ifndef FELICE_CRC32C_H
#define FELICE_CRC32C_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FELICE_CRC_POLYNOMIAL 0x82F63B78u
#define FELICE_CRC_BLOCK 1024 /* bytes of each of the three streams */

static uint32_t felice_crc_table[8][256];
static uint32_t felice_crc_shift[4][256]; /* a CRC moved over one block of zeros, byte by byte of the CRC */
static int felice_crc_hardware = 0;

static inline uint32_t felice_crc_plain(uint32_t crc, const uint8_t *data, size_t size) {
    while (size >= 8) {
        uint32_t low = (uint32_t)data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16 | (uint32_t)data[3] << 24;
        low ^= crc;
        crc = felice_crc_table[7][low & 255] ^ felice_crc_table[6][low >> 8 & 255] ^
              felice_crc_table[5][low >> 16 & 255] ^ felice_crc_table[4][low >> 24] ^ felice_crc_table[3][data[4]] ^
              felice_crc_table[2][data[5]] ^ felice_crc_table[1][data[6]] ^ felice_crc_table[0][data[7]];
        data += 8;
        size -= 8;
    }
    while (size--) crc = felice_crc_table[0][(crc ^ *data++) & 255] ^ crc >> 8;
    return crc;
}

#if defined(__x86_64__) && defined(__GNUC__)
#include <nmmintrin.h>
#if defined(__clang_major__) && __clang_major__ >= 14 /* where the instruction is a feature of its own */
#define FELICE_CRC_FAST __attribute__((target("sse4.2,crc32")))
#else
#define FELICE_CRC_FAST __attribute__((target("sse4.2")))
#endif
#define FELICE_CRC_FOUND __builtin_cpu_supports("sse4.2")
#define FELICE_CRC_WORD(crc, word) _mm_crc32_u64(crc, word)
#define FELICE_CRC_BYTE(crc, byte) _mm_crc32_u8((uint32_t)(crc), byte)
#elif defined(__aarch64__) && defined(__ARM_FEATURE_CRC32) && !defined(__AARCH64EB__)
#include <arm_acle.h>
#define FELICE_CRC_FAST
#define FELICE_CRC_FOUND 1
#define FELICE_CRC_WORD(crc, word) __crc32cd((uint32_t)(crc), word)
#define FELICE_CRC_BYTE(crc, byte) __crc32cb((uint32_t)(crc), byte)
#endif

#ifdef FELICE_CRC_FAST

static inline uint32_t felice_crc_over(uint32_t crc) {
    return felice_crc_shift[0][crc & 255] ^ felice_crc_shift[1][crc >> 8 & 255] ^ felice_crc_shift[2][crc >> 16 & 255] ^
           felice_crc_shift[3][crc >> 24];
}

static inline uint64_t felice_crc_load(const uint8_t *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return word;
}

FELICE_CRC_FAST static uint32_t felice_crc_fast(uint32_t crc, const uint8_t *data, size_t size) {
    uint64_t first = crc;
    while (size >= 3 * FELICE_CRC_BLOCK) {
        uint64_t second = 0, third = 0;
        const uint8_t *end = data + FELICE_CRC_BLOCK;
        for (; data < end; data += 8) {
            first = FELICE_CRC_WORD(first, felice_crc_load(data));
            second = FELICE_CRC_WORD(second, felice_crc_load(data + FELICE_CRC_BLOCK));
            third = FELICE_CRC_WORD(third, felice_crc_load(data + 2 * FELICE_CRC_BLOCK));
        }
        first = felice_crc_over((uint32_t)first) ^ second;
        first = felice_crc_over((uint32_t)first) ^ third;
        data += 2 * FELICE_CRC_BLOCK;
        size -= 3 * FELICE_CRC_BLOCK;
    }
    for (; size >= 8; data += 8, size -= 8) first = FELICE_CRC_WORD(first, felice_crc_load(data));
    for (; size; size--) first = FELICE_CRC_BYTE(first, *data++);
    return (uint32_t)first;
}
#endif

static void felice_crc_init(void) {
    for (int byte = 0; byte < 256; byte++) {
        uint32_t crc = (uint32_t)byte;
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ FELICE_CRC_POLYNOMIAL : crc >> 1;
        felice_crc_table[0][byte] = crc;
    }
    for (int byte = 0; byte < 256; byte++)
        for (int k = 1; k < 8; k++)
            felice_crc_table[k][byte] =
                felice_crc_table[0][felice_crc_table[k - 1][byte] & 255] ^ felice_crc_table[k - 1][byte] >> 8;
    for (int k = 0; k < 4; k++)
        for (int byte = 0; byte < 256; byte++) {
            uint32_t crc = (uint32_t)byte << 8 * k;
            for (int zeros = 0; zeros < FELICE_CRC_BLOCK; zeros++) crc = felice_crc_table[0][crc & 255] ^ crc >> 8;
            felice_crc_shift[k][byte] = crc;
        }
#ifdef FELICE_CRC_FAST
    felice_crc_hardware = FELICE_CRC_FOUND;
#endif
}

static uint32_t felice_crc32c(uint32_t crc, const void *data, size_t size) {
    crc = ~crc;
#ifdef FELICE_CRC_FAST
    if (felice_crc_hardware) return ~felice_crc_fast(crc, (const uint8_t *)data, size);
#endif
    return ~felice_crc_plain(crc, (const uint8_t *)data, size);
}
#endif
