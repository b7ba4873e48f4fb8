"""The sides that run the gradient graph: fluxpath, and OpenVINO."""

from __future__ import annotations

from typing import Any

import numpy as np

from fluxpath import archive
from fluxpath.bench.clock import outside_graph
from fluxpath.bench.work import Explained, Facts, Floats, Integers, LeftOut, Setup, Slots, Work
from fluxpath.companions import fillers_for
from fluxpath.manifest import GRADIENT, SCALE, TARGET
from fluxpath.runtime import DeepLIFT, Explainer, Saliency
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.opening import open_session
from fluxpath.runtime.lanes import Fresh
from fluxpath.runtime.preparation.sizes import companion_shapes


class FluxpathSide:
    """fluxpath as a user has it: an explainer for each number of slots, and the bare graph for a step."""

    def __init__(self, setup: Setup) -> None:
        self._setup, self._images = setup, setup.pixels()
        self._step = Step(setup)
        self._explainers: dict[Slots, Explainer] = {}

    def warm(self, work: Work) -> None:
        """One gradient at each image."""
        if work.method is None:
            self.explain(work)
        else:
            deeplift = self._setup.manifest.rules == "deeplift"
            self._attributed(work, DeepLIFT() if deeplift else Saliency())

    def explain(self, work: Work) -> Explained:
        """The attributions; steps of walks."""
        if work.method is None:
            return self._step(self._taken(work), self._setup.targets[work.first : work.last])[0], None
        result = self._attributed(work, work.method)
        return result.values, result.steps.astype(np.int64)

    def facts(self, work: Work) -> Facts:
        """Evaluations an image, and the share of the time outside the graph."""
        if work.method is None:
            return Facts(1.0, None)
        explainer = self._explainer(work.slots)
        self.warm(work)
        before = explainer.stats().lanes
        outside = outside_graph(explainer, lambda: self.explain(work), 5)
        if self._setup.device != "cpu":  # the graph was timed by itself, too
            before = explainer.stats().lanes
            self.explain(work)
        return Facts((explainer.stats().lanes - before) / work.count, outside, explainer.slots)

    def close(self) -> None:
        """Ends the engines' threads."""
        for explainer in self._explainers.values():
            explainer.close()

    def _explainer(self, slots: Slots) -> Explainer:
        if slots not in self._explainers:
            s, shape = self._setup, self._images.shape[1:]
            self._explainers[slots] = Explainer(
                s.graph, device=s.device, slots=slots, threads=s.threads, shape=shape, trust=s.trust
            )
        return self._explainers[slots]

    def _attributed(self, work: Work, method: Any) -> Any:
        images, targets = self._taken(work), self._setup.targets[work.first : work.last]
        inputs = fillers(self._setup, images)
        return self._explainer(work.slots).attribute(images, targets, method, inputs=inputs)

    def _taken(self, work: Work) -> Floats:
        """The images; moved, each pixel is its neighbour in float32, towards the middle of all."""
        images: Floats = np.ascontiguousarray(self._images[work.first : work.last])
        if work.moved:
            images = np.nextafter(images, (images.min() + images.max()) / 2)
        return images


class Step:
    """One evaluation of the gradient graph in fluxpath's own session, without the engine."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._opened: tuple[Any, Any] | None = None

    def __call__(self, images: Floats, targets: Integers) -> tuple[Floats, Integers, Floats]:
        """The derivative at each image, the predicted classes, and the scores of the targets."""
        session, lanes = self._fitting(images)
        rows = fillers(self._setup, images)
        lanes.fill(
            [
                Fresh(k, x.reshape(-1), int(t), companions={name: given[k] for name, given in rows.items()})
                for k, (x, t) in enumerate(zip(images, targets, strict=True))
            ]
        )
        session.run(n := len(images))
        gradient, scale = np.asarray(lanes.gradient[:n]), np.asarray(lanes.scale[:n])
        values = (gradient * scale[:, None]).reshape(images.shape)
        return values, np.array(lanes.label[:n]), np.array(lanes.score[:n])

    def _fitting(self, images: Floats) -> tuple[Any, Any]:
        """The session, and lanes for at least so many images."""
        setup, shape = self._setup, images.shape[1:]
        if self._opened is None or self._opened[1].slots < len(images):
            options = Options(device=setup.device, threads=setup.threads, trust=setup.trust)
            session = open_session(setup.graph, options) if self._opened is None else self._opened[0]
            lanes = session.make_lanes(len(images), shape, companion_shapes(setup.manifest, shape))
            session.bind(lanes)
            self._opened = session, lanes
        return self._opened


class OpenVinoSide:
    """The same file in OpenVINO, in float32: one evaluation, as it has no engine for whole methods."""

    def __init__(self, setup: Setup) -> None:
        if setup.graph.suffix == archive.SUFFIX:
            raise LeftOut("the file is TorchScript, which OpenVINO does not run")
        try:
            import openvino
        except ImportError:
            raise LeftOut("openvino is not installed") from None
        self._setup, self._images = setup, setup.pixels()
        # By default it computes in bfloat16 where the CPU has instructions for it.
        settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": setup.threads}
        self._compiled = openvino.Core().compile_model(str(setup.graph), "CPU", settings)

    def warm(self, work: Work) -> None:
        """The same."""
        self.explain(work)

    def explain(self, work: Work) -> Explained:
        """The derivative at each image."""
        part = slice(work.first, work.last)
        images = np.ascontiguousarray(self._images[part])
        given = {self._setup.manifest.input: images, TARGET: self._setup.targets[part]}
        found = self._compiled(given | fillers(self._setup, images))
        scale = found[SCALE].reshape(-1, *[1] * (images.ndim - 1))
        return np.asarray(found[GRADIENT] * scale, np.float32), None


def fillers(setup: Setup, images: Floats) -> dict[str, Any]:
    """What the model's further inputs are given."""
    sizes = [given for d, given in zip(setup.manifest.shape, images.shape[1:], strict=True) if d is None]
    return dict(fillers_for(setup.manifest, len(images), *sizes[:1]))


def predicted(setup: Setup) -> tuple[Integers, Floats]:
    """The classes that the model gives the images, and their scores; a few images at a time."""
    step, images = Step(setup), setup.pixels()
    none = np.full(len(images), -1, np.int64)
    parts = [slice(first, first + 4) for first in range(0, len(images), 4)]
    found = [step(images[part], none[part])[1:] for part in parts]
    labels, scores = (np.concatenate(column) for column in zip(*found, strict=True))
    return labels, scores
