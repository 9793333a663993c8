/* A Kafka broker that does no work, so that a benchmark measures the client alone.
 *
 *   nullbroker PARTITIONS [BATCH-FILE RECORDS]
 *
 * prints its port and serves any topic with that many partitions until its standard input closes. Fetch is answered
 * out of one prepared record batch (v2), repeated without end: only the eight bytes of the base offset, which the
 * checksum does not cover, differ from copy to copy, so an answer is a list of pointers and nothing is copied.
 * Produce is acknowledged unread. Each connection has a thread; versions are those that every client knows and
 * whose encoding is plain (no tagged fields).
 */
#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PRODUCE = 0, FETCH = 1, LIST_OFFSETS = 2, METADATA = 3, FIND_COORDINATOR = 10, API_VERSIONS = 18, INIT_PRODUCER_ID = 22 };
enum { MAX_PARTITIONS = 1024, TEXT = 1 << 20, PIECES = 1 << 16, AT_ONCE = 1024, UNSUPPORTED_VERSION = 35 };
static const int64_t END = INT64_C(1) << 40; /* every partition seems to hold that many records */
static const struct { int16_t key, low, high; } VERSIONS[] = {
    {PRODUCE, 0, 7}, {FETCH, 4, 11}, {LIST_OFFSETS, 1, 2}, {METADATA, 0, 7},
    {FIND_COORDINATOR, 0, 0}, {API_VERSIONS, 0, 0}, {INIT_PRODUCER_ID, 0, 1},
};

static int partitions, port;
static uint8_t *batch;
static int64_t batch_size, batch_records;
static _Atomic int64_t ends[MAX_PARTITIONS]; /* offsets handed out by Produce */

static void die(const char *what) { perror(what); exit(1); }

/* A request, read from the front. Trusted: this serves benchmarks, on loopback. */
typedef struct { const uint8_t *at; } reader;
static int8_t get8(reader *r) { return (int8_t)*r->at++; }
static int16_t get16(reader *r) { uint16_t v; memcpy(&v, r->at, 2); r->at += 2; return (int16_t)be16toh(v); }
static int32_t get32(reader *r) { uint32_t v; memcpy(&v, r->at, 4); r->at += 4; return (int32_t)be32toh(v); }
static int64_t get64(reader *r) { uint64_t v; memcpy(&v, r->at, 8); r->at += 8; return (int64_t)be64toh(v); }
static void skip_string(reader *r) { int16_t n = get16(r); r->at += n > 0 ? n : 0; }

/* An answer: pieces of memory, most of them in `text`, others in the prepared batch. */
typedef struct { uint8_t *text; size_t used, open; struct iovec *pieces; int count; int64_t total; } writer;
static void *room(writer *w, size_t n) {
    if (w->used + n > TEXT || w->count + 2 > PIECES) { fputs("nullbroker: answer too large\n", stderr); exit(1); }
    void *at = w->text + w->used;
    w->used += n;
    return at;
}
static void put8(writer *w, int8_t v) { memcpy(room(w, 1), &v, 1); }
static void put16(writer *w, int16_t v) { uint16_t x = htobe16((uint16_t)v); memcpy(room(w, 2), &x, 2); }
static void put32(writer *w, int32_t v) { uint32_t x = htobe32((uint32_t)v); memcpy(room(w, 4), &x, 4); }
static void put64(writer *w, int64_t v) { uint64_t x = htobe64((uint64_t)v); memcpy(room(w, 8), &x, 8); }
static void put_string(writer *w, const char *s) { int16_t n = (int16_t)strlen(s); put16(w, n); memcpy(room(w, n), s, n); }
static void copy_string(writer *w, reader *r) {
    const uint8_t *from = r->at;
    skip_string(r);
    size_t n = (size_t)(r->at - from);
    memcpy(room(w, n), from, n);
}
static void close_piece(writer *w) {
    if (w->used > w->open) w->pieces[w->count++] = (struct iovec){w->text + w->open, w->used - w->open};
    w->total += (int64_t)(w->used - w->open);
    w->open = w->used;
}
static void put_piece(writer *w, void *at, size_t n) {
    close_piece(w);
    w->pieces[w->count++] = (struct iovec){at, n};
    w->total += (int64_t)n;
}

