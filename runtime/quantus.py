"""fluxpath for Quantus: its `explain_func`, and a `model` that is the forward part of a gradient graph.

    from fluxpath.runtime.quantus import explain_func, model
    explain = explain_func(explainer, "mfaba-sharp")
    scores = quantus.PixelFlipping()(model(explainer), x_batch, y_batch, explain_func=explain)

Importing this module imports neither Quantus nor torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import as_array
from fluxpath.errors import InputError
from fluxpath.making import made_with, settings_of
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.inputs import need_explainer, within_range
from fluxpath.runtime.methods import MFABA, Method
from fluxpath.runtime.methods.named import class_named

OWN = ("method", "device")
"""What Quantus puts into `explain_func_kwargs` itself: a name for its table, and torch's device."""


def explain_func(
    explainer: Explainer, method: Method | type[Method] | str | None = None, **settings: Any
) -> Callable[..., npt.NDArray[np.float32]]:
    """A function (model, inputs, targets, **kwargs) -> attributions, as Quantus' metrics call it.

    method: a name as for `method_named`, a method's class, or a method; None is MFABA. settings: of it.

    The function explains `inputs` [n, *shape] of the classes `targets` [n] and returns float32 [n, *shape].
    kwargs, Quantus' `explain_func_kwargs`, are settings too, and go before those here. Inputs outside of the
    model's valid range, as Quantus' noise leaves them, are clipped, with a RuntimeWarning. `model` is not
    looked at, because the explainer's file is explained: metrics that re-draw the parameters of a torch
    model (MPRT and its kin) would see attributions that never change.

    Both raise InputError.
    """
    need_explainer(explainer, Explainer)
    made, given = _parts(method)
    given = {**given, **settings}
    made_with(made.__name__, made, given)

    def explain(model: Any, inputs: Any, targets: Any, **kwargs: Any) -> npt.NDArray[np.float32]:
        own = {name: value for name, value in kwargs.items() if name not in OWN}
        classes = None if targets is None else as_array("targets", targets).reshape(-1)
        chosen = made_with(made.__name__, made, {**given, **own})
        return explainer.attribute(_as_images(inputs, explainer), classes, chosen).values

    return explain


def model(explainer: Explainer) -> Any:
    """The explainer's model for Quantus, which takes torch modules: a torch.nn.Module in evaluation mode.

    It gives logits, [n, classes], computed by the explainer's backend; torch computes nothing, and there is
    no gradient. Quantus' `softmax=True` puts a softmax on top, as on any module. It has no parameters, so
    metrics that re-draw them raise InputError. Raises InputError where torch is not installed.
    """
    need_explainer(explainer, Explainer)
    try:
        import torch
    except ImportError as error:
        raise InputError(
            "Quantus takes models of torch or Keras only: install torch, or pass model=None to metrics that "
            "need explanations alone"
        ) from error

    class Forward(torch.nn.Module):  # type: ignore[misc]
        """The forward part of the file."""

        def forward(self, inputs: Any) -> Any:
            found = explainer.predict(_as_images(inputs, explainer), top=1)
            return torch.from_numpy(found.logits).to(inputs.device)

        def state_dict(self, *args: Any, **kwargs: Any) -> Any:
            raise InputError(
                "the model is a file without parameters to re-draw: for randomised models, change the source "
                "model and export it again"
            )

    return Forward().eval()


def _parts(method: Any) -> tuple[type[Method], Mapping[str, Any]]:
    """A method's class and its settings."""
    if method is None:
        return MFABA, {}
    if isinstance(method, str):
        return class_named(method)
    if isinstance(method, type) and issubclass(method, Method):
        return method, {}
    if isinstance(method, Method):
        return type(method), {name: getattr(method, name) for name in settings_of(type(method))}
    raise InputError(
        f"method is {method!r}, it must be a method's name, its class, or a method such as MFABA()"
    )


def _as_images(inputs: Any, explainer: Explainer) -> npt.NDArray[Any]:
    """Within the model's range; anything but floats is left to the explainer's own checks."""
    given, manifest = as_array("inputs", inputs), explainer.manifest
    if given.dtype.kind != "f":
        return given
    return within_range(given.astype(np.float32), manifest.low, manifest.high)
