"""fluxpath.runtime.pair beside the real package `saliency`: the same shapes, and the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import small

saliency = pytest.importorskip(
    "saliency.core", reason="PAIR's saliency is not installed", exc_type=ImportError
)

from fluxpath.errors import InputError  # noqa: E402
from fluxpath.methods import NAMES  # noqa: E402
from fluxpath.runtime import Explainer, methods, pair  # noqa: E402

TARGET = {"target": 1}


@pytest.fixture(scope="module")
def explainer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    small.export(small.cnn(dims="batch,3,9,10"), folder)
    with Explainer(folder / "model.grad.onnx", threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def unbounded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    small.export(small.cnn(dims="batch,3,9,10"), folder, input_range=None)
    with Explainer(folder / "model.grad.onnx", threads=1) as opened:
        yield opened


@pytest.fixture(params=["last", "first"])
def x(request):
    """A photo [h, w, c], as PAIR's examples have it, or in the model's layout."""
    image = small.images(1, 9, 10, 3)[0]
    return image if request.param == "last" else np.moveaxis(image, 2, 0)


def close(given, wanted):
    assert given.dtype == np.float32 and given.shape == wanted.shape
    assert np.linalg.norm(given - wanted) < 1e-5 * np.linalg.norm(wanted)


SAME = [
    ("GradientSaliency", {}),
    ("IntegratedGradients", {}),
    ("IntegratedGradients", {"x_steps": 2, "batch_size": 7}),
    ("IntegratedGradients", {"x_steps": 9, "x_baseline": "half"}),
    ("GuidedIG", {"x_steps": 20}),
    ("GuidedIG", {"x_steps": 20, "x_baseline": "grey", "fraction": 0.5, "max_dist": 0.3}),
]


def settings_of(given, x):
    baseline = {"half": x / 2, "grey": np.full_like(x, 0.25)}.get(given.get("x_baseline"))
    return {**given, **({} if baseline is None else {"x_baseline": baseline})}


@pytest.mark.parametrize(("name", "settings"), SAME)
def test_masks_are_those_of_pairs_classes(explainer, x, name, settings, monkeypatch):
    """PAIR's on the same gradients, which `call_model_function` gives it."""
    quantile = np.quantile  # PAIR's Guided IG has the keyword that numpy 2.4 took away
    monkeypatch.setattr(np, "quantile", lambda a, q, interpolation: quantile(a, q, method=interpolation))
    settings = settings_of(settings, x)
    theirs = getattr(saliency, name)()
    wanted = theirs.GetMask(x, pair.call_model_function(explainer), TARGET, **settings)
    close(getattr(pair, name)().GetMask(x, explainer, TARGET, **settings), wanted)


@pytest.mark.parametrize("magnitude", [True, False])
@pytest.mark.parametrize(("name", "settings"), [SAME[0], SAME[3]])
def test_smoothed_masks_are_those_of_pairs_classes(unbounded, x, name, settings, magnitude):
    """With the same seed: in a model without a range, since PAIR knows none."""
    settings = {**settings_of(settings, x), "nsamples": 35, "magnitude": magnitude, "stdev_spread": 0.1}
    np.random.seed(4)  # noqa: NPY002 - PAIR draws from it
    theirs = getattr(saliency, name)()
    wanted = theirs.GetSmoothedMask(x, pair.call_model_function(unbounded), TARGET, **settings)
    np.random.seed(4)  # noqa: NPY002
    close(getattr(pair, name)().GetSmoothedMask(x, unbounded, TARGET, **settings), wanted)


def test_noise_stays_in_the_range_and_keeps_the_class(explainer, x):
    first = int(explainer.attribute(np.moveaxis(x, -1, 0)[None] if x.shape[2] == 3 else x[None]).label[0])
    masks = []
    for arguments in (None, {"target": first}):
        np.random.seed(1)  # noqa: NPY002
        masks.append(pair.MFABA().GetSmoothedMask(x, explainer, arguments, 2.0, 5, step_size=0.05))
    assert np.isfinite(masks[0]).all() and masks[0].any()
    np.testing.assert_array_equal(*masks)


