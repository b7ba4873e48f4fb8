"""Masks in the manner of PAIR's package `saliency`, with an explainer where that has `call_model_function`.

    from fluxpath.runtime.pair import MFABA, VisualizeImageGrayscale
    mask = MFABA().GetSmoothedMask(x_value, explainer, {"target": 3})
    plane = VisualizeImageGrayscale(mask)

PAIR's own classes run on a gradient graph with `call_model_function(explainer)`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import as_array, need_no_levels
from fluxpath.checks import need, number, whole
from fluxpath.making import made_with
from fluxpath.runtime import methods
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.inputs import need_explainer, within_range
from fluxpath.runtime.methods import Method

Values = npt.NDArray[np.float32]
Arguments = Mapping[str, Any] | None

GRADIENTS, OUTPUT = "INPUT_OUTPUT_GRADIENTS", "OUTPUT_LAYER_VALUES"
"""PAIR's names of what it asks a model for."""


class Mask:
    """A method of fluxpath with PAIR's functions; a class of your own derives from it and sets `method`."""

    method: ClassVar[type[Method]]
    fixed: ClassVar[Mapping[str, Any]] = {}
    """Settings that are not the method's defaults."""

    def GetMask(  # noqa: N802 - PAIR's name
        self, x_value: npt.ArrayLike, explainer: Explainer, call_model_args: Arguments = None, **settings: Any
    ) -> Values:
        """The attribution of one image, float32 in its shape.

        x_value: floats in the shape of the model's input, or with its channels last, [h, w, c].
        call_model_args: {"target": a class; None or missing: the predicted one, "inputs": the model's further
            inputs by name, each [1, ...]}. settings: the method's.

        Raises InputError.
        """
        x = _Image(x_value, explainer, call_model_args)
        return x.back(self._explained(x, x.array[None], settings)[0])

    def GetSmoothedMask(  # noqa: N802 - PAIR's name
        self,
        x_value: npt.ArrayLike,
        explainer: Explainer,
        call_model_args: Arguments = None,
        stdev_spread: float = 0.15,
        nsamples: int = 25,
        magnitude: bool = True,
        **settings: Any,
    ) -> Values:
        """The mean over `nsamples` noisy images, of squares if `magnitude`; otherwise as `GetMask`.

        The noise is normal, of stdev_spread * (max - min) of the image, from numpy's global generator, as in
        PAIR. Here noisy images are clipped to the model's valid range, and the predicted class is that of
        `x_value`.
        """
        number("stdev_spread", stdev_spread, 0, 1e6)
        whole("nsamples", nsamples, 1)
        x = _Image(x_value, explainer, call_model_args)
        given = np.asarray(x.given, np.float64)
        deviation = stdev_spread * (given.max() - given.min())
        total = np.zeros(x.array.shape)
        for at in range(0, nsamples, explainer.slots):
            count = min(explainer.slots, nsamples - at)
            noise = np.random.normal(0, deviation, (count, *given.shape))  # noqa: NPY002 - PAIR's, with its seed
            values = self._explained(x, x.noisy(given + noise), settings).astype(np.float64)
            total += (values**2 if magnitude else values).sum(axis=0)
        return x.back((total / nsamples).astype(np.float32))

    def _explained(self, x: _Image, images: Values, settings: Mapping[str, Any]) -> Values:
        """Attributions of images in the model's layout, float32 [n, *shape]."""
        return x.result(
            images, made_with(self.method.__name__, self.method, {**self.fixed, **settings})
        ).values


class GradientSaliency(Mask):
    """The gradient with its sign, as PAIR's class of this name."""

    method, fixed = methods.Saliency, {"absolute": False}


class IntegratedGradients(Mask):
    """Integrated Gradients as PAIR sums it: the mean of `x_steps` gradients, with both ends, times the way.

    x_baseline: of the shape of `x_value`, or a number, or None for 0. x_steps: 2 or more (25 if not given).
    batch_size: taken and not used, since the explainer packs its own batches.
    """

    method = methods.IntegratedGradients

    def _explained(self, x: _Image, images: Values, settings: Mapping[str, Any]) -> Values:
        known = {"x_baseline": None, "x_steps": 25, "batch_size": 1}
        given = {**known, **settings}
        unknown = sorted(set(given) - set(known))
        need(not unknown, f"IntegratedGradients has no setting {unknown}, it has {', '.join(known)}")
        steps, baseline = given["x_steps"], x.baseline(given["x_baseline"])
        whole("x_steps", steps, 2)
        # The trapezoid counts both ends by half, and of one piece it is their mean.
        along, ends = (
            x.result(images, methods.IntegratedGradients(n, baseline=baseline)).values.astype(np.float64)
            for n in (steps - 1, 1)
        )
        values: Values = (((steps - 1) * along + ends) / steps).astype(np.float32)
        return values


