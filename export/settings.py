"""What can be chosen at export, and what the manifest says of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict, TypeVar

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import need_no_levels, need_within
from fluxpath.baseline import pack_baseline
from fluxpath.errors import InputError, ModelError
from fluxpath.export.objectives import OBJECTIVES
from fluxpath.export.passes.precision import BFLOAT16_OPSET, PRECISIONS
from fluxpath.export.reading.load import OLDEST_OPSET
from fluxpath.manifest import Companion, Manifest
from fluxpath.preprocessing import Preprocessing

RULES = ("gradient", "deeplift")
"""What the backward pass may compute."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What can be chosen at export; see `gradient_from_onnx`. Raises ModelError for what cannot."""

    objective: str = "softmax"
    input: str | None = None
    output: str | None = None
    input_range: tuple[float, float] | None = (0.0, 1.0)
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    preprocessing: Preprocessing | None = None
    class_names: Sequence[str] | None = None
    factored: bool = True
    precision: str = "float32"
    gradient_dtype: str = "float32"
    rules: str = "gradient"
    baseline: npt.ArrayLike = 0.0
    shape: Sequence[int] | None = None

    @property
    def oldest_opset(self) -> int:
        """Models of an earlier operator set are converted."""
        return BFLOAT16_OPSET if self.precision == "bfloat16" else OLDEST_OPSET

    def __post_init__(self) -> None:
        if self.objective not in OBJECTIVES:
            raise ModelError(f"there is no objective '{self.objective}', there are {', '.join(OBJECTIVES)}")
        if self.precision not in PRECISIONS:
            raise ModelError(f"there is no precision '{self.precision}', there are {', '.join(PRECISIONS)}")
        if self.gradient_dtype not in ("float32", self.precision):
            raise ModelError(
                f"gradient_dtype is {self.gradient_dtype}, and must be float32 or the precision, which is "
                f"{self.precision}"
            )
        if self.gradient_dtype != "float32" and not self.factored:
            raise ModelError(
                f"gradient_dtype is {self.gradient_dtype}, in which the whole derivative of a sure "
                "prediction is zero: leave it factored"
            )
        if (self.mean is None) != (self.std is None):
            raise ModelError("mean and std go together, and only one of them was given")
        if not isinstance(self.preprocessing, Preprocessing | None):
            raise ModelError(
                f"preprocessing is {self.preprocessing!r}, it must be fluxpath.export.Preprocessing(...)"
            )
        if self.rules not in RULES:
            raise ModelError(f"there are no rules '{self.rules}', there are {', '.join(RULES)}")
        if self.rules == "deeplift" and self.objective != "logit":
            raise ModelError(
                f"the objective is '{self.objective}', and DeepLIFT explains the raw output: take 'logit'"
            )
        if self.rules == "deeplift" and self.precision != "float32":
            raise ModelError(f"the precision is {self.precision}, and DeepLIFT's differences need float32")
        names = self.class_names
        if names is not None and not _are_names(names):
            raise ModelError(
                f"class_names are {names!r:.60}, they must be a list with the name of each class, of type str"
            )
        bounds = self.input_range
        if bounds is not None and not bounds[0] < bounds[1]:
            raise ModelError(f"input_range is {bounds}, and its first number must be below its second")
        self._need_fitting_mean()
        if self.shape is not None and (not self.shape or min(self.shape) < 1):
            raise ModelError(f"shape is {list(self.shape)}, and sizes must be 1 or more")

    def _need_fitting_mean(self) -> None:
        """Raise ModelError for a mean of inputs that lies outside their range."""
        bounds, mean = self.input_range, self.mean
        if bounds is None or mean is None or not any(m < bounds[0] or m > bounds[1] for m in mean):
            return
        levels = bounds[0] >= 0 and bounds[1] < max(mean) <= 255 and min(mean) >= 0
        raise ModelError(
            f"mean is {tuple(mean)}, outside the input's range of {bounds[0]:g} to {bounds[1]:g}"
            + (
                ": of levels from 0 to 255 say so by input_range= (on the command line, --range 0 255)"
                if levels
                else ": both are in units of the input before the normalisation"
            )
        )

    def baseline_in(self, shape: tuple[int | None, ...]) -> npt.NDArray[np.float32]:
        """DeepLIFT's baseline, of the input's shape without the batch; ModelError where it does not fit."""
        try:
            given = np.asarray(self.baseline, np.float32)
        except (TypeError, ValueError) as error:
            raise ModelError("the baseline is no array of numbers: give a number or an array") from error
        fixed = tuple(d for d in shape if d is not None)
        if len(fixed) != len(shape):
            raise ModelError(f"the input has shape {shape}, and DeepLIFT needs one without open sizes")
        if given.shape not in ((), fixed) or not np.isfinite(given).all():
            raise ModelError(
                f"the baseline has shape {given.shape}, and must be a finite number or array of shape {fixed}"
            )
        try:
            need_no_levels("baseline", self.baseline)
            need_within("baseline", given, *(self.input_range or (None, None)))
        except InputError as error:
            raise ModelError(str(error)) from error
        return np.broadcast_to(given, fixed).copy()


