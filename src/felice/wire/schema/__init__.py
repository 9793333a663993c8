"""Our notation for Kafka's messages, compiled to straight-line code at first use.

`notation` has the fields, `message` the classes that hold them, `data` those of messages without an API. `reader` and
`writer` generate, for one message in one version, the source of one function without calls for its fields, and compile
it; `diagnosis` names the field when a value cannot be written. These three are imported when the first message is read
or written.
"""

from felice.wire.primitives import ZERO_UUID
from felice.wire.schema.data import Data, RecordKey, RecordValue, unpack_key
from felice.wire.schema.message import Buffer, Message, Request, Response, Struct
from felice.wire.schema.notation import (
    INT32_MAX,
    INT32_MIN,
    INT64_MAX,
    Alias,
    Field,
    Versions,
    array,
    binary,
    boolean,
    float64,
    int8,
    int16,
    int32,
    int64,
    records,
    string,
    struct,
    uint16,
    uint32,
    uuid,
)

__all__ = [
    "INT32_MAX",
    "INT32_MIN",
    "INT64_MAX",
    "ZERO_UUID",
    "Alias",
    "Buffer",
    "Data",
    "Field",
    "Message",
    "RecordKey",
    "RecordValue",
    "Request",
    "Response",
    "Struct",
    "Versions",
    "array",
    "binary",
    "boolean",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "records",
    "string",
    "struct",
    "uint16",
    "uint32",
    "unpack_key",
    "uuid",
]
