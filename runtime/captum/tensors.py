"""What Captum passes as what fluxpath takes: tensors, targets, further inputs; and the model's objective."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fluxpath.arrays import as_array
from fluxpath.errors import InputError
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.inputs import need_images, within_range

Images: TypeAlias = npt.NDArray[np.float32]
Named: TypeAlias = dict[str, npt.NDArray[Any]]


def only(name: str, given: Any) -> tuple[Tensor, bool]:
    """The one tensor that `given` is or holds, and whether it is a tuple."""
    several = isinstance(given, tuple)
    tensor = given[0] if several and len(given) == 1 else given
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        words = f"a tuple of {len(tensor)}" if isinstance(tensor, tuple) else f"{type(tensor).__name__}"
        kind = f" of {tensor.dtype}" if isinstance(tensor, Tensor) else ""
        raise InputError(
            f"{name} must be a tensor of floats or a tuple of one, got {words}{kind}; the model's further "
            "inputs are additional_forward_args"
        )
    return tensor, several


def as_tuple(further: Any) -> tuple[Any, ...]:
    return () if further is None else further if isinstance(further, tuple) else (further,)


def as_named(further: Any, explainer: Explainer) -> Named:
    """Captum's `additional_forward_args` by the names of the model's further inputs."""
    names, given = [c.name for c in explainer.manifest.companions], as_tuple(further)
    if len(given) != len(names):
        raise InputError(
            f"the model has {len(names)} further inputs {names}, and additional_forward_args has {len(given)}"
        )
    return {name: as_array(f"input '{name}'", value) for name, value in zip(names, given, strict=True)}


def as_target(target: Any) -> Any:
    """A class, one per image, or None; a tensor, list or tuple of one is a class for all, as in Captum."""
    if isinstance(target, Tensor):
        target = target.detach().cpu().numpy()
    if isinstance(target, np.ndarray | list | tuple) and np.size(target) == 1:
        target = np.asarray(target).item()
    return list(target) if isinstance(target, tuple) else target


def as_images(x: Tensor, explainer: Explainer) -> Images:
    """Float32 [n, *shape] on the host, within the model's range."""
    manifest = explainer.manifest
    need_images(tuple(x.shape), explainer.shape)
    images: Images = x.detach().to("cpu", torch.float32).numpy()
    return within_range(images, manifest.low, manifest.high)


def scores(explainer: Explainer, images: Images, named: Named) -> npt.NDArray[np.float64]:
    """The objective of every class, float64 [n, classes]."""
    logits = explainer.predict(images, top=1, inputs=named).logits.astype(np.float64)
    values: npt.NDArray[np.float64] = _VALUES[explainer.manifest.objective](torch.from_numpy(logits)).numpy()
    return values


def objective(explainer: Explainer, inputs: Tensor, *further: Any) -> Tensor:
    """The objective of every class, [n, classes], as Captum's `forward_func`."""
    x = only("inputs", inputs)[0]
    found = scores(explainer, as_images(x, explainer), as_named(further, explainer))
    return torch.from_numpy(found).to(x)


def _margin(logits: Tensor) -> Tensor:
    """Each logit less the largest of the others."""
    best = logits.topk(2, dim=1).values
    others = torch.where(logits == best[:, :1], best[:, 1:], best[:, :1])
    return logits - others


_VALUES: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": partial(torch.softmax, dim=1),
    "log_softmax": partial(torch.log_softmax, dim=1),
    "sigmoid": torch.sigmoid,
    "logit": lambda logits: logits,
    "margin": _margin,
}
