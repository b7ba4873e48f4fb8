"""A CUDA library with machine code for one kind of GPU alone: the rest becomes zeros, which compress.

Each fat binary in the library's section .nv_fatbin keeps its place and its entries for that architecture,
moved to its front; the size in its header becomes theirs.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MAGIC, SECTION = 0xBA55ED50, b".nv_fatbin"
ELF = 2
"""The kind of an entry that is machine code; others are PTX."""


class Container(NamedTuple):
    """One fat binary: where it begins, and the bytes of its header and of its entries."""

    begin: int
    header: int
    size: int


def prune(path: Path, architecture: int) -> tuple[int, int]:
    """Zero in place all code but that for sm_`architecture`; the bytes that are kept, and of the section.

    A fat binary without such code is left whole: it is of no use on that GPU either way. Raises ValueError
    if no code in the library is for it.
    """
    blob = bytearray(path.read_bytes())
    offset, length = _section(blob)
    view = bytes(blob[offset : offset + length])
    kept = found = 0
    for container in _containers(view):
        start = container.begin + container.header
        wanted = b"".join(
            view[begin:end]
            for kind, arch, begin, end in _entries(view, container)
            if (kind, arch) == (ELF, architecture)
        )
        found += len(wanted)
        wanted = wanted or view[start : start + container.size]
        kept += len(wanted)
        struct.pack_into("<Q", blob, offset + container.begin + 8, len(wanted))
        blob[offset + start : offset + start + container.size] = wanted.ljust(container.size, b"\0")
    if not found:
        raise ValueError(f"{path.name} has no machine code for sm_{architecture}")
    path.write_bytes(blob)
    return kept, length


def _section(blob: bytearray) -> tuple[int, int]:
    """Offset and length, from the section headers of a 64-bit ELF file."""
    (at,) = struct.unpack_from("<Q", blob, 40)
    size, count, names = struct.unpack_from("<HHH", blob, 58)
    rows = [struct.unpack_from("<IIQQQQ", blob, at + k * size) for k in range(count)]
    strings = rows[names][4]
    for row in rows:
        begin = strings + row[0]
        if blob[begin : blob.index(b"\0", begin)] == SECTION:
            return row[4], row[5]
    raise ValueError(f"no section {SECTION.decode()}")


def _containers(view: bytes) -> Iterator[Container]:
    at = 0
    while at + 16 <= len(view):
        magic, _, header, size = struct.unpack_from("<IHHQ", view, at)
        if magic != MAGIC:
            at += 8
            continue
        yield Container(at, header, size)
        at += header + size


def _entries(view: bytes, container: Container) -> Iterator[tuple[int, int, int, int]]:
    """Kind, architecture, begin and end of each, its own header included."""
    at = container.begin + container.header
    end = at + container.size
    while at < end:
        kind, _, header, size = struct.unpack_from("<HHIQ", view, at)
        (arch,) = struct.unpack_from("<I", view, at + 28)
        yield kind, arch, at, at + header + size
        at += header + size