static void api_versions(writer *w, int16_t version) {
    int count = sizeof VERSIONS / sizeof *VERSIONS;
    put16(w, version == 0 ? 0 : UNSUPPORTED_VERSION); /* KIP-511: the table in version 0, and the client asks again */
    put32(w, count);
    for (int i = 0; i < count; i++) { put16(w, VERSIONS[i].key); put16(w, VERSIONS[i].low); put16(w, VERSIONS[i].high); }
}

static void metadata(writer *w, reader *r, int16_t v) {
    int32_t topics = get32(r);
    if (v >= 3) put32(w, 0);
    put32(w, 1); put32(w, 1); put_string(w, "127.0.0.1"); put32(w, port);
    if (v >= 1) put16(w, -1);                 /* rack */
    if (v >= 2) put_string(w, "null");        /* cluster */
    if (v >= 1) put32(w, 1);                  /* controller */
    put32(w, topics < 0 ? 0 : topics);
    for (int32_t t = 0; t < topics; t++) {
        put16(w, 0); copy_string(w, r);
        if (v >= 1) put8(w, 0);
        put32(w, partitions);
        for (int32_t p = 0; p < partitions; p++) {
            put16(w, 0); put32(w, p); put32(w, 1);
            if (v >= 7) put32(w, -1);         /* leader epoch: unknown */
            put32(w, 1); put32(w, 1); put32(w, 1); put32(w, 1); /* replicas: node 1; in sync: node 1 */
            if (v >= 5) put32(w, 0);
        }
    }
}

static void list_offsets(writer *w, reader *r, int16_t v) {
    get32(r);
    if (v >= 2) { get8(r); put32(w, 0); }
    int32_t topics = get32(r);
    put32(w, topics);
    while (topics-- > 0) {
        copy_string(w, r);
        int32_t n = get32(r);
        put32(w, n);
        while (n-- > 0) {
            put32(w, get32(r)); put16(w, 0); put64(w, -1);
            put64(w, get64(r) == -1 ? END : 0);
        }
    }
}

static void put_records(writer *w, int64_t offset, int64_t limit) {
    int64_t count = limit / batch_size ? limit / batch_size : 1; /* KIP-74: the first batch always comes whole */
    int64_t base = offset - offset % batch_records;
    put32(w, (int32_t)(count * batch_size));
    for (; count > 0; count--, base += batch_records) {
        put64(w, base);
        put_piece(w, batch + 8, (size_t)batch_size - 8);
    }
}

static void fetch(writer *w, reader *r, int16_t v) {
    r->at += 12; /* replica, max wait, min bytes */
    int64_t left = get32(r);
    get8(r);
    put32(w, 0);
    if (v >= 7) { r->at += 8; put16(w, 0); put32(w, 0); } /* session 0: there are none */
    int32_t topics = get32(r);
    put32(w, topics);
    while (topics-- > 0) {
        copy_string(w, r);
        int32_t n = get32(r);
        put32(w, n);
        while (n-- > 0) {
            put32(w, get32(r));
            if (v >= 9) get32(r);
            int64_t offset = get64(r);
            if (v >= 5) get64(r);
            int64_t limit = get32(r);
            put16(w, 0); put64(w, END); put64(w, END);
            if (v >= 5) put64(w, 0);
            put32(w, -1);                     /* no aborted transactions */
            if (v >= 11) put32(w, -1);        /* no preferred replica */
            if (left <= 0) { put32(w, 0); continue; }
            limit = limit < left ? limit : left;
            put_records(w, offset, limit);
            left -= limit;
        }
    }
}

/* Gives whether an answer is wanted. */
static int produce(writer *w, reader *r, int16_t v) {
    if (v >= 3) skip_string(r);
    int16_t acks = get16(r);
    get32(r);
    int32_t topics = get32(r);
    put32(w, topics);
    while (topics-- > 0) {
        copy_string(w, r);
        int32_t n = get32(r);
        put32(w, n);
        while (n-- > 0) {
            int32_t partition = get32(r), size = get32(r), records = 1;
            if (size > 61) { reader count = {r->at + 57}; records = get32(&count); }
            r->at += size;
            put32(w, partition); put16(w, 0);
            put64(w, atomic_fetch_add(&ends[partition % MAX_PARTITIONS], records));
            if (v >= 2) put64(w, -1);
            if (v >= 5) put64(w, 0);
        }
    }
    if (v >= 1) put32(w, 0);
    return acks != 0;
}

