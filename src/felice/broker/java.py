"""How Java hashes and writes some things, where what Kafka does depends on it."""

import ipaddress

__all__ = ["address_text", "bucket", "long", "slot", "string_hash", "table_size", "uuid_hash"]


def string_hash(text: str) -> int:
    """Return what `String.hashCode` gives, as 32 bits without a sign."""
    value = 0
    units = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(units[::2], units[1::2], strict=True):
        value = (value * 31 + (high << 8 | low)) & 0xFFFFFFFF
    return value


def uuid_hash(uuid: bytes) -> int:
    """Return what Kafka's `Uuid.hashCode` gives, as 32 bits without a sign."""
    high, low = int.from_bytes(uuid[:8]), int.from_bytes(uuid[8:])
    return (high ^ low) >> 32 ^ (high ^ low) & 0xFFFFFFFF


def slot(hashed: int, size: int) -> int:
    """Return in which of so many buckets, a power of two, a `HashMap` keeps a key with this hash."""
    return (hashed ^ hashed >> 16) & (size - 1)


def bucket(text: str, size: int = 16) -> int:
    """Return where a `HashMap` with so many buckets, a power of two, keeps a text: it gives its keys in that order."""
    return slot(string_hash(text), size)


def table_size(keys: int, least: int = 16) -> int:
    """Return how many buckets a `HashMap` has for so many keys, made for no less than `least` of them."""
    size = 1
    while size < least or keys > size * 3 // 4:
        size *= 2
    return size


def long(value: int) -> int:
    """Return a sum of two numbers as a `long` has it, which begins anew at its other end where it is too large."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def address_text(host: str) -> str:
    """Return an address as `InetAddress.toString` writes it: without a name, and IPv6 in full."""
    if ":" not in host:
        return f"/{host}"
    numbers = ipaddress.IPv6Address(host.partition("%")[0]).exploded.split(":")
    return "/" + ":".join(f"{int(number, 16):x}" for number in numbers)
