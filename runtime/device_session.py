"""Runs a gradient graph on ONNX Runtime in place on a device's arrays."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from fluxpath import manifest as contract
from fluxpath.errors import FluxpathError
from fluxpath.runtime.device import Device
from fluxpath.runtime.device_lanes import DeviceLanes
from fluxpath.runtime.half import ONNX_TYPES
from fluxpath.runtime.lanes import Lanes
from fluxpath.runtime.session import OnnxSession


class OnnxDeviceSession(OnnxSession):
    """See `OnnxSession`; the graph's inputs and outputs are the lanes' own memory on the device.

    The execution provider works on the device's stream, so that the kernels follow without a wait.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        device: Device,
        providers: Sequence[str],
        threads: int | None = None,
    ) -> None:
        self.device = device
        options: list[dict[str, str]] = [{} for _ in providers]
        if device.kind == "cuda":
            options[0] = {"device_id": str(device.number), "user_compute_stream": str(device.stream)}
        super().__init__(path, providers, threads, options)
        self._options = self._ort.RunOptions()
        if device.kind == "cuda":
            # What reads the outputs is on the same stream, in order.
            self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def bind(self, lanes: Lanes) -> None:
        """Use these arrays, which must be on the session's device."""
        if not isinstance(lanes, DeviceLanes) or lanes.device is not self.device:
            raise FluxpathError("the lanes are not on the session's device: use DeviceLanes on it")
        self._lanes = lanes
        self._bindings.clear()

    def _execute(self, binding: Any, count: int) -> None:
        lanes = self._lanes
        assert isinstance(lanes, DeviceLanes)
        lanes.changed()
        self._session.run_with_iobinding(binding, self._options)

    def _bound(self, count: int) -> Any:
        lanes: Any = self._lanes
        place = (self.device.kind, self.device.number)
        binding = self._session.io_binding()
        image = (count, *lanes.shape)
        inputs = {
            self.manifest.input: (lanes.point, image),
            contract.TARGET: (lanes.target, (count,)),
            **{name: (rows, (count, *rows.shape[1:])) for name, rows in lanes.companions.items()},
        }
        outputs: dict[str, tuple[Any, tuple[int, ...]]] = {
            contract.SCALE: (lanes.scale, (count,)),
            contract.SCORE: (lanes.score, (count,)),
            contract.LABEL: (lanes.label, (count,)),
        }
        if lanes.output is not None:
            first = self._session.get_outputs()[0].name
            outputs[first] = (lanes.output, (count, lanes.output.shape[1]))
        for name, (array, shape) in inputs.items():
            binding.bind_input(name, *place, np.dtype(array.dtype).type, shape, array.address)
        element = ONNX_TYPES[self.manifest.gradient]
        binding.bind_output(contract.GRADIENT, *place, element, image, lanes.gradient.address)
        for name, (array, shape) in outputs.items():
            binding.bind_output(name, *place, np.dtype(array.dtype).type, shape, array.address)
        return binding
