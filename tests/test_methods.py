"""Settings that are lengths, in units of the model's range: every method on [0, 255] as on [0, 1]."""

from __future__ import annotations

from dataclasses import replace

import models
import numpy as np
import point_twins
import pytest
import twins
import twins_walks
from sessions import CLASSES, DeviceLinear, LinearSession, explain
from twins import Array, relative_error
from whole_files import opened

from fluxpath.errors import InputError
from fluxpath.export import attribution_from_gradient
from fluxpath.methods import length, width_of
from fluxpath.preprocessing import Preprocessing
from fluxpath.runtime import AGI, BIG, MFABA, Explainer, Method, NeFLAG, SmoothGrad

WALKS: list[Method] = [
    *(MFABA(a, r, p, step_size=s) for a, s in (("sharp", 0.02), ("smooth", 0.01))  # type: ignore[arg-type]
      for r in ("trapezoid", "left") for p in ("taylor", "norm", "cosine")),  # type: ignore[arg-type]
    MFABA(),
    MFABA(step_size=0.1),
    MFABA("smooth", step_size=0.2, max_steps=4),  # as far as the bound of 0.3
    NeFLAG(n=3),
    NeFLAG(n=3, radius=0.1),
    NeFLAG(n=3, stop="label", radius=0.05),
    AGI(classes=2),
    BIG(integration_steps=10),
    BIG(radii=(0.05, 0.4), max_steps=6, integration_steps=5),
]  # fmt: skip
"""Their attributions are in units of the objective, whatever those of the input."""
SAMPLES = [SmoothGrad(n=5), SmoothGrad(n=5, clip=True), SmoothGrad(n=5, variant="variance", sigma=0.05)]
"""Their attributions are gradients, per unit of the input, or squares of them."""


def pixels(*shape: int) -> np.ndarray:
    """Whole numbers from 0 to 255: divided by 255 in float32 they are the images that the model sees."""
    return np.random.default_rng(3).integers(0, 256, shape).astype(np.float32)


def same(given, true, factor: float = 1.0, tolerance: float = 2e-5) -> None:
    assert given.steps.tolist() == true.steps.tolist() and given.status.tolist() == true.status.tolist()
    for one, other in zip(given.values, true.values, strict=True):
        assert relative_error(one * factor, other) < tolerance


class Wide(LinearSession):
    """The linear model behind a map from [low, high] to [0, 1]."""

    ends = (0.0, 255.0)

    def bind(self, lanes) -> None:
        super().bind(lanes)
        lanes.output = None  # which LinearSession takes from the point itself

    def evaluate(self, point: Array, target: int = -1) -> tuple[float, int, Array]:
        low, high = self.ends
        score, label, gradient = super().evaluate((point - low) / (high - low), target)
        return score, label, gradient / (high - low)


class WideDevice(Wide, DeviceLinear):
    """The same, with its lanes on a device."""


def wide(kind: type[Wide] = Wide, low: float = 0.0, high: float = 255.0) -> Wide:
    session = kind()
    session.ends = (low, high)
    session.manifest = replace(session.manifest, low=low, high=high)
    return session


def test_the_unit_is_the_width_of_a_range_with_two_ends() -> None:
    ranges = [(0.0, 1.0), (0.0, 255.0), (-1.0, 1.0), (None, 255.0), (0.0, None), (None, None)]
    assert [width_of(*ends) for ends in ranges] == [1.0, 255.0, 2.0, 1.0, 1.0, 1.0]
    assert width_of(0.0, np.inf) == width_of(-np.inf, np.inf) == 1.0


def test_a_length_that_float32_lacks_is_refused_by_its_name() -> None:
    assert length("step_size", 0.1, 255.0) == 25.5
    message = r"step_size times the width of the input's range \(1e\+06\) is 1e\+38, it must be a finite"
    with pytest.raises(InputError, match=message):
        length("step_size", 1e32, 1e6)
    with pytest.raises(InputError, match="radius times the width"):
        explain(wide(), pixels(1, 6), NeFLAG(radius=9e36))


@pytest.mark.parametrize("method", WALKS, ids=repr)
def test_a_walk_on_bytes_is_the_walk_on_shares(graph, method) -> None:
    images = pixels(4, *models.shape_of("smooth"))
    with Explainer(graph("smooth"), threads=1) as explainer:
        true = explainer.attribute(images / np.float32(255), None, method)
    with Explainer(graph("smooth255", input_range=(0.0, 255.0)), threads=1) as explainer:
        same(explainer.attribute(images, None, method), true)


@pytest.mark.parametrize("method", SAMPLES, ids=repr)
def test_noise_on_bytes_is_the_noise_on_shares(graph, method) -> None:
    images = pixels(3, *models.shape_of("smooth"))
    with Explainer(graph("smooth"), threads=1) as explainer:
        true = explainer.attribute(images / np.float32(255), None, method)
    with Explainer(graph("smooth255", input_range=(0.0, 255.0)), threads=1) as explainer:
        same(explainer.attribute(images, None, method), true, 255.0 ** (1 + (method.variant == "variance")))


