# From bytes to tables. Part of `_batch.pyx`.


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
    cdef header_t header                # of the batch at `at`, once it is known to be good
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
                if not self.end_transaction():
                    if table.count:
                        break
                    self.refuse(BAD_RECORD)
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
        cdef Stop stop
        cdef header_t* header = &self.header
        while True:
            stop = read_header(self.data + self.at, self.end - self.at, header)
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
                stop = self.index(table, self.data + self.at, HEADER_BYTES, header.whole)
                if stop != GOOD:
                    return stop
            self.pass_by()

    cdef inline void pass_by(self) noexcept nogil:
        """Move past the batch. Also where nothing of it is handed out: else the position would never move on."""
        self.at += self.header.whole
        self.decoded = self.header.last_offset + 1
        self.leader_epoch = self.header.leader_epoch

    cdef Stop index(self, Table table, const uint8_t* base, Py_ssize_t start, Py_ssize_t end) noexcept nogil:
        """Add the batch's records to the table, but for those below the position."""
        cdef const header_t* header = &self.header
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

    cdef bint end_transaction(self) except -1:
        """Read a control batch: an abort marker ends the aborted transaction of its producer. False for nonsense."""
        cdef header_t* header = &self.header
        cdef record_t row
        cdef const uint8_t* batch = self.data + self.at
        if (
            header.count != 1 or header.attributes & CODEC
            or parse_records(batch, HEADER_BYTES, header.whole, 1, &row) != 0 or row.key_len < 4
        ):
            return False
        # Also the transactions of which nothing but the marker is left to read.
        self.abort_up_to(header.last_offset)
        if get16(batch + row.key_at + 2) == 0:
            self.aborted.discard(header.producer_id)
        self.pass_by()
        return True

    cdef int abort_up_to(self, int64_t offset) except -1:
        """Take it that the aborted transactions that begin up to an offset have begun."""
        while self.upcoming < len(self.aborting) and self.aborting[self.upcoming][0] <= offset:
            self.aborted.add(self.aborting[self.upcoming][1])
            self.upcoming += 1
        return 0

    cdef int settle(self) except -1:
        """Look up whether a transactional batch was aborted, and if so, move past it."""
        cdef header_t* header = &self.header
        self.abort_up_to(header.last_offset)
        if header.producer_id in self.aborted:
            self.pass_by()
        else:
            self.settled = True
        return 0

    cdef bint unpack(self, Table table) except -1:
        """Add a compressed batch's records; False where it makes no sense and there are others to hand out first."""
        cdef header_t* header = &self.header
        cdef Stop stop
        cdef Pin pin
        try:
            if header.attributes & CODEC > ZSTD:
                raise CorruptBatch(f"a batch in codec {header.attributes & CODEC}, which does not exist")
            unpacked = decompress(
                Codec(header.attributes & CODEC), self.view[self.at + HEADER_BYTES:self.at + header.whole], self.limit
            )
        except WireError:
            if table.count:
                return False
            self.position = self.decoded
            self.failed_next = header.last_offset + 1
            raise
        pin = Pin(unpacked)
        with nogil:
            stop = self.index(table, <const uint8_t*>pin.view.buf, 0, pin.view.len)
        if stop != GOOD:
            if not table.count:
                self.refuse(stop)
            return False
        table.pins.append(pin)
        table.unpacked += pin.view.len
        self.pass_by()
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
    if length < HEADER_BYTES - 12:
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
