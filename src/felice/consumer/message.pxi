# Messages. Part of `_batch.pyx`.


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
