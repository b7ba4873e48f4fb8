"""Importance maps against slow plain twins (loops over pixels, in float64), and their edges."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import Drawing, normalize
from fluxpath.runtime.pictures.maps import evidence, smoothed, weights


def signed(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


# --- slow twins


def slow_percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    k = min(int(place), len(ordered) - 2)
    return ordered[k] + (place - k) * (ordered[k + 1] - ordered[k])


def slow_normalize(values: np.ndarray, low: float = 80, high: float = 99, channels: str = "sum") -> Any:
    join = {"sum": sum, "abs": lambda v: sum(abs(x) for x in v), "max": max}[channels]
    c, h, w = values.shape
    flat = [[float(join([float(values[k, i, j]) for k in range(c)])) for j in range(w)] for i in range(h)]
    everything = [x for row in flat for x in row]
    q, u = slow_percentile(everything, low), slow_percentile(everything, high)
    return [[(min(max(x, q), u) - q) / (u - q) for x in row] for row in flat]


def slow_smooth(plane: Any, sigma: float) -> list[list[float]]:
    """The mean of all pixels, each weighted by exp(-d^2 / (2 sigma^2)) at the distance d."""
    h, w = len(plane), len(plane[0])
    out = [[0.0] * w for _ in range(h)]
    for i in range(h):
        for j in range(w):
            total = whole = 0.0
            for y in range(h):
                for x in range(w):
                    weight = math.exp(-((i - y) ** 2 + (j - x) ** 2) / (2 * sigma**2))
                    total, whole = total + weight * plane[y][x], whole + weight
            out[i][j] = total / whole
    return out


def slow_weights(values: np.ndarray, polarity: str, low: float, high: float, sigma: float = 0) -> Any:
    """By the words of `Drawing`: sum, smooth, keep the signs that are shown, clip the magnitudes."""
    flat = [
        [sum(float(v) for v in values[:, i, j]) for j in range(values.shape[2])]
        for i in range(values.shape[1])
    ]
    flat = slow_smooth(flat, sigma) if sigma else flat
    kept = {"positive": lambda v: max(v, 0.0), "negative": lambda v: min(v, 0.0), "both": lambda v: v}[
        polarity
    ]
    flat = [[kept(v) for v in row] for row in flat]
    sizes = [abs(v) for row in flat for v in row]
    q, u = slow_percentile(sizes, low), slow_percentile(sizes, high)
    u = u if u > q else max(sizes)
    return [[math.copysign((min(max(abs(v), q), u) - q) / (u - q), v) for v in row] for row in flat]


# --- normalize


@pytest.mark.parametrize("channels", ["sum", "abs", "max"])
@pytest.mark.parametrize("shape", [(1, 5, 7), (3, 33, 20), (4, 1, 9), (9, 4)])
@pytest.mark.parametrize(("low", "high"), [(80.0, 99.0), (0.0, 100.0), (12.5, 61.0)])
def test_normalize_is_its_slow_twin(channels: Any, shape: tuple[int, ...], low: float, high: float) -> None:
    values = signed(*shape)
    fast = normalize(values, low, high, channels=channels)
    assert fast.dtype == np.float32
    assert fast.shape == shape[-2:]
    expected = slow_normalize(values.reshape(-1, *shape[-2:]), low, high, channels)
    np.testing.assert_allclose(fast, expected, atol=1e-6)


def test_normalize_defaults_are_the_papers() -> None:
    values = signed(3, 20, 20)
    result = normalize(values)
    np.testing.assert_allclose(result, slow_normalize(values), atol=1e-6)
    assert (result == 0).sum() == 320  # 80% of 400 pixels are q
    assert (result == 1).sum() == 4  # 1% are u


def test_normalize_keeps_its_input_and_takes_any_real_dtype() -> None:
    values = signed(3, 6, 6)
    before = values.copy()
    expected = normalize(values)
    np.testing.assert_array_equal(values, before)
    np.testing.assert_allclose(normalize(values.astype(np.float32)), expected, atol=1e-6)
    integers = np.arange(-50, 50).reshape(10, 10)
    np.testing.assert_array_equal(normalize(integers), normalize(integers.astype(np.float64)))


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e308, 5e-324])
@pytest.mark.parametrize("shape", [(3, 7, 5), (7, 5), (1, 1, 1), (1, 1)])
def test_a_constant_map_is_all_zeros(value: float, shape: tuple[int, ...]) -> None:
    np.testing.assert_array_equal(normalize(np.full(shape, value)), np.zeros(shape[-2:]))


def test_a_lone_important_pixel_shows_though_the_percentiles_tie() -> None:
    values, expected = np.zeros((3, 32, 32)), np.zeros((32, 32))
    values[1, 4, 9] = 0.25
    expected[4, 9] = 1
    np.testing.assert_array_equal(normalize(values), expected)
    np.testing.assert_array_equal(normalize(-values), np.zeros((32, 32)))


@pytest.mark.parametrize("scale", [1e-300, 5e307])
def test_huge_and_tiny_values_neither_overflow_nor_vanish(scale: float) -> None:
    values = np.clip(signed(3, 12, 12), -3, 3)
    np.testing.assert_allclose(normalize(values * scale), normalize(values), atol=1e-6)


# --- what is drawn


def drawn(values: np.ndarray, **settings: Any) -> np.ndarray:
    drawing = Drawing(**settings)
    return weights(evidence(values, drawing), drawing)


@pytest.mark.parametrize("polarity", ["positive", "negative", "both"])
@pytest.mark.parametrize(("low", "high"), [(85.0, 99.5), (0.0, 100.0), (62.0, 99.9)])
@pytest.mark.parametrize("sigma", [0.0, 1.3])
def test_weights_are_their_slow_twin(polarity: Any, low: float, high: float, sigma: float) -> None:
    values = signed(3, 17, 12)
    clips = {"clip_percent_lowerbound": low, "clip_percent_upperbound": high}
    fast = drawn(values, polarity=polarity, smooth=sigma, **clips)
    np.testing.assert_allclose(fast, slow_weights(values, polarity, low, high, sigma), atol=1e-12)
    assert fast.min() >= (0 if polarity == "positive" else -1)
    assert fast.max() <= (0 if polarity == "negative" else 1)
    assert np.abs(fast).max() == 1


def test_the_strongest_pixels_are_coloured_and_no_others() -> None:
    """85% are below the lower percentile; polarity comes first, so evidence of one sign has its share."""
    for polarity in ("positive", "negative", "both"):
        assert (drawn(signed(1, 20, 20), polarity=polarity, smooth=0) != 0).sum() == 60


@pytest.mark.parametrize("shape", [(9, 6), (1, 11), (7, 1), (1, 1)])
@pytest.mark.parametrize("sigma", [0.4, 2.0, 50.0])
def test_smoothing_is_its_slow_twin(shape: tuple[int, int], sigma: float) -> None:
    plane = signed(*shape)
    np.testing.assert_allclose(smoothed(plane, sigma), slow_smooth(plane, sigma), atol=1e-12)


def test_smoothing_keeps_what_is_constant() -> None:
    """Also where it is nearly so: rounding errors of the means are not shown as a map."""
    for value in (0.1, -1 / 3, 1e300):
        assert not drawn(np.full((3, 70, 70), value), polarity="both").any()
    lone = np.full((1, 80, 80), 0.1)
    lone[0, 40, 40] = -5
    assert not drawn(lone, smooth=2.0)[:20].any()


def test_smoothing_comes_before_the_signs_are_parted() -> None:
    """Evidence for and against that lies side by side cancels; apart, each is seen."""
    stripes, halves = np.ones((1, 40, 40)), np.ones((1, 40, 40))
    stripes[:, :, ::2] = -1
    halves[:, :, :20] = -1
    near, far = (np.abs(evidence(v, Drawing(smooth=3.0, polarity="both"))) for v in (stripes, halves))
    assert near[10:30, 10:30].max() < 1e-3
    assert far[:, [5, 34]].min() > 0.99


def test_the_automatic_sigma_grows_with_the_image_and_leaves_small_ones_alone() -> None:
    sizes = [(8, 8), (32, 32), (64, 40), (65, 65), (224, 224), (100, 448)]
    assert [Drawing().sigma(*size) for size in sizes] == [0, 0, 0, 65 / 36, 224 / 36, 448 / 36]
    assert Drawing(smooth=2.5).sigma(8, 8) == 2.5
    values = signed(3, 70, 70)
    np.testing.assert_array_equal(drawn(values), drawn(values, smooth=70 / 36))


# --- refusals


def holding(value: float) -> np.ndarray:
    """A map [1,4,4] with this value in one pixel and one half in the others."""
    values = np.full((1, 4, 4), 0.5)
    values[0, 1, 3] = value
    return values


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (holding(math.nan), "must be finite, got NaN or infinity"),
        (holding(math.inf), "must be finite, got NaN or infinity"),
        (np.zeros(4), "got float64 [4]"),
        (np.zeros((2, 3, 4, 4)), "got float64 [2, 3, 4, 4]"),
        (np.zeros((3, 0, 4)), "got float64 [3, 0, 4]"),
        (np.zeros((0, 4, 4)), "got float64 [0, 4, 4]"),
        (np.zeros((4, 4), complex), "got complex128 [4, 4]"),
        (np.zeros((4, 4), bool), "got bool [4, 4]"),
    ],
)
def test_bad_attributions_are_refused(values: np.ndarray, said: str) -> None:
    for function in (normalize, lambda v: evidence(v, Drawing())):
        with pytest.raises(InputError, match=re.escape(said)):
            function(values)


@pytest.mark.parametrize(
    ("low", "high"), [(-1, 99), (99, 99), (math.nan, 99), (80, 101), (80, 79), (80, math.nan)]
)
def test_bad_percentiles_are_refused(low: float, high: float) -> None:
    with pytest.raises(InputError, match="0 <= low < high <= 100"):
        normalize(signed(3, 4, 4), low, high)


def test_an_unknown_way_to_join_channels_is_refused() -> None:
    with pytest.raises(InputError, match="channels is 'mean', it must be 'sum' or 'abs' or 'max'"):
        normalize(signed(3, 4, 4), channels="mean")  # type: ignore[arg-type]
