"""kserve's clients, unmodified. They need other packages than the tests, and a process of their own.

FLUXPATH_KSERVE names the folder in which they are: `pip install --target FOLDER "kserve[...]"`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import models
import numpy as np
import pytest

from fluxpath.runtime import NeFLAG

FOLDER = os.environ.get("FLUXPATH_KSERVE", "")


@pytest.mark.skipif(not Path(FOLDER, "kserve").exists(), reason="kserve is not in FLUXPATH_KSERVE")
def test_kserves_clients(server, smooth, tmp_path):
    images = models.images("smooth", 3)
    np.save(tmp_path / "images.npy", images)
    script = Path(__file__).with_name("kserve_client.py")
    subprocess.run(
        [sys.executable, "-S", script, server.http, server.grpc, tmp_path],
        check=True, timeout=120, env={**os.environ, "PYTHONPATH": FOLDER},
    )  # fmt: skip
    expected = smooth.attribute(images, method=NeFLAG(n=2)).values
    for name in ("rest0", "rest1", "grpc0", "grpc1", "v1"):
        found = np.load(tmp_path / f"{name}.npy").reshape(expected.shape)
        np.testing.assert_array_equal(found, expected, name)
