"""Verification against torch.autograd: the module itself in float64, an independent and full gradient."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir
import torch

from fluxpath import manifest as contract
from fluxpath.errors import ModelError, VerificationError
from fluxpath.export.objectives import OBJECTIVES
from fluxpath.export.settings import Settings
from fluxpath.export.torch_module.objectives import TORCH_OBJECTIVES, choose, compared
from fluxpath.export.torch_module.subject import Subject, reason
from fluxpath.export.verification.double import in_float64
from fluxpath.export.verification.inputs import POINTS, random_inputs
from fluxpath.export.verification.judgement import (
    Errors,
    Verification,
    judge,
    scale_ratio,
    score_error,
)
from fluxpath.export.verification.probabilities import compare, doubts
from fluxpath.export.verification.rows import EXACT, check_rows
from fluxpath.export.verification.running import Evaluate
from fluxpath.manifest import Manifest

Array = npt.NDArray[Any]

_AUTOGRAD = "torch.autograd in float64"

FORWARD_ERROR = 1e-2
"""What float32's rounding may do to a network's outputs, relative, in L2."""


class Reference:
    """A float64 copy of the subject's module. Raises ModelError where it cannot be copied or run so."""

    def __init__(self, subject: Subject, settings: Settings) -> None:
        self._subject = subject
        self._settings = settings
        with numbers_in_float64(subject):
            self._call = copy.deepcopy(subject.call).double().requires_grad_(False)
            self._call.dtype = torch.float64
            self._margin(self._call, np.zeros((2, *subject.shape)), np.zeros(2, np.int64))

    def check_model(self, artifact: onnx.ModelProto, evaluate: Evaluate, manifest: Manifest) -> Verification:
        """`check` of a graph in ONNX, which `evaluate` runs."""
        feeds, errors, unavoidable = self._compared(manifest)
        exact = partial(in_float64, ir.from_proto(artifact))
        try:
            verification = judge(
                evaluate, exact, feeds, errors, manifest.precision, _AUTOGRAD, unavoidable=unavoidable
            )
        except VerificationError as error:
            raise VerificationError(
                f"{error}; where the module cuts or changes gradients (detach, no_grad, hooks) ONNX holds "
                "nothing of that: write a file that ends in .pt then"
            ) from error
        return self._with_probabilities(verification, {}, feeds, evaluate(feeds), manifest)

    def check(self, evaluate: Evaluate, exact: Callable[[], Evaluate], manifest: Manifest) -> Verification:
        """Hold the whole gradient of a graph, at a few random inputs, against autograd's in float64.

        And its score against the module's own probabilities, and its rows alone and among others. exact:
        gives the graph in float64.
        """
        feeds, errors, unavoidable = self._compared(manifest)
        figures: dict[str, float] = {}
        if manifest.precision == "float32":
            counted = (contract.SCORE, contract.GRADIENT, contract.SCALE)
            figures |= check_rows(evaluate, feeds, counted, exact=exact)
        verification = judge(
            evaluate, exact, feeds, errors, manifest.precision, _AUTOGRAD, unavoidable=unavoidable
        )
        return self._with_probabilities(verification, figures, feeds, evaluate(feeds), manifest)

    def _with_probabilities(
        self,
        verification: Verification,
        figures: dict[str, float],
        feeds: dict[str, Array],
        out: dict[str, Any],
        manifest: Manifest,
    ) -> Verification:
        """ModelError unless the score is the module's own probability, where it gives probabilities."""
        with torch.no_grad(), numbers_in_float64(self._subject):
            x = torch.from_numpy(feeds[manifest.input]).double()
            own, _, squashed = self._call.both(*self._values(x))
        given = own.cpu().numpy()
        figures = figures | compare(given, out, feeds[contract.TARGET], manifest, squashed)
        notes = (*verification.notes, *doubts(given, out, manifest))
        return replace(verification, figures={**verification.figures, **figures}, notes=notes)

    def _compared(
        self, manifest: Manifest
    ) -> tuple[dict[str, Array], Callable[[dict[str, Any]], Errors], Callable[[], float]]:
        """What a graph is fed, how far its outputs are off, and how far off a right gradient may be."""
        rng = np.random.default_rng(20240229)
        x = random_inputs(manifest, rng)
        wanted = np.where(np.arange(POINTS) % 2, rng.integers(manifest.classes, size=POINTS), -1)
        with numbers_in_float64(self._subject):
            logits, true = self._margin(self._call, x.astype(np.float64), wanted)
        if not true.any():
            raise ModelError(
                f"the derivative of the module's logits is zero at all of {POINTS} inputs: load trained "
                "weights if the last layer's are still zero, and compute the logits without rounding, and "
                "from the input"
            )
        target = np.where(wanted < 0, logits.argmax(1), wanted)
        names = [n for n in self._subject.names if n != manifest.input]
        feeds = {n: v.cpu().numpy() for n, v in zip(names, self._companions(POINTS), strict=True)}
        feeds |= {manifest.input: x, contract.TARGET: wanted.astype(np.int64)}
        objective = OBJECTIVES[manifest.objective]

        def errors(out: dict[str, Any]) -> Errors:
            _same_function(out, manifest, logits)
            ratio = scale_ratio(
                out[contract.SCALE].astype(np.float64), objective.factor(objective.margin(logits, target))
            )
            given = out[contract.GRADIENT].astype(np.float64).reshape(POINTS, -1) * ratio[:, None]
            return _relative(given, true), score_error(out, objective, logits, target)

        def unavoidable() -> float:
            # Of a model that is that ill-conditioned, torch's own float32 gradient is no better.
            single = _relative(self._margin(self._subject.call, x, target)[1], true)
            return 3 * float(np.median(single))

        return feeds, errors, unavoidable

    def check_rows(self) -> None:
        """ModelError unless the module gives an image the same result twice, and alone as among others.

        The gradient too: `detach` hides from the logits what it leaves in the gradient.
        """

        def both(feeds: dict[str, Array]) -> dict[str, Array]:
            with numbers_in_float64(self._subject):
                logits, gradient = self._margin(self._call, feeds["x"].astype(np.float64), feeds["target"])
            return {"logits": logits, "gradient": gradient}

        x = np.random.default_rng(20240229).random((POINTS, *self._subject.shape), np.float32)
        target = np.arange(POINTS) % self._subject.classes(self._settings.objective)
        check_rows(both, {"x": x, "target": target}, ["logits", "gradient"], bound=EXACT)

    def _logits(self, call: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
        return compared(call(*self._values(x)), self._subject.binary(self._settings.objective))

    def _values(self, x: torch.Tensor) -> list[torch.Tensor]:
        """What the module takes for the images `x`, in the type of `x`."""
        x = x.to(self._subject.example[0].device)
        values = [v.to(x.dtype) if v.is_floating_point() else v for v in self._companions(len(x))]
        values.insert(self._subject.explained, normalised(x, self._settings))
        return values

    def _margin(self, call: torch.nn.Module, inputs: Array, target: Array) -> tuple[Array, Array]:
        """The logits that are compared, and the gradient of the objective's margin, one row per input."""
        device = self._subject.example[0].device
        x = torch.from_numpy(inputs).to(device).requires_grad_()
        logits = self._logits(call, x)
        if not logits.requires_grad:
            raise ModelError(
                "the module's logits do not depend on the input through differentiable operations: compute "
                "them without detach, argmax, rounding or comparison"
            )
        _, onehot = choose(logits.detach(), torch.from_numpy(target).to(device))
        objective = self._subject.effective(self._settings.objective)
        margin = TORCH_OBJECTIVES[objective].margin(logits, onehot)
        (gradient,) = torch.autograd.grad(margin.sum(), x)
        return logits.detach().cpu().numpy(), gradient.reshape(len(x), -1).cpu().numpy()

    def _companions(self, count: int) -> list[torch.Tensor]:
        rows = list(self._subject.rows(count))
        rows.pop(self._subject.explained)
        return rows


def _same_function(out: dict[str, Any], manifest: Manifest, logits: Array) -> None:
    """ModelError where the graph's own outputs are not the module's: its derivative cannot be right then."""
    own = out.get(manifest.outputs[0]) if manifest.outputs else None
    if own is None or manifest.precision != "float32" or own.size != logits.size:
        return
    apart = np.linalg.norm(own.astype(np.float64).reshape(logits.shape) - logits) / np.linalg.norm(logits)
    if apart > FORWARD_ERROR:
        raise ModelError(
            f"the exported model gives other outputs than the module (off by {apart:.1e}): torch's exporter "
            "changed or left out part of it; write a file that ends in .pt, or replace that part"
        )


def _relative(given: Array, true: Array) -> Array:
    norm = np.linalg.norm(true, axis=1)
    errors: Array = np.linalg.norm(given - true, axis=1) / np.where(norm > 0, norm, 1.0)
    return errors


def normalised(x: torch.Tensor, settings: Settings) -> torch.Tensor:
    """(x - mean) / std, one entry per channel; a copy of `x`, which modules can overwrite, without them."""
    if settings.mean is None or settings.std is None:
        return x.clone()
    if x.ndim < 2 or not x.shape[1] == len(settings.mean) == len(settings.std):
        raise ModelError(
            f"mean and std have {len(settings.mean)} and {len(settings.std)} entries, and an input of shape "
            f"{list(x.shape[1:])} needs one of each per channel"
        )
    mean, std = (
        torch.tensor(list(v), dtype=x.dtype, device=x.device).reshape(-1, *[1] * (x.ndim - 2))
        for v in (settings.mean, settings.std)
    )
    return (x - mean) / std


@contextmanager
def numbers_in_float64(subject: Subject) -> Iterator[None]:
    """Tensors that the module makes as it runs are float64 as well."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    except ModelError:
        raise
    except Exception as error:  # whatever the module raises
        raise ModelError(
            f"the module cannot run in float64, which verification needs: {reason(error)}"
        ) from error
    finally:
        torch.set_default_dtype(usual)
