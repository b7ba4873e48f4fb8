"""Every side computes what fluxpath does, on its own way; and says what it lacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
from torch import nn  # noqa: E402

from fluxpath.bench import torch_sides  # noqa: E402
from fluxpath.bench.agreement import distances  # noqa: E402
from fluxpath.bench.folding import left_in  # noqa: E402
from fluxpath.bench.graph_sides import predicted  # noqa: E402
from fluxpath.bench.sides import FOLDED, missing, opened  # noqa: E402
from fluxpath.bench.work import LeftOut, Setup, Work  # noqa: E402
from fluxpath.errors import ModelError  # noqa: E402
from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.runtime import (  # noqa: E402
    AGI,
    MFABA,
    ExpectedGradients,
    InputXGradient,
    IntegratedGradients,
    NeFLAG,
    Saliency,
    SmoothGrad,
)

pytestmark = pytest.mark.filterwarnings("ignore")  # those of torch and Captum are not ours to mend
SHAPE = (3, 8, 8)
RAMP = np.linspace(-1, 1, 192, dtype=np.float32).reshape(SHAPE)


def network() -> nn.Module:
    """A convolution, a batch normalisation, and something smooth."""
    torch.manual_seed(0)
    ends = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 5))
    made = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), ends).eval()
    made[1].running_mean.normal_(0, 0.3)
    made[1].running_var.uniform_(0.3, 2)
    return made


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Setup:
    """A model in [-1, 2] that normalises, of which six images are explained."""
    folder = tmp_path_factory.mktemp("sides")
    settings: dict[str, Any] = {"input_range": (-1.0, 2.0), "mean": [0.4] * 3, "std": [0.3] * 3}
    exported = gradient_from_torch(network(), torch.zeros(1, *SHAPE), folder / "g.onnx", **settings)
    images = np.random.default_rng(0).uniform(-1, 2, (6, *SHAPE)).astype(np.float32)
    np.save(folder / "images.npy", images)
    none = np.zeros(6, np.int64)
    made = Setup(exported.path, exported.manifest, network, folder / "images.npy", none, 1)
    return replace(made, targets=predicted(made)[0])


@pytest.fixture(scope="module")
def sides(setup: Setup) -> dict[str, Any]:
    return {name: opened(name, setup) for name in ("fluxpath", "published", "folded", "best")}


@pytest.mark.parametrize("slots", [4, 50])
@pytest.mark.parametrize(
    "method",
    [
        None,
        MFABA("sharp", step_size=0.1, max_steps=20),
        MFABA("smooth", rule="left", step_size=0.01, max_steps=10),
        NeFLAG(n=5, radius=0.05, max_steps=4),
        NeFLAG(n=3, radius=0.05, max_steps=4, stop="label"),
        Saliency(),
        Saliency(absolute=False),
        InputXGradient(),
        *(IntegratedGradients(6, rule) for rule in IntegratedGradients.RULES),
        IntegratedGradients(6, baseline=RAMP),
        SmoothGrad(n=5, sigma=0.05),
        SmoothGrad(n=5, sigma=0.5, clip=True),
    ],
    ids=str,
)
def test_the_loops_compute_what_fluxpath_does(
    method: Any, slots: int, setup: Setup, sides: dict[str, Any]
) -> None:
    work = Work(method, 1, 6, slots, same_noise=True)
    expected, steps = sides["fluxpath"].explain(work)
    assert expected.shape == (5, *SHAPE)
    for name, side in sides.items():
        for order in (False, True) if name == "best" else (False,):
            assert missing(name, method, setup.manifest) is None
            found, its = side.explain(replace(work, channels_last=order))
            assert distances(found, expected).max() < 1e-4, name
            if isinstance(method, MFABA | NeFLAG):
                np.testing.assert_array_equal(its, steps, name)


@pytest.mark.parametrize(
    "method",
    [Saliency(), InputXGradient(), *(IntegratedGradients(6, rule) for rule in IntegratedGradients.RULES)],
    ids=str,
)
def test_captum_computes_what_fluxpath_does(method: Any, setup: Setup, sides: dict[str, Any]) -> None:
    pytest.importorskip("captum")
    expected, _ = sides["fluxpath"].explain(Work(method, 0, 6))
    found, _ = opened("captum", setup).explain(Work(method, 0, 6, 4, channels_last=True))
    assert distances(found, expected).max() < 1e-4


@pytest.mark.parametrize("name", FOLDED)
def test_the_folded_sides_run_no_batch_normalisation(
    name: str, setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The graph has none. The model here normalises its input, so the module is within another."""
    if name == "captum":
        pytest.importorskip("captum")
    monkeypatch.setattr(torch, "compile", lambda module, dynamic: module)
    for precision in ("float32", "bfloat16"):
        side = opened(name, replace(setup, manifest=replace(setup.manifest, precision=precision)))
        assert {left_in(one.module) for one in side._networks.values()} == {0} and side.remark == ""


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_published_side_has_the_module_as_it_is(precision: str, setup: Setup) -> None:
    side = opened("published", replace(setup, manifest=replace(setup.manifest, precision=precision)))
    assert left_in(side._networks[False].module) == 1
    assert np.isfinite(side.explain(Work(None, 0, 2))[0]).all()


