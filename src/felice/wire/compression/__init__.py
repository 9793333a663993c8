"""The codecs of record batches: packing, and unpacking that never makes more than it was allowed to."""

from felice.wire.compression.codec import Codec, Unpacked, compress, decompress

__all__ = ["Codec", "Unpacked", "compress", "decompress"]
