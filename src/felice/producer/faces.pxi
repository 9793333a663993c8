# The two faces' `send`. Part of `_accumulator.pyx`.


cdef class SyncFace:
    """A producer as threads see it: the core behind a `send` that costs no frame of Python."""

    def __init__(self, Accumulator core):
        self._core = core

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    def send(self, topic, value=None, *, key=None, headers=None, partition=None, timestamp_ms=None):
        """Accept one record; wait for room in the buffer where there is none. Returns its Delivery.

        `headers` is a series of (str, bytes or None), `timestamp_ms` milliseconds since 1970 (now, if not given).
        Without `partition` it is chosen by the key, or the record joins the batch that is being filled. Raises
        BufferFull when there is no room within `buffer_timeout`, RecordTooLarge, UsageError for values of a wrong
        type or range, ClosedError and ForkedError; nothing was accepted then.
        """
        if self._core.direct:
            taken = self._core.c_offer(topic, value, key, headers, partition, timestamp_ms)
            if type(taken) is Delivery:
                return taken
        return self._core._send_slowly(topic, value, key, headers, partition, timestamp_ms)


cdef class AsyncFace:
    """A producer as coroutines see it: the core behind a compiled coroutine."""

    def __init__(self, Accumulator core):
        self._core = core

    @classmethod
    def __class_getitem__(cls, item):
        return cls

    async def send(self, topic, value=None, *, key=None, headers=None, partition=None, timestamp_ms=None):
        """Accept one record; wait for room in the buffer where there is none. Returns its Delivery, to be awaited.

        `headers` is a series of (str, bytes or None), `timestamp_ms` milliseconds since 1970 (now, if not given).
        Without `partition` it is chosen by the key, or the record joins the batch that is being filled. Raises
        BufferFull when there is no room within `buffer_timeout`, RecordTooLarge, UsageError for values of a wrong
        type or range, ClosedError and ForkedError; nothing was accepted then. Cancelling the delivery's await does
        not cancel the record.
        """
        if self._core.direct:
            taken = self._core.c_offer(topic, value, key, headers, partition, timestamp_ms)
            if type(taken) is Delivery:
                return taken
        return await self._core._send_slowly_async(topic, value, key, headers, partition, timestamp_ms)
