"""Torch in place on a device's memory."""

from __future__ import annotations

import numpy as np
import torch
import torch_modules
from cuda_on_cpu import HostDevice
from sessions import compare

from fluxpath.export import gradient_from_torch
from fluxpath.runtime import AGI, MFABA, Explainer
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.torchscript_device import TorchScriptDeviceSession


def test_torch_works_in_place_on_the_devices_memory(tmp_path):
    path = tmp_path / "model.grad.pt"
    gradient_from_torch(torch_modules.made(torch_modules.tiny), torch.zeros(1, 6), path)
    session = TorchScriptDeviceSession(path, HostDevice(), Options(threads=1))
    images = np.random.default_rng(0).random((3, *session.manifest.shape)).astype(np.float32)
    with Explainer.from_session(session, slots=2) as there, Explainer(path, threads=1) as here:
        for method in (MFABA(), AGI(classes=2, choice="top", max_steps=4)):
            compare(there.attribute(images, method=method), here.attribute(images, method=method))
