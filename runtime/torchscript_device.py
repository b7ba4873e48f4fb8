"""Runs a gradient graph in TorchScript on tensors that are the lanes' own memory on a device."""

from __future__ import annotations

import contextlib
import os
from typing import Any

import numpy as np

from fluxpath import manifest as contract
from fluxpath.errors import FluxpathError
from fluxpath.runtime.device import Device
from fluxpath.runtime.device_lanes import DeviceLanes
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.torchscript import TorchScriptSession


class TorchScriptDeviceSession(TorchScriptSession):
    """See `TorchScriptSession`; nothing is copied to the host, and torch works on the device's stream."""

    def __init__(self, path: str | os.PathLike[str], device: Device, threads: int | None = None) -> None:
        name = "cpu" if device.kind == "cpu" else f"{device.kind}:{device.number}"
        super().__init__(path, name, threads)
        self.device = device

    def bind(self, lanes: Lanes) -> None:
        """Use these arrays, which must be on the session's device."""
        if not isinstance(lanes, DeviceLanes) or lanes.device is not self.device:
            raise FluxpathError("the lanes are not on the session's device: use DeviceLanes on it")
        self._lanes = lanes
        image = (lanes.slots, *lanes.shape)
        self._inputs = [
            self._tensor(lanes.point, image),
            self._tensor(lanes.target),
            *(self._tensor(rows) for rows in lanes.companions.values()),
        ]
        self._results = {
            contract.GRADIENT: self._gradient(lanes.gradient, image),
            contract.SCALE: self._tensor(lanes.scale),
            contract.SCORE: self._tensor(lanes.score),
            contract.LABEL: self._tensor(lanes.label),
        }

    def run(self, count: int) -> None:
        """Evaluate the gradient graph on the first `count` slots."""
        self._lanes.changed()
        with self._on_stream():
            super().run(count)

    def _on_stream(self) -> Any:
        if self.device.kind != "cuda":
            return contextlib.nullcontext()
        stream = self._torch.cuda.ExternalStream(self.device.stream, device=self._device)
        return self._torch.cuda.stream(stream)

    def _gradient(self, array: Any, shape: tuple[int, ...]) -> Any:
        if self.manifest.gradient == "float32":
            return self._tensor(array, shape)
        # The array interface has no name for bfloat16: its bits go as integers.
        bits = self.device.view(array.address, shape, np.dtype(np.int16))
        return self._torch.as_tensor(bits, device=self._device).view(
            getattr(self._torch, self.manifest.gradient)
        )

    def _tensor(self, array: Any, shape: tuple[int, ...] | None = None) -> Any:
        view = self.device.view(array.address, shape or array.shape, array.dtype)
        return self._torch.as_tensor(view, device=self._device)
