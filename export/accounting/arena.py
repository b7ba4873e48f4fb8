"""ONNX Runtime's arena: which addresses its allocations get, and so how much memory a run ever touches."""

from __future__ import annotations

from dataclasses import dataclass

ALIGNMENT = 256
FIRST_REGION = 2**20
LARGEST_STEP = 2**30
MOST_LEFT = 2**27
"""A chunk is cut in two where it is at least twice the request, or more than this would lie idle in it."""


@dataclass
class Chunk:
    """Bytes from `start` on in one region; `used` or free."""

    region: int
    start: int
    size: int
    used: bool


class Arena:
    """Takes and returns memory as ONNX Runtime's best-fit arena does with its default settings.

    It asks the system for regions of 1, 2, 4, ... MiB, which it never gives back; only pages that were
    written count as used by the process.
    """

    def __init__(self) -> None:
        self._chunks: list[list[Chunk]] = []
        self._next = FIRST_REGION
        self._touched: list[int] = []

    @property
    def touched(self) -> int:
        """Bytes that were handed out at some time: up to the highest address of each region."""
        return sum(self._touched)

    @property
    def reserved(self) -> int:
        """Bytes of all regions, touched or not."""
        return sum(chunk.size for region in self._chunks for chunk in region)

    def take(self, size: int) -> Chunk:
        """A chunk for `size` bytes."""
        wanted = max(ALIGNMENT, -(-size // ALIGNMENT) * ALIGNMENT)
        free = (c for region in self._chunks for c in region if not c.used and c.size >= wanted)
        chunk = min(free, key=lambda c: (c.size, c.region, c.start), default=None) or self._extended(wanted)
        if chunk.size >= 2 * wanted or chunk.size - wanted >= MOST_LEFT:
            region = self._chunks[chunk.region]
            rest = Chunk(chunk.region, chunk.start + wanted, chunk.size - wanted, False)
            region.insert(region.index(chunk) + 1, rest)
            chunk.size = wanted
        chunk.used = True
        self._touched[chunk.region] = max(self._touched[chunk.region], chunk.start + wanted)
        return chunk

    def give(self, chunk: Chunk) -> None:
        """Return a chunk, which grows together with free ones beside it."""
        chunk.used = False
        region = self._chunks[chunk.region]
        at = region.index(chunk)
        for left, right in ((at, at + 1), (at - 1, at)):
            if left >= 0 and right < len(region) and not region[left].used and not region[right].used:
                region[left].size += region[right].size
                del region[right]

    def _extended(self, wanted: int) -> Chunk:
        """A new region's one chunk."""
        grown = wanted > self._next
        while wanted > self._next:
            self._next *= 2
        chunk = Chunk(len(self._chunks), 0, self._next, False)
        self._chunks.append([chunk])
        self._touched.append(0)
        if not grown:
            self._next = min(2 * self._next, max(LARGEST_STEP, self._next))
        return chunk
