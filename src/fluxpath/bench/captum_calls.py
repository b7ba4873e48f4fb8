"""fluxpath's methods as Captum's own calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import captum.attr as captum
import torch
from torch import Tensor

from fluxpath.bench.eager import Network
from fluxpath.runtime import (
    ExpectedGradients,
    InputXGradient,
    IntegratedGradients,
    Method,
    Saliency,
    SmoothGrad,
)

Call = Callable[[Tensor, Tensor], Tensor]
"""Images [n, *shape] and targets int64 [n] to attributions [n, *shape]."""

_RULES = {
    "gauss-legendre": "gausslegendre",
    "trapezoid": "riemann_trapezoid",
    "left": "riemann_left",
    "middle": "riemann_middle",
    "right": "riemann_right",
}
_OUTPUTS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax": lambda logits: logits.softmax(1),
    "log_softmax": lambda logits: logits.log_softmax(1),
    "sigmoid": lambda logits: logits.sigmoid(),
    "logit": lambda logits: logits,
}


def call_of(method: Method, network: Network, slots: int) -> Call:
    """Captum's call with the method's settings, at most `slots` points at a time where that can be said."""
    output = _OUTPUTS[network.objective]

    def explained(x: Tensor) -> Tensor:
        return output(network.module(x))

    if isinstance(method, IntegratedGradients):
        return _integrated(explained, method, slots)
    if isinstance(method, InputXGradient):
        product = captum.InputXGradient(explained)
        return lambda x, t: product.attribute(x, t)
    saliency = captum.Saliency(explained)
    if isinstance(method, SmoothGrad):
        noise, deviation = captum.NoiseTunnel(saliency), method.sigma * network.width
        return lambda x, t: noise.attribute(
            x,
            target=t,
            nt_samples=method.n,
            nt_samples_batch_size=min(method.n, max(1, slots // len(x))),
            stdevs=deviation,
            abs=False,
        )
    if isinstance(method, ExpectedGradients):
        return _expected(explained, method)
    assert isinstance(method, Saliency)
    return lambda x, t: saliency.attribute(x, t, abs=method.absolute)


def _integrated(explained: Any, method: IntegratedGradients, slots: int) -> Call:
    integrated = captum.IntegratedGradients(explained)
    # Captum's weights of the trapezoid sum to (n - 1) / n.
    points = method.steps + (method.rule == "trapezoid")
    rule = {"n_steps": points, "method": _RULES[method.rule]}
    given: Any = method.baseline

    def call(x: Tensor, t: Tensor) -> Tensor:
        from_there = given if isinstance(given, float) else torch.from_numpy(given.array.copy()).to(x)
        if isinstance(from_there, Tensor):
            from_there = from_there.view(1, *x.shape[1:]).expand_as(x)
        # It takes whole images only, and warns of fewer points at a time than there are images.
        at_once = max(slots, len(x))
        found: Tensor = integrated.attribute(x, from_there, t, internal_batch_size=at_once, **rule)
        return found * (points / method.steps)

    return call


def _expected(explained: Any, method: ExpectedGradients) -> Call:
    expected = captum.GradientShap(explained)
    given: Any = method.background

    def call(x: Tensor, t: Tensor) -> Tensor:
        background = torch.from_numpy(given.array.copy()).to(x).view(-1, *x.shape[1:])
        found: Tensor = expected.attribute(x, background, n_samples=method.n, target=t, stdevs=0.0)
        return found

    return call