@pytest.mark.parametrize("method", [*WALKS, SAMPLES[0]], ids=repr)
@pytest.mark.parametrize(("kind", "ends"), [(Wide, (-1.0, 1.0)), (WideDevice, (0.0, 255.0))])
def test_every_kind_of_lanes_keeps_to_the_unit(kind, method, ends) -> None:
    low, high = ends
    shares = pixels(3, 6) / np.float32(255)
    true = explain(wide(high=1.0), shares, method)
    given = explain(wide(kind, low, high), (low + (high - low) * shares).astype(np.float32), method)
    same(given, true, high - low if isinstance(method, SmoothGrad) else 1.0, 1e-4)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("mfaba-sharp", {"step_size": 0.02}),
        ("mfaba-sharp", {"path": "norm"}),
        ("mfaba-smooth", {"step_size": 0.2, "max_steps": 4}),
        ("neflag", {"n": 3}),
    ],
)
def test_a_file_on_bytes_is_the_file_on_shares(graph, tmp_path, name, settings) -> None:
    images = pixels(4, *models.shape_of("smooth"))
    outputs = []
    for ends, model, given in (
        ((0.0, 1.0), "smooth", images / np.float32(255)),
        ((0.0, 255.0), "smooth255", images),
    ):
        source = graph(model, input_range=ends)
        done = attribution_from_gradient(source, tmp_path / f"{model}.onnx", method=name, settings=settings)
        assert settings.items() <= done.manifest.settings.items()
        outputs.append(opened(done.path)(given))
    true, found = outputs
    assert found["steps"].tolist() == true["steps"].tolist() and true["steps"].all()
    assert found["status"].tolist() == true["status"].tolist()
    for one, other in zip(found["attribution"], true["attribution"], strict=True):
        assert relative_error(one, other) < 2e-5


def test_the_twins_on_bytes(graph) -> None:
    """The papers' equations, with every length times 255."""
    path, high = graph("smooth255", input_range=(0.0, 255.0)), 255.0
    model, images = models.Float64Gradient(path), pixels(2, *models.shape_of("smooth"))
    starts = lambda image: twins.neflag_starts(image, 3, 0, 0.1 * high, 0.0, high)  # noqa: E731
    sharp = {"step_size": 0.02, "high": high, "width": 255.0}
    cases = [
        (MFABA(step_size=0.02), lambda image, f: twins.mfaba(f, image, **sharp)),
        (
            MFABA("smooth", step_size=0.2, max_steps=4),
            lambda image, f: twins.mfaba(
                f, image, ascent="smooth", max_steps=4, step_size=0.2, high=high, width=255.0
            ),
        ),
        (
            NeFLAG(n=3, radius=0.1),
            lambda image, f: twins.neflag(f, image, starts(image), radius=0.1 * high, high=high),
        ),
        (
            BIG(),
            lambda image, f: twins_walks.big(
                lambda p: flat(f, p), image.ravel(), f(image)[1], high=high, width=255.0
            ),
        ),
        (SmoothGrad(n=4), lambda image, f: point_twins.smoothgrad(f, image, n=4, sigma=0.15 * high)),
    ]
    with Explainer(path, threads=1) as explainer:
        for method, slow in cases:
            result = explainer.attribute(images, None, method)
            for i, image in enumerate(images.astype(np.float64)):
                walk = slow(image, model.for_target(None))
                assert (result.steps[i], result.status[i]) == (walk.steps, walk.status), method
                assert relative_error(result.values[i], walk.values) < 2e-5, method


def test_agis_twin_on_bytes() -> None:
    session, method = wide(), AGI(classes=2, seed=1)
    images = pixels(3, 6)
    result = explain(session, images, method)
    for i, image in enumerate(images.astype(np.float64)):
        explained = session.evaluate(image)[1]
        order = np.random.Generator(np.random.Philox(key=1)).permutation(CLASSES)
        others = [int(c) for c in order if c != explained]
        walk = twins_walks.agi(session.evaluate, image, explained, others, high=255.0, width=255.0)
        assert (result.steps[i], result.status[i]) == (walk.steps, walk.status)
        assert relative_error(result.values[i], walk.values) < 2e-5


def flat(model, point: Array) -> tuple[float, int, Array]:
    """The model at a point that has lost its shape."""
    score, label, gradient = model(point.reshape(models.shape_of("smooth")))
    return score, label, gradient.ravel()


@pytest.mark.parametrize(
    ("given", "same"),
    [
        (NeFLAG(n=np.int32(3), radius=np.float64(0.5)), NeFLAG(n=3, radius=0.5)),  # type: ignore[arg-type]
        (MFABA(step_size=np.float32(0.5)), MFABA(step_size=0.5)),  # type: ignore[arg-type]
        (SmoothGrad(seed=np.uint64(7), clip=np.bool_(True)), SmoothGrad(seed=7, clip=True)),  # type: ignore[arg-type]
        (AGI(classes=np.int64(2)), AGI(classes=2)),  # type: ignore[arg-type]
        (BIG(bisections=np.int16(4)), BIG(bisections=4)),  # type: ignore[arg-type]
        (Preprocessing(np.int64(9), np.int64(8)), Preprocessing(9, 8)),  # type: ignore[arg-type]
    ],
)
def test_numbers_of_numpy_are_numbers(given: object, same: object) -> None:
    """Their repr tells runs apart, so it must be the same."""
    assert given == same and repr(given) == repr(same) and hash(given) == hash(same)
    for wrong in (np.float64(2.0), np.bool_(True), np.int64(0), 2.0, True):
        with pytest.raises(InputError, match=r"n is .*, it must be an integer from 1"):
            NeFLAG(n=wrong)  # type: ignore[arg-type]