class GuidedIG(Mask):
    """Guided IG with PAIR's settings.

    x_baseline: one number for all elements, as of `np.zeros_like(x_value)`; None is 0. x_steps: 200 if not
    given. fraction, max_dist: see `fluxpath.runtime.GuidedIG`.
    """

    method = methods.GuidedIG

    def _explained(self, x: _Image, images: Values, settings: Mapping[str, Any]) -> Values:
        given = {_OURS.get(name, name): value for name, value in settings.items()}
        baseline = x.baseline(given.get("baseline"))
        if not isinstance(baseline, float) and (baseline == baseline.flat[0]).all():
            baseline = float(baseline.flat[0])
        return super()._explained(x, images, {**given, "baseline": baseline})


_OURS = {"x_baseline": "baseline", "x_steps": "steps"}


class MFABA(Mask):
    """Masks of `fluxpath.runtime.MFABA`, with its settings."""

    method = methods.MFABA


class NeFLAG(Mask):
    """Masks of `fluxpath.runtime.NeFLAG`, with its settings."""

    method = methods.NeFLAG


class InputXGradient(Mask):
    """Masks of `fluxpath.runtime.InputXGradient`."""

    method = methods.InputXGradient


class SmoothGrad(Mask):
    """Masks of `fluxpath.runtime.SmoothGrad`, with its settings and its own, seeded noise."""

    method = methods.SmoothGrad


class ExpectedGradients(Mask):
    """Masks of `fluxpath.runtime.ExpectedGradients`; the background is in the model's layout."""

    method = methods.ExpectedGradients


class LPI(Mask):
    """Masks of `fluxpath.runtime.LPI`; the references are in the model's layout."""

    method = methods.LPI


class AGI(Mask):
    """Masks of `fluxpath.runtime.AGI`, with its settings."""

    method = methods.AGI


class BIG(Mask):
    """Masks of `fluxpath.runtime.BIG`, with its settings."""

    method = methods.BIG


class DeepLIFT(Mask):
    """Masks of `fluxpath.runtime.DeepLIFT`, of a file exported for it."""

    method = methods.DeepLIFT


def call_model_function(explainer: Explainer) -> Callable[..., dict[str, npt.NDArray[Any]]]:
    """A function (x_value_batch, call_model_args=None, expected_keys=None) with which PAIR's classes run.

    It gives INPUT_OUTPUT_GRADIENTS, in the shape of the batch, and OUTPUT_LAYER_VALUES, [n], the objective,
    of the class call_model_args["target"], or the predicted one. It has no convolution layers, so Grad-CAM
    needs the framework's own model. What leaves the model's valid range is clipped, with a RuntimeWarning.
    """

    def call_model(
        x_value_batch: npt.ArrayLike, call_model_args: Arguments = None, expected_keys: Sequence[str] = ()
    ) -> dict[str, npt.NDArray[Any]]:
        missing = sorted(set(expected_keys or ()) - {GRADIENTS, OUTPUT})
        need(not missing, f"a gradient graph has no {missing}, it has {GRADIENTS} and {OUTPUT}")
        batch = as_array("x_value_batch", x_value_batch)
        need(batch.ndim and len(batch), "x_value_batch is empty: pass at least one image")
        x = _Image(batch[0], explainer, call_model_args)
        manifest = explainer.manifest
        images = within_range(x.to_model(batch).astype(np.float32), manifest.low, manifest.high)
        result = x.result(images, methods.Saliency(absolute=False))
        return {GRADIENTS: x.back(result.values), OUTPUT: result.score}

    return call_model


