"""The names of images that earlier runs wrote, in 16 bytes each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fluxpath.runtime.bulk.sinks.parquet import Parquet


def digest(names: Iterable[str]) -> bytes:
    """16 bytes that stand for names in this order."""
    whole = hashlib.blake2b(digest_size=16)
    for name in names:
        data = name.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.digest()


class Names:
    """A set of names. digests: uint64 [2, n], sorted by the first row, which can lie in shared memory."""

    def __init__(self, digests: npt.NDArray[np.uint64]) -> None:
        self.digests = digests

    @classmethod
    def of(cls, names: Iterable[str]) -> Names:
        """The set of these."""
        data = b"".join(digest([name]) for name in names)
        pairs = np.frombuffer(data, np.uint64).reshape(-1, 2)
        return cls(np.ascontiguousarray(pairs[np.argsort(pairs[:, 0])].T))

    @classmethod
    def written(cls, files: Iterable[Path]) -> Names:
        """The images in these Parquet files."""
        return cls.of(row.name for file in files for row in Parquet().read(file)[1])

    def __len__(self) -> int:
        return int(self.digests.shape[1])

    def __contains__(self, name: str) -> bool:
        first, second = np.frombuffer(digest([name]), np.uint64)
        begin = np.searchsorted(self.digests[0], first, "left")
        end = np.searchsorted(self.digests[0], first, "right")
        return bool((self.digests[1, begin:end] == second).any())
