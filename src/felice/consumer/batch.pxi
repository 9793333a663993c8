# Tables of records, and batches, which are stretches of them. Part of `_batch.pyx`.


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
        """Bytes of all keys, values and headers."""
        cdef Py_ssize_t i
        cdef int64_t total = 0
        for i in range(self.start, self.stop):
            total += _size(self.base_of(i), &self.table.rows[i])
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
        if not len(self):
            return "<Batch of no records>"
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
        made.size_ = _size(segment.base, row)
        if row.headers_len > 1:
            made.headers_ = new_bytes(<const char*>segment.base + row.headers_at, row.headers_len)
        return 0


cdef inline int32_t _size(const uint8_t* base, const record_t* row) noexcept:
    """Return the bytes of a record's key, value and headers."""
    cdef int32_t size = max(row.key_len, 0) + max(row.value_len, 0)
    return size + _headers_size(base + row.headers_at, row.headers_len) if row.headers_len > 1 else size


cdef int32_t _headers_size(const uint8_t* at, Py_ssize_t room) noexcept:
    """Return the bytes of the keys and values of headers, which are known to hold."""
    cdef const uint8_t* end = at + room
    cdef int64_t count = 0, length = 0
    cdef int32_t size = 0
    at = _varint(at, end, &count)
    count *= 2
    while at != NULL and count > 0:
        at = _varint(at, end, &length)
        if length > 0:
            size += <int32_t>length
            at += length
        count -= 1
    return size


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