@pytest.mark.parametrize(
    "method", [SmoothGrad(n=64, sigma=0.02), ExpectedGradients(np.stack([RAMP, RAMP / 2]), n=200)], ids=type
)
def test_captums_own_noise_leaves_the_mean(method: Any, setup: Setup, sides: dict[str, Any]) -> None:
    pytest.importorskip("captum")
    torch.manual_seed(0)
    expected, _ = sides["fluxpath"].explain(Work(method, 0, 6))
    found, _ = opened("captum", setup).explain(Work(method, 0, 6))
    assert 1e-6 < np.median(distances(found, expected)) < 0.2


def test_openvino_computes_what_fluxpath_does(setup: Setup, sides: dict[str, Any]) -> None:
    pytest.importorskip("openvino")
    expected, _ = sides["fluxpath"].explain(Work(None, 0, 4))
    found, _ = opened("openvino", setup).explain(Work(None, 0, 4))
    assert distances(found, expected).max() < 1e-4


def test_random_points_differ_unless_the_same_are_asked_for(sides: dict[str, Any]) -> None:
    for method in (SmoothGrad(n=4), NeFLAG(n=4, max_steps=2, radius=0.1)):
        for name in ("published", "best"):
            one, other = (sides[name].explain(Work(method, 0, 2))[0] for _ in range(2))
            assert (one != other).any()


def test_fluxpath_tells_its_evaluations(sides: dict[str, Any]) -> None:
    facts = sides["fluxpath"].facts(Work(IntegratedGradients(6), 0, 4, 8))
    assert facts.evaluations == 7 and 0 <= facts.outside <= 1
    assert sides["fluxpath"].facts(Work(None, 0, 4)).evaluations == 1
    assert sides["fluxpath"].facts(Work(NeFLAG(n=2, max_steps=1), 0, 3)).evaluations == 5  # and the image


def test_what_a_side_lacks(setup: Setup) -> None:
    manifest = setup.manifest
    assert missing("fluxpath", AGI(), manifest) is None
    for side, method in [
        ("openvino", Saliency()),
        ("captum", None),
        ("captum", NeFLAG()),
        ("captum", SmoothGrad(variant="squared")),
        ("best", MFABA(path="norm", step_size=0.1)),
        ("best", MFABA()),  # no number that both could have
        ("published", AGI()),
        ("compiled", SmoothGrad(variant="variance")),
    ]:
        assert missing(side, method, manifest), (side, method)
    deeplift = replace(manifest, rules="deeplift")
    assert "deeplift" in (missing("best", None, deeplift) or "")


def test_a_side_that_cannot_be_had_says_why(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(LeftOut, match="no torch module"):
        opened("best", replace(setup, make=None))
    with pytest.raises(LeftOut, match="TorchScript"):
        opened("openvino", replace(setup, graph=Path("g.pt")))
    with pytest.raises(LeftOut, match="on the CPU only"):
        opened("openvino", replace(setup, device="cuda"))

    def broken(*_: Any, **__: Any) -> nn.Module:
        class Fails(nn.Module):
            def forward(self, x: Any) -> Any:
                raise RuntimeError("first\ng++: error: no such thing\nlast")

        return Fails()

    monkeypatch.setattr(torch, "compile", broken)
    with pytest.raises(LeftOut, match=r"torch\.compile fails: g\+\+: error: no such thing"):
        opened("compiled", setup)


def test_compiled_is_the_best_loop(
    setup: Setup, sides: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "compile", lambda module, dynamic: module)
    work = Work(MFABA("sharp", step_size=0.1, max_steps=3), 0, 4)
    found = opened("compiled", setup).explain(work)
    np.testing.assert_array_equal(found[0], sides["best"].explain(work)[0])


class Wrapped(nn.Module):
    """A module that gives its logits in some form."""

    def __init__(self, form: Any) -> None:
        super().__init__()
        self.net, self.form = network(), form

    def forward(self, x: Any) -> Any:
        return self.form(self.net(x))


@pytest.mark.parametrize(
    "form", [lambda z: {"logits": z, "more": z}, lambda z: SimpleNamespace(logits=z), lambda z: z.softmax(1)]
)
def test_a_module_that_returns_more_or_probabilities(form: Any, setup: Setup, sides: dict[str, Any]) -> None:
    side = opened("best", replace(setup, make=lambda: Wrapped(form)))
    work = Work(None, 0, 6)
    assert distances(side.explain(work)[0], sides["best"].explain(work)[0]).max() < 1e-3


def test_a_module_of_one_logit(tmp_path: Path) -> None:
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1)).eval()
    exported = gradient_from_torch(made, torch.zeros(1, 6), tmp_path / "g.onnx", objective="sigmoid")
    images = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    np.save(tmp_path / "x.npy", images)
    setup = Setup(
        exported.path, exported.manifest, lambda: made, tmp_path / "x.npy", np.array([0, 1, 1, 0]), 1
    )
    expected, _ = opened("fluxpath", setup).explain(Work(None, 0, 4))
    for name in ("published", "best"):
        assert distances(opened(name, setup).explain(Work(None, 0, 4))[0], expected).max() < 1e-5


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: 3, "gives an object of type int, and must give a torch.nn.Module"),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 7)), "has 7 classes, and the gradient graph 5"),
        (lambda: nn.Linear(3, 5), "fails on the example"),
    ],
)
def test_a_module_that_does_not_fit(make: Any, why: str, setup: Setup) -> None:
    with pytest.raises(ModelError, match=why):
        torch_sides.opened("best", replace(setup, make=make))
