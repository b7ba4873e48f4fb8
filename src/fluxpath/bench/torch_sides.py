"""The sides that run the torch module: eager loops, the same compiled, and Captum."""

from __future__ import annotations

import contextlib
import math
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fluxpath.bench import captum_calls, points, walks
from fluxpath.bench.eager import (
    HALVES,
    Classifier,
    Differentiate,
    Half,
    Network,
    Walked,
    exact_gradient,
    full_backward,
)
from fluxpath.bench.folding import folded, left_in
from fluxpath.bench.sides import FOLDED
from fluxpath.bench.starts import starts
from fluxpath.bench.work import Explained, LeftOut, Setup, Side, Work
from fluxpath.errors import ModelError, first_line
from fluxpath.export.torch_module.logits import pick_logits
from fluxpath.export.torch_module.subject import Subject, subject_of
from fluxpath.manifest import Manifest
from fluxpath.runtime import MFABA, Method, NeFLAG, Saliency


def opened(name: str, setup: Setup) -> Side:
    """The side of that name; LeftOut with the reason if it cannot be had here."""
    torch.set_num_threads(setup.threads)
    if setup.device != "cpu" and not torch.cuda.is_available():
        raise LeftOut(f"torch has no device '{setup.device}' here")
    shape = setup.pixels().shape[1:]
    network = network_of(setup.make and setup.make(), setup.manifest, shape, setup.output)
    module = network.module.to(setup.device)
    remark = ""
    if name in FOLDED and (all_of_them := left_in(module)):
        module = folded(module)
        if left := left_in(module):
            remark = f"runs {left} of {all_of_them} batch normalisations, which could not be folded"
    if (half := HALVES.get(setup.manifest.precision)) is not None:
        module = Half(module, half)
    network = replace(network, module=module)
    if name == "captum":
        return _Captum(setup, network, remark)
    module.requires_grad_(True)  # published code differentiates by the weights too
    side = _Loop(setup, network, remark)
    if name in ("best", "compiled"):
        side.hurry(name == "compiled")
    return side


def network_of(module: Any, manifest: Manifest, shape: tuple[int, ...], output: str | None = None) -> Network:
    """The module as the gradient graph has it; ModelError unless it is such a classifier.

    shape: of the input, without the batch. output: the logits in what the module returns; None for what is
    called as the file's logits are, else as at export.
    """
    if not isinstance(module, torch.nn.Module):
        raise ModelError(
            f"--torch gives an object of type {type(module).__name__}, and must give a torch.nn.Module"
        )
    module.eval()
    subject = _subject(module, manifest, shape, output)
    if subject.classes(manifest.objective) != manifest.classes:
        raise ModelError(
            f"the torch module has {subject.classes(manifest.objective)} classes, and the gradient graph "
            f"{manifest.classes}: give the module that it was exported from"
        )
    with torch.no_grad():
        rows = subject.rows(2)
        own = module(*rows)
        _, logits, _ = subject.call.both(*rows)
    binary = subject.binary(manifest.objective)
    plain = isinstance(own, Tensor) and own.ndim <= 2 and torch.equal(own, logits)
    low = -math.inf if manifest.low is None else manifest.low
    high = math.inf if manifest.high is None else manifest.high
    objective = subject.effective(manifest.objective)
    if plain and own.ndim == 2 and manifest.mean is None and not binary:
        return Network(module, objective, low, high)
    made = Classifier(
        module,
        manifest.mean,
        manifest.std,
        None if plain else partial(_logits, logits is not own, subject.call.output),
        binary,
    )
    return Network(made.eval(), objective, low, high)


def _subject(module: Any, manifest: Manifest, shape: tuple[int, ...], output: str | None) -> Subject:
    example, objective = torch.zeros(1, *shape), manifest.objective
    if output is None:
        with contextlib.suppress(ModelError):
            return subject_of(module, example, output=manifest.logits, objective=objective)
    return subject_of(module, example, output=output, objective=objective)


def _logits(probable: bool, output: str | None, found: object) -> Tensor:
    """[n, classes] from what a module returns, which are probabilities or logits in some form."""
    logits = pick_logits(found, output).flatten(1)
    sums = bool((logits.detach().sum(1) - 1).abs().max() < 1e-4) and bool(logits.min() >= 0)
    if probable and sums:
        return logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
    return logits


