"""The standard normals of `kernels/include/fluxpath/philox.h`, so that a file's noise is the runtime's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_WORD = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def normals(seed: int, lanes: int, features: int) -> npt.NDArray[np.float32]:
    """float32 [lanes, features], each a function of the seed, its lane and its place alone."""
    blocks = -(-features // 4)
    lane, block = np.meshgrid(
        np.arange(lanes, dtype=np.uint64), np.arange(blocks, dtype=np.uint64), indexing="ij"
    )
    words = _philox([block & _WORD, block >> _HALF, lane, np.zeros_like(lane)], seed)
    pairs = [*_normal_pair(words[0], words[1]), *_normal_pair(words[2], words[3])]
    return np.stack(pairs, axis=2).reshape(lanes, 4 * blocks)[:, :features]


def _philox(counter: list[npt.NDArray[np.uint64]], seed: int) -> list[npt.NDArray[np.uint64]]:
    """Philox4x32-10 (Salmon et al., SC 2011); 32-bit words held in 64 bits."""
    a, b, c, d = counter
    key0, key1 = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        left, right = np.uint64(0xD2511F53) * a, np.uint64(0xCD9E8D57) * c
        a, b = (right >> _HALF) ^ b ^ np.uint64(key0), right & _WORD
        c, d = (left >> _HALF) ^ d ^ np.uint64(key1), left & _WORD
        key0, key1 = (key0 + 0x9E3779B9) & 0xFFFFFFFF, (key1 + 0xBB67AE85) & 0xFFFFFFFF
    return [a, b, c, d]


def _normal_pair(
    a: npt.NDArray[np.uint64], b: npt.NDArray[np.uint64]
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Box and Muller (1958), in float32 as the kernels do it."""
    unit, half = np.float32(2.0**-32), np.float32(0.5)
    radius = np.sqrt(np.float32(-2.0) * np.log((a.astype(np.float32) + half) * unit))
    angle = np.float32(2 * np.pi) * ((b.astype(np.float32) + half) * unit)
    return radius * np.cos(angle), radius * np.sin(angle)
