"""Protobuf's wire format, as far as a file must be understood before a library parses it."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, EIGHT_BYTES, COUNTED, FOUR_BYTES = 0, 1, 2, 5
"""How a field is encoded."""

MOST_FIELDS = 10_000
"""More fields than this has no message that an export writes, apart from lists of nodes and tensors."""


def fields(data: bytes, at: int, end: int, most: int | None = None) -> Iterator[tuple[int, int, int, int]]:
    """Number, encoding, start and end of each field of a message; IndexError, ValueError if it is none.

    most: ValueError beyond so many fields.
    """
    count = 0
    while at < end:
        tag, at = varint(data, at)
        kind, size = tag & 7, 0
        if kind == COUNTED:
            size, at = varint(data, at)
        elif kind == VARINT:
            size = varint(data, at)[1] - at
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            size = 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError("not a protobuf message")
        if size > end - at:
            raise ValueError("a field is longer than its message")
        count += 1
        # Parsers cut a tag to 32 bits, and would take it for another.
        if tag >= 1 << 32 or (most is not None and count > most):
            raise ValueError("not a message that an export writes")
        yield tag >> 3, kind, at, at + size
        at += size


def varint(data: bytes, at: int) -> tuple[int, int]:
    """The number that begins at `at`, seven bits per byte, and where it ends."""
    number = 0
    for place in range(10):
        byte = data[at + place]
        number |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("a number has more than ten bytes")


def varint_bytes(number: int) -> bytes:
    """A number as `varint` reads it."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)
