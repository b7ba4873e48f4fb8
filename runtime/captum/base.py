"""The base classes: a method as a `captum.attr.Attribution`, without and with baselines."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fluxpath.arrays import as_array
from fluxpath.baseline import unpack_baseline
from fluxpath.errors import InputError
from fluxpath.making import made_with, settings_of
from fluxpath.runtime.attribution import Attribution as Result
from fluxpath.runtime.captum.tensors import (
    Named,
    as_images,
    as_named,
    as_target,
    as_tuple,
    objective,
    only,
    scores,
)
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.inputs import as_targets, need_explainer
from fluxpath.runtime.methods import Method

try:
    from captum.attr import Attribution
except ImportError:

    class Attribution:  # type: ignore[no-redef]
        """What Captum's tools ask of a method, for where Captum is not installed."""

        def __init__(self, forward_func: Callable[..., Any]) -> None:
            self.forward_func = forward_func


Target: TypeAlias = int | list[int] | Tensor | None
Attributed: TypeAlias = Tensor | tuple[Tensor, ...] | tuple[Tensor | tuple[Tensor, ...], Tensor]


def _wrapped(attribute: Callable[..., Attributed]) -> Callable[..., Attributed]:
    """Captum's NoiseTunnel calls `attribute.__wrapped__`, which its own methods have from their logging."""

    @wraps(attribute)
    def wrapped(*args: Any, **settings: Any) -> Attributed:
        return attribute(*args, **settings)

    return wrapped


class MethodAttribution(Attribution):  # type: ignore[misc]
    """A method of fluxpath as Captum's `Attribution`; a class of your own derives from it and sets `method`.

    explainer: an open `fluxpath.runtime.Explainer`; the objective is the one its file was exported with.
    settings: the method's own, by their names in fluxpath; `attribute` takes them too, and they go first.

    `forward_func` is the model's objective for every class, [n, classes], as Captum's metrics want it; it has
    no gradient. Raises InputError for a setting that the method does not have.
    """

    method: ClassVar[type[Method]]
    """The class of fluxpath's settings."""

    multiplies: ClassVar[bool] = True
    """Captum's `multiplies_by_inputs`: whether attributions are shares of the score, and no slopes."""

    def __init__(self, explainer: Explainer, **settings: Any) -> None:
        need_explainer(explainer, Explainer)
        super().__init__(partial(objective, explainer))
        self.explainer, self.settings = explainer, settings
        unknown = sorted(set(settings) - set(settings_of(self.method)))
        if unknown:
            made_with(self.method.__name__, self.method, {unknown[0]: settings[unknown[0]]})

    @property
    def multiplies_by_inputs(self) -> bool:
        """Whether attributions are shares of the score, and no slopes."""
        return self.multiplies

    def has_convergence_delta(self) -> bool:
        """Whether `attribute` can return a convergence delta with these settings."""
        try:
            given = made_with(self.method.__name__, self.method, self.settings)
        except InputError:  # a setting that only `attribute` gets
            return False
        return given.end_lane is not None or self._start(given) is not None

    @_wrapped
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        **settings: Any,
    ) -> Attributed:
        """Attributions of `inputs`, in their shape and dtype, on their device; without a gradient.

        inputs: floats [n, *shape] of any precision and on any device, or a tuple of one such tensor, which
            then comes back as a tuple. It is computed in float32. What lies outside the model's valid range,
            as after a NoiseTunnel, is clipped, with a RuntimeWarning.
        target: a class, or one per image; None or -1 means the predicted class.
        additional_forward_args: the model's further inputs, one or a tuple of them, in the file's order.
        return_convergence_delta: return (attributions, delta) with delta [n], each attribution's sum less the
            score's change along the path; NaN where BIG finds no boundary.
        settings: the method's; they go before those of the constructor.

        Raises InputError.
        """
        given = [made_with(self.method.__name__, self.method, {**self.settings, **settings})]
        return self._attributed(inputs, target, additional_forward_args, return_convergence_delta, given)

    def compute_convergence_delta(
        self,
        attributions: Tensor | tuple[Tensor, ...],
        start_point: Any,
        end_point: Tensor | tuple[Tensor, ...],
        target: Target = None,
        additional_forward_args: Any = None,
    ) -> Tensor:
        """Each attribution's sum less the score's change from `start_point` to `end_point`, [n].

        start_point: a number, or a tensor that broadcasts to `end_point`. target: None is the class predicted
        at `end_point`.
        """
        values, end = only("attributions", attributions)[0], only("end_point", end_point)[0]
        start = start_point[0] if isinstance(start_point, tuple) else start_point
        start = torch.as_tensor(0.0 if start is None else start, dtype=end.dtype, device=end.device)
        ends, starts = (
            self.forward_func(x, *as_tuple(additional_forward_args)) for x in (end, start.expand_as(end))
        )
        numbers = as_target(target)
        chosen = ends.argmax(1) if numbers is None else torch.as_tensor(numbers, device=end.device)
        columns = chosen.expand(len(end)).unsqueeze(1)
        return values.flatten(1).sum(1) - (ends - starts).gather(1, columns).squeeze(1)

    def _attributed(
        self, inputs: Any, target: Any, further: Any, delta: bool, given: Sequence[Method]
    ) -> Attributed:
        """given: the method of all images, or one for each."""
        x, was_tuple = only("inputs", inputs)
        manifest = self.explainer.manifest
        images, named = as_images(x, self.explainer), as_named(further, self.explainer)
        numbers = as_targets(as_target(target), len(images), manifest.classes, manifest.class_names)
        rows = [slice(None)] if len(given) == 1 else [slice(i, i + 1) for i in range(len(images))]
        inputs_of = [{name: values[row] for name, values in named.items()} for row in rows]
        futures = [
            self.explainer.submit(images[row], numbers[row], method, inputs=those)
            for row, method, those in zip(rows, given, inputs_of, strict=True)
        ]
        results = [future.result() for future in futures]
        values = torch.from_numpy(np.concatenate([result.values for result in results])).to(x)
        attributions = (values,) if was_tuple else values
        if not delta:
            return attributions
        deltas = [self._delta(*of) for of in zip(results, given, inputs_of, strict=True)]
        return attributions, torch.from_numpy(np.concatenate(deltas)).to(x)

    def _delta(self, result: Result, given: Method, named: Named) -> npt.NDArray[np.float64]:
        """The convergence delta; where the method did not evaluate its baseline, it is done here."""
        ends: npt.NDArray[Any] | None = result.end_score
        if ends is None:
            start = self._start(given)
            if start is None:
                raise InputError(f"{given!r} has no path with an end of its own, so no convergence delta")
            images = np.broadcast_to(np.asarray(start, np.float32), result.values.shape)
            ends = np.take_along_axis(scores(self.explainer, images, named), result.target[:, None], 1)[:, 0]
        sums = result.values.reshape(len(result), -1).sum(axis=1, dtype=np.float64)
        delta: npt.NDArray[np.float64] = sums - (result.score.astype(np.float64) - ends)
        return delta

    def _start(self, given: Method) -> npt.ArrayLike | None:
        """The baseline of a method that has one."""
        packed = self.explainer.manifest.baseline
        if given.rules == "deeplift" and packed is not None:
            shape = self.explainer.shape
            return unpack_baseline(packed, math.prod(shape)).reshape(shape)
        return getattr(given, "baseline", None)