def _are_names(names: object) -> bool:
    """Whether it is a sequence of texts: in order, and no text itself."""
    if isinstance(names, str | bytes | Mapping) or not (
        hasattr(names, "__getitem__") and hasattr(names, "__len__") and hasattr(names, "__iter__")
    ):
        return False
    return all(isinstance(name, str) for name in names)


class Options(TypedDict, total=False):
    """The keywords of the functions that export, for type checkers: the fields of `Settings`."""

    objective: str
    input: str | None
    output: str | None
    input_range: tuple[float, float] | None
    mean: Sequence[float] | None
    std: Sequence[float] | None
    preprocessing: Preprocessing | None
    class_names: Sequence[str] | None
    factored: bool
    precision: str
    gradient_dtype: str
    rules: str
    baseline: npt.ArrayLike
    shape: Sequence[int] | None


Function = TypeVar("Function", bound=Callable[..., Any])


def takes_settings(function: Function) -> Function:
    """Show the fields of `Settings` and their defaults in place of `**options` where a signature is shown."""
    shown = inspect.signature(function)
    own = [p for p in shown.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    chosen = inspect.signature(Settings).parameters.values()
    function.__signature__ = shown.replace(parameters=[*own, *chosen])  # type: ignore[attr-defined]
    return function


def settings_of(manifest: Manifest, precision: str) -> Settings:
    """The settings of an existing gradient graph without its normalisation, in another precision."""
    bounded = manifest.low is not None and manifest.high is not None
    return Settings(
        objective=manifest.objective,
        input=manifest.input,
        input_range=(manifest.low, manifest.high) if bounded else None,  # type: ignore[arg-type]
        class_names=manifest.class_names,
        factored=manifest.factored,
        precision=precision,
        rules=manifest.rules,
    )


def described(
    settings: Settings,
    *,
    input: str,
    shape: tuple[int | None, ...],
    classes: int,
    objective: str,
    opset: int | None,
    source: str,
    logits: str,
    companions: tuple[Companion, ...],
    outputs: tuple[str, ...],
) -> Manifest:
    """The manifest of what was found in a model and chosen in `settings`."""
    names = settings.class_names
    if names is not None and len(names) != classes:
        raise ModelError(f"{len(names)} class names were given, and the model has {classes} classes")
    if settings.preprocessing is not None:
        try:
            settings.preprocessing.check(shape)
        except InputError as error:
            raise ModelError(f"the preprocessing does not fit: {error}") from error
    low, high = settings.input_range if settings.input_range is not None else (None, None)
    return Manifest(
        input=input,
        shape=shape,
        classes=classes,
        objective=objective,
        opset=opset,
        source=source,
        logits=logits,
        low=low,
        high=high,
        mean=tuple(settings.mean) if settings.mean is not None else None,
        std=tuple(settings.std) if settings.std is not None else None,
        preprocessing=settings.preprocessing,
        class_names=tuple(names) if names is not None else None,
        factored=settings.factored,
        precision=settings.precision,
        gradient=settings.gradient_dtype,
        rules=settings.rules,
        baseline=None if settings.rules == "gradient" else pack_baseline(settings.baseline_in(shape)),
        companions=companions,
        outputs=outputs,
    )
