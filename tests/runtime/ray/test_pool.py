"""How many processes there are, and how many images a part has."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.ray.pool import Pool


def pool(resources, cpus=1.0, gpus=0.0):
    made = Pool.__new__(Pool)
    made._ray = SimpleNamespace(cluster_resources=lambda: resources)
    made.workers = made._room(cpus, gpus)
    return made


@pytest.mark.parametrize(
    ("cpus", "gpus", "workers"), [(1, 0, 16), (3, 0, 5), (0.5, 0, 32), (1, 0.5, 8), (0, 1, 4)]
)
def test_as_many_as_there_is_room_for(cpus, gpus, workers):
    assert pool({"CPU": 16.0, "GPU": 4.0}, cpus, gpus).workers == workers


def test_no_room():
    with pytest.raises(InputError, match="has 16 CPUs and 0 GPUs, and a process is to have 1 and 1"):
        pool({"CPU": 16.0}, 1, 1)


def test_all_have_work():
    """And no part is larger than its bytes allow."""
    made = pool({"CPU": 4.0})
    assert made.share(300, 400, None) == 19 and made.share(10**6, 400, None) == 400
    assert made.share(3, 400, None) == 1 and made.share(300, 400, 50) == 50 and made.share(0, 400, None) == 1