static int answer(writer *w, const uint8_t *frame) {
    reader r = {frame};
    int16_t key = get16(&r), version = get16(&r);
    int32_t correlation = get32(&r);
    skip_string(&r);
    *w = (writer){.text = w->text, .pieces = w->pieces};
    put32(w, 0); /* the size, known at the end */
    put32(w, correlation);
    int wanted = 1;
    switch (key) {
    case PRODUCE: wanted = produce(w, &r, version); break;
    case FETCH: fetch(w, &r, version); break;
    case LIST_OFFSETS: list_offsets(w, &r, version); break;
    case METADATA: metadata(w, &r, version); break;
    case FIND_COORDINATOR: put16(w, 0); put32(w, 1); put_string(w, "127.0.0.1"); put32(w, port); break;
    case API_VERSIONS: api_versions(w, version); break;
    case INIT_PRODUCER_ID: put32(w, 0); put16(w, 0); put64(w, 4711); put16(w, 0); break;
    default: return -1;
    }
    close_piece(w);
    uint32_t size = htobe32((uint32_t)(w->total - 4));
    memcpy(w->text, &size, 4);
    return wanted;
}

static int read_all(int fd, uint8_t *to, size_t n) {
    while (n) {
        ssize_t got = recv(fd, to, n, 0);
        if (got <= 0) return 0;
        to += got; n -= (size_t)got;
    }
    return 1;
}

static int write_all(int fd, struct iovec *piece, int count) {
    while (count) {
        ssize_t sent = writev(fd, piece, count < AT_ONCE ? count : AT_ONCE);
        if (sent < 0) return 0;
        while (count && (size_t)sent >= piece->iov_len) { sent -= (ssize_t)piece->iov_len; piece++; count--; }
        if (count) { piece->iov_base = (uint8_t *)piece->iov_base + sent; piece->iov_len -= (size_t)sent; }
    }
    return 1;
}

static void *serve(void *argument) {
    int fd = (int)(intptr_t)argument, wanted = 0;
    size_t capacity = 1 << 16;
    uint8_t *frame = malloc(capacity), prefix[4];
    writer w = {.text = malloc(TEXT), .pieces = malloc(PIECES * sizeof(struct iovec))};
    if (!frame || !w.text || !w.pieces) die("malloc");
    while (wanted >= 0 && read_all(fd, prefix, 4)) {
        reader r = {prefix};
        size_t size = (size_t)get32(&r);
        if (size > capacity && !(frame = realloc(frame, capacity = size))) die("realloc");
        if (!read_all(fd, frame, size)) break;
        wanted = answer(&w, frame);
        if (wanted > 0 && !write_all(fd, w.pieces, w.count)) break;
    }
    close(fd); free(frame); free(w.text); free(w.pieces);
    return NULL;
}

static void *until_stdin_closes(void *unused) {
    (void)unused;
    char byte;
    while (read(0, &byte, 1) > 0) {}
    exit(0);
}

int main(int count, char **arguments) {
    partitions = count > 1 ? atoi(arguments[1]) : 4;
    if (count > 3) {
        FILE *file = fopen(arguments[2], "rb");
        if (!file) die(arguments[2]);
        fseek(file, 0, SEEK_END);
        batch_size = ftell(file);
        rewind(file);
        batch = malloc((size_t)batch_size);
        if (!batch || fread(batch, 1, (size_t)batch_size, file) != (size_t)batch_size) die("reading the batch");
        batch_records = atoll(arguments[3]);
    }
    signal(SIGPIPE, SIG_IGN); /* a client that leaves in the middle of an answer is no failure */
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 64)) die("listen");
    getsockname(listener, (struct sockaddr *)&address, &length);
    port = ntohs(address.sin_port);
    printf("127.0.0.1:%d\n", port);
    fflush(stdout);
    pthread_t thread;
    pthread_create(&thread, NULL, until_stdin_closes, NULL);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0) die("accept");
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd)) die("thread");
        pthread_detach(thread);
    }
}
