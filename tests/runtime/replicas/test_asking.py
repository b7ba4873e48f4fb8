"""What is prepared here, and that the way to a process is another's."""

from __future__ import annotations

import models
import numpy as np
import pytest

from fluxpath.artifact import read_manifest
from fluxpath.errors import InputError
from fluxpath.runtime import NeFLAG
from fluxpath.runtime.replicas.asking import Asking


class Noted(Asking):
    def _asked(self, what, given, weight, read):
        self.noted = what, given, weight
        raise InterruptedError


def test_what_is_asked(graph):
    asking = Noted(read_manifest(graph("smooth")), (1, 6, 6), "digest", 8)
    with pytest.raises(InterruptedError):
        asking.submit(models.images("smooth", 3), method=NeFLAG(n=4), top=2)
    what, given, weight = asking.noted
    assert what == "submit" and weight == 12 and given["top"] == 2 and given["images"].shape == (3, 1, 6, 6)
    with pytest.raises(InputError, match="must have"):
        asking.submit(np.zeros((1, 2, 3), np.float32))