class _Loop:
    """A loop of `walks` or `points`, published until `hurry` is called."""

    def __init__(self, setup: Setup, network: Network, remark: str = "") -> None:
        self._setup, self._images, self.remark = setup, setup.pixels(), remark
        self._networks = {False: network}
        self._fast = False

    def hurry(self, compiled: bool) -> None:
        """From now on the best loop, in either memory order; or in one, compiled."""
        self._fast = True
        (network,) = self._networks.values()
        if compiled:
            self._networks = {False: self._compiled(network.fast(False))}
        else:
            self._networks = fast_networks(network, self._images.ndim)

    def warm(self, work: Work) -> None:
        """One gradient at each image, as many at a time as the work takes."""
        count = min(work.count, work.points)
        self.explain(replace(work, method=None, last=work.first + count))

    def explain(self, work: Work) -> Explained:
        """The attributions, and steps of walks."""
        with _on(self._setup.device):
            images, targets = _given(self._setup, self._images, work)
            network = self._networks[work.channels_last]
            differentiate = exact_gradient if self._fast else full_backward
            values, steps = explained(network, images, targets, work, differentiate)
            return values.float().cpu().numpy(), None if steps is None else steps.cpu().numpy()

    def _compiled(self, network: Network) -> Network:
        """Compiled for any batch, which is tried at once."""
        made = replace(network, module=torch.compile(network.module, dynamic=True))
        try:
            with _on(self._setup.device):
                for count in (1, 2, 3):
                    x = torch.zeros(count, *self._images.shape[1:])
                    exact_gradient(made, x, torch.zeros(count, dtype=torch.int64))
        except Exception as error:  # no compiler, or a module that the compiler does not take
            raise LeftOut(f"torch.compile fails: {complaint(error)}") from error
        return made


def fast_networks(network: Network, dimensions: int) -> dict[bool, Network]:
    """`Network.fast` by its memory order; images, which have four dimensions with the batch, have two."""
    return {order: network.fast(order) for order in ((False, True) if dimensions == 4 else (False,))}


def complaint(error: Exception) -> str:
    """The line of a compiler's output that says what is wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next((line for line in lines if "error:" in line), first_line(error))[:200]


def explained(
    network: Network, images: Tensor, targets: Tensor, work: Work, differentiate: Differentiate
) -> Walked:
    """What the method gives by that kind of gradient: `exact_gradient` goes with the best loops."""
    method, slots = work.method, work.points
    best = differentiate is exact_gradient
    around = starts(method, network.low, network.high) if work.same_noise else None
    if isinstance(method, NeFLAG):
        loop = walks.best_neflag if best else walks.published_neflag
        return loop(network, images, targets, method, slots, around)
    if isinstance(method, MFABA):
        if best:
            return walks.best_mfaba(network, images, targets, method, slots)
        parts = zip(images.split(slots), targets.split(slots), strict=True)
        found = [walks.published_mfaba(network, x, t, method) for x, t in parts]
        values, steps = (torch.cat(column) for column in zip(*found, strict=True))
        return values, steps
    chosen = Saliency(absolute=False) if method is None else method
    most = len(images) if method is None else slots
    together = best or method is None
    found = points.summed(network, images, targets, chosen, most, differentiate, together, around)
    return found, None


class _Captum:
    """Captum's own attribution of the same function."""

    def __init__(self, setup: Setup, network: Network, remark: str) -> None:
        try:
            import captum.attr  # noqa: F401
        except ImportError:
            raise LeftOut("captum is not installed") from None
        self._setup, self._images, self.remark = setup, setup.pixels(), remark
        self._networks = fast_networks(network, self._images.ndim)
        self._calls: dict[tuple[Method, int, bool], captum_calls.Call] = {}

    def warm(self, work: Work) -> None:
        """One gradient at each image."""
        self.explain(replace(work, method=Saliency(), last=work.first + min(work.count, work.points)))

    def explain(self, work: Work) -> Explained:
        """The attributions, in batches of as many images as points are evaluated at a time."""
        assert work.method is not None
        key = (work.method, slots := work.points, work.channels_last)
        network = self._networks[work.channels_last]
        if key not in self._calls:
            self._calls[key] = captum_calls.call_of(work.method, network, slots)
        with _on(self._setup.device):
            images, targets = _given(self._setup, self._images, work)
            parts = zip(images.split(slots), targets.split(slots), strict=True)
            call = self._calls[key]
            found = torch.cat([call(network.ordered(x), t).detach() for x, t in parts])
            return found.float().cpu().numpy(), None


def _on(device: str) -> contextlib.AbstractContextManager[Any]:
    """Where the loops' own tensors are made."""
    on: contextlib.AbstractContextManager[Any] = torch.device(device)
    return on if device != "cpu" else contextlib.nullcontext()


def _given(setup: Setup, images: Any, work: Work) -> tuple[Tensor, Tensor]:
    part = slice(work.first, work.last)
    pixels = np.array(images[part])  # a copy: torch wants none that cannot be written to
    return torch.from_numpy(pixels).to(setup.device), torch.from_numpy(setup.targets[part]).to(setup.device)
