"""What several test modules share: the files of the small models, written once a session."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import models
import numpy as np
import onnx
import pytest

from fluxpath.telemetry import disable_telemetry

disable_telemetry()


@pytest.fixture(scope="session")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`graph(name, **options)` is that model of `models.MODELS` with its gradient, exported so."""
    from fluxpath.export import gradient_from_onnx

    folder = tmp_path_factory.mktemp("graphs")
    written: dict[tuple[object, ...], Path] = {}

    def export(name: str, **options: object) -> Path:
        key = (name, *sorted(options.items()))
        if key not in written:
            source = folder / f"{name}.onnx"
            onnx.save(models.MODELS[name](), source)
            written[key] = folder / f"{name}-{len(written)}.grad.onnx"
            gradient_from_onnx(source, written[key], **options)
        return written[key]

    return export


@pytest.fixture(scope="session")
def float64(graph: Callable[..., Path]) -> Callable[[str], models.Float64Gradient]:
    """`float64(name)` is that gradient graph in float64."""
    opened: dict[str, models.Float64Gradient] = {}

    def gradient(name: str) -> models.Float64Gradient:
        if name not in opened:
            opened[name] = models.Float64Gradient(graph(name))
        return opened[name].for_target(None)

    return gradient


@pytest.fixture(scope="module")
def whole(
    graph: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Callable[..., dict[str, np.ndarray]]]:
    """`whole(model, method, **settings)` is that file, opened."""
    from whole_files import opened

    from fluxpath.export import attribution_from_gradient

    folder = tmp_path_factory.mktemp("whole")
    known: dict[tuple[object, ...], Callable[..., dict[str, np.ndarray]]] = {}

    def written(model: str, method: str, **settings: object) -> Callable[..., dict[str, np.ndarray]]:
        key = (model, method, *sorted(settings.items()))
        if key not in known:
            path = folder / f"{len(known)}.onnx"
            attribution_from_gradient(graph(model), path, method=method, settings=settings)
            known[key] = opened(path)
        return known[key]

    return written
