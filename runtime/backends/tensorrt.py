"""Options of ONNX Runtime's TensorRT provider for a gradient graph: batch sizes, a cache, and TF32."""

from __future__ import annotations

import os
from collections.abc import Mapping

from fluxpath import manifest as contract
from fluxpath.errors import ProviderError
from fluxpath.kernels.gpu import cache_folder
from fluxpath.manifest import Manifest
from fluxpath.runtime.backends.onnx import device_option
from fluxpath.runtime.device.base import Device

TENSORRT = "TensorrtExecutionProvider"


def tensorrt_options(device: Device, sha256: str, manifest: Manifest, most: int) -> dict[str, str]:
    """Provider options for the gradient graph with this SHA-256, in batches of 1 to `most`.

    One engine is built for all of these sizes and tuned for `most`. Otherwise TensorRT would build again, for
    minutes, whenever a batch is larger than all before; it still does where the model leaves sizes open.
    Engines are kept in fluxpath's cache by it, because TensorRT's own name for an engine does not
    distinguish two models of the same architecture.
    """
    folder = str(cache_folder() / "tensorrt" / sha256)
    options = {
        **device_option(device.number),
        "has_user_compute_stream": "1",
        "user_compute_stream": str(device.stream),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": folder,
    }
    shapes = _input_shapes(manifest)
    if shapes is not None:
        for bound, batch in (("min", 1), ("opt", most), ("max", most)):
            options[f"trt_profile_{bound}_shapes"] = ",".join(
                f"{name}:{'x'.join(map(str, (batch, *shape)))}" for name, shape in shapes.items()
            )
    return options


def require_float32(manifest: Manifest, tf32: bool) -> None:
    """Raise ProviderError if a float32 graph would be rounded to TF32 without tf32=True.

    The provider has no option for this; NVIDIA's libraries read an environment variable when loaded.
    """
    if manifest.precision == "float32" and not tf32 and os.environ.get("NVIDIA_TF32_OVERRIDE") != "0":
        raise ProviderError(
            "TensorRT rounds the inputs of float32 convolutions to TF32: set NVIDIA_TF32_OVERRIDE=0 before "
            "the process starts, or pass tf32=True"
        )


def _input_shapes(manifest: Manifest) -> Mapping[str, tuple[int, ...]] | None:
    """The inputs' shapes without the batch; None if a size is open or options cannot hold an input's name."""
    shapes: dict[str, tuple[int | None, ...]] = {manifest.input: manifest.shape, contract.TARGET: ()}
    shapes |= {c.name: c.shape for c in manifest.companions}
    fixed = {name: tuple(d for d in shape if d is not None) for name, shape in shapes.items()}
    whole = all(len(fixed[name]) == len(shape) for name, shape in shapes.items())
    return fixed if whole and not any(set(":,") & set(name) for name in fixed) else None
