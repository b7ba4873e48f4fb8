"""The objectives in torch, and the verification that holds a graph against autograd."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402

from fluxpath.errors import VerificationError  # noqa: E402
from fluxpath.export.objectives import OBJECTIVES  # noqa: E402
from fluxpath.export.torch_module import reference as torch_reference  # noqa: E402
from fluxpath.export.torch_module.objectives import TORCH_OBJECTIVES, choose  # noqa: E402

IMAGE = torch.zeros(1, 3, modules.SIDE, modules.SIDE)
ROW = torch.zeros(1, 6)


def test_the_objectives_are_the_same() -> None:
    assert list(TORCH_OBJECTIVES) == list(OBJECTIVES)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_heads_against_their_float64_twins(name: str) -> None:
    rng = np.random.default_rng(0)
    # From undecided to so sure that 1 - p is 1e-30.
    logits = rng.standard_normal((40, 6)) * np.geomspace(0.1, 70, 40)[:, None]
    target = rng.integers(6, size=40)
    _, onehot = choose(torch.from_numpy(logits), torch.from_numpy(target))
    head = TORCH_OBJECTIVES[name].head(torch.from_numpy(logits).float(), onehot)
    single = logits.astype(np.float32).astype(np.float64)
    objective = OBJECTIVES[name]
    margin = objective.margin(single, target)
    np.testing.assert_allclose(head.score, objective.value(margin), rtol=3e-5, atol=1e-37)
    np.testing.assert_allclose(head.scale, objective.factor(margin), rtol=3e-5, atol=1e-37)
    z = torch.from_numpy(single).requires_grad_()
    value = TORCH_OBJECTIVES[name].margin(z, onehot)
    np.testing.assert_allclose(value.detach(), margin, rtol=1e-12, atol=1e-12)
    (slope,) = torch.autograd.grad(value.sum(), z)
    np.testing.assert_allclose(head.seed, slope, rtol=1e-5, atol=1e-6)


def test_ties_of_the_runner_up_go_to_the_first() -> None:
    logits = torch.tensor([[1.0, 3.0, 3.0, 0.0]])
    _, onehot = choose(logits, torch.tensor([0]))
    head = TORCH_OBJECTIVES["margin"].head(logits, onehot)
    assert head.seed.tolist() == [[1.0, -1.0, 0.0, 0.0]]


def test_the_reference_fails_on_another_gradient() -> None:
    """Verification itself: a gradient 1% off is not let through."""
    from fluxpath.export.settings import Settings
    from fluxpath.export.torch_module.subject import evaluating, subject_of
    from fluxpath.export.verification.running import Evaluate

    module = modules.made(modules.tiny)
    with evaluating(module):
        subject = subject_of(module, ROW, None, None)
    reference = torch_reference.Reference(subject, Settings())

    def times(factor: float) -> Evaluate:
        def evaluate(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
            score, gradient = modules.float64_gradient(module, feeds["input"], feeds["target"])
            label = np.zeros(len(score), np.int64)
            outputs = {"score": score, "gradient": factor * gradient, "scale": np.ones(len(score))}
            return {**outputs, "label": label}

        return evaluate

    from fluxpath.manifest import Manifest

    manifest = Manifest("input", (6,), modules.CLASSES, "softmax", 20, "none", "logits", factored=False)
    right = reference.check(times(1.0), lambda: times(1.0), manifest)
    assert right.error < 1e-12
    with pytest.raises(VerificationError):
        reference.check(times(1.01), lambda: times(1.01), manifest)