def VisualizeImageGrayscale(  # noqa: N802 - PAIR's name
    image_3d: npt.ArrayLike, percentile: float = 99
) -> npt.NDArray[np.float64]:
    """A mask as a plane [h, w] in [0, 1]: magnitudes summed over channels, from the least to the percentile.

    image_3d: [h, w, c] or, as no picture of PAIR's, [c, h, w] with c 1 or 3. A constant mask gives zeros.
    """
    plane = np.abs(_channels_last(image_3d)).sum(axis=2)
    least, most = plane.min(), np.percentile(plane, percentile)
    shown: npt.NDArray[np.float64] = np.clip((plane - least) / ((most - least) or 1.0), 0, 1)
    return shown


def VisualizeImageDiverging(  # noqa: N802 - PAIR's name
    image_3d: npt.ArrayLike, percentile: float = 99
) -> npt.NDArray[np.float64]:
    """A mask as a plane [h, w], 1/2 for zero: sums over channels, from minus the percentile to it.

    As in PAIR, what is below minus the percentile goes down to -1. Otherwise as `VisualizeImageGrayscale`.
    """
    plane = _channels_last(image_3d).sum(axis=2)
    span = abs(np.percentile(plane, percentile))
    shown: npt.NDArray[np.float64] = np.clip((plane + span) / ((2 * span) or 1.0), -1, 1)
    return shown


def _channels_last(mask: npt.ArrayLike) -> npt.NDArray[np.float64]:
    array = as_array("image_3d", mask)
    need(array.ndim == 3 and array.size, f"a mask has shape [h, w, c], got {list(array.shape)}")
    first = array.shape[0] in (1, 3) and array.shape[2] not in (1, 3)
    return np.moveaxis(array, 0, 2).astype(np.float64) if first else array.astype(np.float64)


class _Image:
    """One image in the caller's layout and in the model's, and what of it is explained."""

    def __init__(self, x_value: npt.ArrayLike, explainer: Explainer, arguments: Arguments) -> None:
        need_explainer(explainer, Explainer)
        need(arguments is None or isinstance(arguments, Mapping),
             f"call_model_args is {arguments!r:.80}, it must be a dict")  # fmt: skip
        need_no_levels("x_value", x_value)
        self.given, self._explainer = as_array("x_value", x_value), explainer
        shape = explainer.shape
        self._last = self.given.shape != shape and self.given.shape == (*shape[1:], *shape[:1])
        unknown = sorted(set(arguments or {}) - {"target", "inputs"})
        need(not unknown, f"call_model_args has {unknown}, it can have 'target' and 'inputs'")
        self._target = (arguments or {}).get("target")
        self._inputs: Mapping[str, Any] = (arguments or {}).get("inputs") or {}

    @property
    def array(self) -> Values:
        """As the model takes it; InputError if it does not."""
        values: Values = self._explainer.prepare(self.to_model(self.given)[None])[0]
        return values

    def to_model(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """One image, or several, in the model's layout."""
        return np.moveaxis(values, -1, -len(self._explainer.shape)) if self._last else values

    def back(self, values: Values) -> Values:
        """One image, or several, in the caller's layout."""
        return np.moveaxis(values, -len(self._explainer.shape), -1) if self._last else values

    def baseline(self, given: Any) -> float | npt.NDArray[Any]:
        """A baseline in the caller's layout, or a number, as the methods take it."""
        array = as_array("x_baseline", 0.0 if given is None else given)
        if array.ndim == 0:
            return float(array)
        need(
            array.shape == self.given.shape,
            f"x_baseline has shape {list(array.shape)}, it must have x_value's, {list(self.given.shape)}",
        )
        return self.to_model(array)

    def noisy(self, images: npt.NDArray[np.float64]) -> Values:
        """Noisy images in the caller's layout for the model; the class is that of the image without noise."""
        if self._target is None:
            predicted = self._explainer.predict(self.array[None], top=1, inputs=self._for(1))
            self._target = int(predicted.classes[0, 0])
        low, high = self._explainer.manifest.low, self._explainer.manifest.high
        return np.clip(self.to_model(images).astype(np.float32), low, high)

    def result(self, images: Values, method: Method) -> Attribution:
        """What the explainer finds for images in the model's layout."""
        return self._explainer.attribute(images, self._target, method, inputs=self._for(len(images)))

    def _for(self, n: int) -> dict[str, npt.NDArray[Any]]:
        """The further inputs, of one image, for n of them."""
        return {name: np.repeat(as_array(name, value), n, axis=0) for name, value in self._inputs.items()}
