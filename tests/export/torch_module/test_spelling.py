"""What torch's exporters to ONNX lack or write wrongly, against the module itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from small import run

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.utils import parametrizations  # noqa: E402

from fluxpath.export.torch_module.exporter import Attempt, to_onnx  # noqa: E402
from fluxpath.export.torch_module.subject import evaluating, subject_of  # noqa: E402


def _instance_norm() -> nn.Module:
    norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
    nn.init.uniform_(norm.running_mean), nn.init.uniform_(norm.running_var, 0.5, 2.0)
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.Flatten(), nn.Linear(144, 5))


def _pooled(size: int | tuple[int | None, int], rest: int) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Conv2d(3, 4, 2), nn.AdaptiveMaxPool2d(size), nn.Flatten(), nn.Linear(rest, 5)
    )


def _parametrized() -> nn.Module:
    return nn.Sequential(
        parametrizations.weight_norm(nn.Conv2d(3, 4, 3)), nn.Tanh(),
        parametrizations.spectral_norm(nn.Conv2d(4, 2, 3)), nn.Flatten(),
        parametrizations.orthogonal(nn.Linear(32, 5)),
    )  # fmt: skip


@pytest.mark.parametrize(
    "build",
    [_instance_norm, _pooled((3, 2), 24), _pooled(1, 4), _pooled((None, 7), 196), _parametrized],
    ids=["instance norm", "unequal windows", "one window", "equal windows", "parametrized"],
)
def test_the_onnx_model_is_the_module(build: Callable[[], nn.Module], tmp_path: Path) -> None:
    module = modules.made(build)
    before = {k: v.clone() for k, v in module.state_dict().items()}
    x = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    with evaluating(module):
        proto = to_onnx(subject_of(module, x, None, None), Attempt(newer=True, plain_attention=False))
        expected = module(x).detach().numpy()
    assert {n.domain for n in proto.graph.node} <= {""}
    onnx.checker.check_model(proto)
    (entry,) = proto.graph.input
    entry.name, first = "x", entry.name
    for node in proto.graph.node:
        node.input[:] = ["x" if n == first else n for n in node.input]
    (found,) = run(proto, x.numpy()).values()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(v, before[k]) for k, v in module.state_dict().items())