@pytest.mark.parametrize("name", sorted({name for name, _ in NAMES.values()} - {"DeepLIFT", "Saliency"}))
def test_every_method_has_its_masks(explainer, x, name):
    settings = {
        "ExpectedGradients": {"background": small.images(2, 3, 9, 10), "n": 4},
        "LPI": {"references": small.images(2, 3, 9, 10)},
        "AGI": {"classes": 2, "max_steps": 3},
        "BIG": {"integration_steps": 4},
        "IntegratedGradients": {"x_steps": 4},
        "GuidedIG": {"x_steps": 4},
    }.get(name, {})
    mask = getattr(pair, name)().GetMask(x, explainer, TARGET, **settings)
    assert mask.shape == x.shape and mask.dtype == np.float32
    if name in ("MFABA", "NeFLAG", "InputXGradient", "SmoothGrad"):
        image = np.moveaxis(x, -1, 0) if x.shape[2] == 3 else x
        wanted = explainer.attribute(image, 1, getattr(methods, name)()).values[0]
        np.testing.assert_array_equal(mask, np.moveaxis(wanted, 0, -1) if x.shape[2] == 3 else wanted)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("make", "settings"),
    [(saliency.BlurIG, {"steps": 5}), (saliency.Occlusion, {"size": 3}), (saliency.XRAI, {})],
)
def test_pairs_own_classes_run_on_the_file(explainer, make, settings):
    x = small.images(1, 9, 10, 3)[0]
    if make is saliency.XRAI:
        settings = {"segments": [np.tile(np.arange(10) < 5, (9, 1)), np.tile(np.arange(10) >= 5, (9, 1))]}
    mask = make().GetMask(x, pair.call_model_function(explainer), TARGET, **settings)
    assert mask.shape[:2] == (9, 10) and np.isfinite(mask).all() and mask.any()


@pytest.mark.parametrize("name", ["VisualizeImageGrayscale", "VisualizeImageDiverging"])
def test_pictures_are_pairs(name):
    mask = np.random.default_rng(0).normal(0.1, 1, (9, 10, 3))
    for percentile in (99, 80):
        wanted = getattr(saliency, name)(mask, percentile)
        np.testing.assert_allclose(getattr(pair, name)(mask, percentile), wanted, rtol=1e-12)
        np.testing.assert_allclose(
            getattr(pair, name)(np.moveaxis(mask, 2, 0), percentile), wanted, rtol=1e-12
        )
    assert not getattr(pair, name)(np.zeros((9, 10, 3))).any()


IMAGE = np.full((9, 10, 3), 0.5, np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda e: pair.MFABA().GetMask(IMAGE, e, {"class": 1}),
            r"call_model_args has \['class'\], it can have",
        ),
        (lambda e: pair.MFABA().GetMask(IMAGE, e, x_steps=3), "MFABA has no setting 'x_steps'"),
        (lambda e: pair.IntegratedGradients().GetMask(IMAGE, e, steps=3), "no setting .*'steps'.* x_steps"),
        (lambda e: pair.IntegratedGradients().GetMask(IMAGE, e, x_steps=1), "x_steps is 1"),
        (lambda e: pair.IntegratedGradients().GetMask(IMAGE, e, x_baseline=IMAGE[0]), "x_baseline has shape"),
        (lambda e: pair.GuidedIG().GetMask(IMAGE, e, x_baseline=np.eye(10)), "x_baseline has shape"),
        (lambda e: pair.MFABA().GetMask(IMAGE[:5], e), "images have shape"),
        (lambda e: pair.MFABA().GetMask((255 * IMAGE).astype(np.uint8), e), "dtype uint8"),
        (lambda e: pair.MFABA().GetMask(IMAGE * 4, e), "images range from"),
        (lambda e: pair.MFABA().GetMask(IMAGE, e, {"target": 5}), "target 5 is not a class"),
        (lambda e: pair.MFABA().GetSmoothedMask(IMAGE, e, nsamples=0), "nsamples is 0"),
        (lambda e: pair.MFABA().GetSmoothedMask(IMAGE, e, stdev_spread=-1), "stdev_spread is -1"),
        (lambda e: pair.VisualizeImageGrayscale(IMAGE[0]), r"a mask has shape \[h, w, c\]"),
        (
            lambda e: pair.call_model_function(e)(IMAGE[None], None, ["CONVOLUTION_LAYER_VALUES"]),
            "has no .*CONVOLUTION",
        ),
    ],
)
def test_mistakes_end_in_a_sentence(explainer, call, message):
    with pytest.raises(InputError, match=message):
        call(explainer)


def test_it_needs_an_explainer_and_a_dict(explainer, x):
    with pytest.raises(InputError, match=r"explainer is .*, it must be an open fluxpath"):
        pair.GradientSaliency().GetMask(x, None, TARGET)
    with pytest.raises(InputError, match=r"call_model_args is \[1\], it must be a dict"):
        pair.GradientSaliency().GetMask(x, explainer, [1])
    assert pair.GradientSaliency().GetMask(x, explainer, None).shape == x.shape
