"""Which codecs there are, and the way in to each.

gzip comes from the standard library, the others from `cramjam`; all of them let the GIL go. What packed data say of
their own size is never believed: a buffer is made for what the blocks that are really there can hold at most, and
never for more than the limit.
"""

import struct
import zlib
from enum import IntEnum
from typing import Any, TypeAlias

import cramjam

from felice.errors import ConfigError, CorruptBatch, DecompressionLimit
from felice.wire.compression import gzip, lz4, snappy, zstd

__all__ = ["Codec", "Unpacked", "compress", "decompress"]

Unpacked: TypeAlias = bytes | bytearray | memoryview


class Codec(IntEnum):
    """How a batch's records are compressed, as its attributes say (zstd: KIP-110)."""

    NONE = 0
    GZIP = 1
    SNAPPY = 2
    LZ4 = 3
    ZSTD = 4

    @classmethod
    def parse(cls, name: "str | int | Codec") -> "Codec":
        """Return the codec of a name (`lz4`) or number."""
        try:
            return cls[name.upper()] if isinstance(name, str) else cls(name)
        except (KeyError, ValueError):
            known = ", ".join(codec.name.lower() for codec in cls)
            raise ConfigError(f"there is no codec {name!r}", hint=f"there is {known}") from None

    @property
    def levels(self) -> range:
        """The levels that may be asked for (KIP-390); empty where the codec has none."""
        return _LEVELS.get(self, range(0))


_LEVELS = {Codec.GZIP: range(1, 10), Codec.LZ4: range(1, 13), Codec.ZSTD: range(1, 23)}
# As Kafka's own producer, but lz4's fastest level: slower ones are a sixth as fast for a few percent.
_DEFAULTS = {Codec.GZIP: 6, Codec.LZ4: 1, Codec.ZSTD: 3}


def compress(codec: Codec, data: Any, level: int | None = None) -> bytes:
    """Return the data compressed; `level` is the codec's default where it is not given.

    Raises ConfigError for a level that the codec does not have.
    """
    if level is None:
        level = _DEFAULTS.get(codec, 0)
    elif type(level) is not int or level not in codec.levels:
        levels = codec.levels
        known = f"{codec.name.lower()} has levels {levels[0]} to {levels[-1]}" if levels else "it has none"
        raise ConfigError(f"level {level!r} of {codec.name.lower()}", hint=known)
    match codec:
        case Codec.NONE:
            return bytes(data)
        case Codec.GZIP:
            return gzip.pack(data, level)
        case Codec.SNAPPY:
            return snappy.pack(data)
        case Codec.LZ4:
            return lz4.pack(data, level)
        case Codec.ZSTD:
            return zstd.pack(data, level)


def decompress(codec: Codec, data: Any, limit: int) -> Unpacked:
    """Return the data unpacked.

    Raises DecompressionLimit where that would be more than `limit` bytes, and CorruptBatch where they are damaged.
    """
    view = memoryview(data).cast("B")
    try:
        match codec:
            case Codec.NONE:
                return view
            case Codec.GZIP:
                unpacked: Unpacked | None = gzip.unpack(view, limit)
            case Codec.SNAPPY:
                unpacked = snappy.unpack(view, limit)
            case Codec.LZ4:
                unpacked = lz4.unpack(view, limit)
            case Codec.ZSTD:
                unpacked = zstd.unpack(view, limit)
    except (IndexError, struct.error):
        raise CorruptBatch(f"the {codec.name.lower()} data of a batch end too early") from None
    except (cramjam.DecompressionError, zlib.error, ValueError) as error:
        raise CorruptBatch(f"damaged {codec.name.lower()} data: {error}") from None
    except MemoryError:
        unpacked = None
    if unpacked is None:
        raise DecompressionLimit(
            f"a batch unpacks to more than {limit} bytes", hint="raise max_batch_bytes if it is meant to"
        )
    return unpacked
