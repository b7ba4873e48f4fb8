"""The very points where fluxpath's samples of an image begin, for other loops to begin there too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from fluxpath.runtime import Method, NeFLAG, SmoothGrad
from fluxpath.runtime.lanes import Fresh, Lanes


def starts(method: Method | None, low: float, high: float) -> Callable[[Tensor], Tensor] | None:
    """From an image [*shape] to the points [n, *shape]; None for methods without noise.

    The noise depends on the method's seed, the sample and the element alone.
    """
    if not isinstance(method, NeFLAG | SmoothGrad):
        return None

    def around(image: Tensor) -> Tensor:
        shape, numbers = tuple(image.shape), np.arange(method.lanes, dtype=np.int32)
        lanes = Lanes(method.lanes, shape, low, high)
        flat = np.ascontiguousarray(image.detach().float().cpu().numpy().reshape(-1))
        lanes.fill([Fresh(int(k), flat, 0, int(k)) for k in numbers])
        method.start(lanes, numbers, numbers)
        return torch.from_numpy(lanes.point.reshape(-1, *shape)).to(image)

    return around