class BaselineAttribution(MethodAttribution):
    """A method with baselines, which Captum passes second: `attribute(inputs, baselines, target=...)`."""

    setting: ClassVar[str] = "baseline"
    """The method's setting that `baselines` stands for."""

    @_wrapped
    def attribute(
        self,
        inputs: Tensor | tuple[Tensor, ...],
        baselines: Any = None,
        target: Target = None,
        additional_forward_args: Any = None,
        return_convergence_delta: bool = False,
        **settings: Any,
    ) -> Attributed:
        """As `MethodAttribution.attribute`, with `baselines` in place of the method's setting.

        baselines: a number, or a tensor [*shape], [1, *shape] or, one for each image, [n, *shape]; GuidedIG's
            have one value for all elements of an image. ExpectedGradients' background and LPI's references
            are [m, *shape], for every image. None: the setting, or its default.
        """
        given = {**self.settings, **settings}
        x = only("inputs", inputs)[0]
        each = (
            [given] if baselines is None else [{**given, self.setting: b} for b in self._each(baselines, x)]
        )
        made = [made_with(self.method.__name__, self.method, one) for one in each]
        return self._attributed(inputs, target, additional_forward_args, return_convergence_delta, made)

    def _each(self, baselines: Any, x: Tensor) -> list[Any]:
        """The setting for all images, or one for each."""
        given = baselines[0] if isinstance(baselines, tuple) and len(baselines) == 1 else baselines
        array = as_array("baselines", given)
        if self.setting != "baseline" or array.ndim < x.ndim:
            return [self._one(array)]
        if len(array) not in (1, len(x)):
            raise InputError(
                f"there are {len(array)} baselines for {len(x)} images: pass one, or one for each"
            )
        if (array == array[:1]).all():
            return [self._one(array[0])]
        return [self._one(row) for row in array]

    def _one(self, array: npt.NDArray[Any]) -> Any:
        return array
