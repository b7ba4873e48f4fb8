"""What stands where pixels are removed."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest
from metric_cases import Small, cases
from metric_twins import gaussian

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import Case
from fluxpath.runtime.metrics.layout import ranked
from fluxpath.runtime.metrics.substrates import (
    DEPENDENT,
    SUBSTRATES,
    as_substrate,
    blurred,
    exchanged,
    filled,
)

ALL = [*SUBSTRATES, *DEPENDENT, 0.25]


@pytest.mark.parametrize("sigma", [0.7, 5.0, 20.0])
def test_the_blur_is_a_plain_gaussian(sigma):
    (case,) = cases(Small(), 1)
    assert np.allclose(blurred(case.image, sigma), gaussian(case.image, sigma), atol=1e-12)


@pytest.mark.parametrize("sigma", [2.0, 20.0])
@pytest.mark.parametrize("shape", [(3, 8, 10), (1, 40, 7), (30, 100)])
def test_the_blur_is_scipys(sigma, shape):
    ndimage = pytest.importorskip("scipy.ndimage")
    image = np.random.default_rng(0).random(shape).astype(np.float32)
    expected = ndimage.gaussian_filter(image.astype(np.float64), (*[0] * (len(shape) - 2), sigma, sigma))
    assert np.allclose(blurred(image, sigma), expected, atol=1e-12)


def test_black_is_the_lowest_value():
    (case,) = cases(Small(low=-2.0, high=3.0), 1)
    assert (filled(case, "black") == -2).all()
    (case,) = cases(Small(low=None, high=None), 1)
    assert (filled(case, "black") == 0).all()


def test_mean_is_the_colour_of_the_image():
    (case,) = cases(Small(), 1)
    for channel, mean in zip(
        filled(case, "mean"), case.image.astype(np.float64).mean(axis=(1, 2)), strict=True
    ):
        assert np.allclose(channel, mean, atol=1e-7)


def test_zero_is_what_the_file_subtracts():
    (case,) = cases(Small(mean=(0.2, 0.3, 0.4), std=(1.0, 1.0, 1.0)), 1)
    assert np.allclose(filled(case, "zero")[:, 5, 5], [0.2, 0.3, 0.4])
    (case,) = cases(Small(), 1)
    assert (filled(case, "zero") == 0).all()


def test_rise_blur_is_a_convolution_of_the_normalised_image():
    """RISE's gkern(11, 5): scipy's filter of a point on 11 pixels; zeros beyond the border of x - mean."""
    ndimage = pytest.importorskip("scipy.ndimage")
    signal = pytest.importorskip("scipy.signal")
    (case,) = cases(Small(mean=(0.2, 0.3, 0.4), std=(2.0, 2.0, 2.0)), 1)
    point = np.zeros((11, 11))
    point[5, 5] = 1
    kernel = ndimage.gaussian_filter(point, 5)
    mean = np.array([0.2, 0.3, 0.4])
    for channel, image, shift in zip(
        filled(case, "rise-blur"), case.image.astype(np.float64), mean, strict=True
    ):
        expected = shift + signal.convolve2d(image - shift, kernel, mode="same")
        assert np.allclose(channel, expected, atol=1e-6)


def test_uniform_is_the_cases_own_noise():
    first, second = cases(Small(low=1.0, high=3.0), 2)
    noise = filled(first, "uniform")
    assert noise.min() >= 1 and noise.max() <= 3 and np.ptp(noise) > 1.8
    assert not np.array_equal(noise, filled(second, "uniform"))
    again = Case(second.image, first.attribution, seed=first.seed)
    assert np.array_equal(noise, filled(again, "uniform"))


@pytest.mark.parametrize("substrate", ALL)
def test_each_is_made_once_for_a_case_and_within_the_range(substrate):
    (case,) = cases(Small(), 1)
    made = filled(case, substrate)
    assert made is filled(case, substrate) and not made.flags.writeable
    assert made.dtype == np.float32 and made.shape == case.image.shape
    assert made.min() >= 0 and made.max() <= 1


def test_they_go_with_their_case():
    (case,) = cases(Small(), 1)
    gone = weakref.ref(filled(case, "blur"))
    assert gone() is not None
    del case
    gc.collect()
    assert gone() is None


def test_cases_of_one_image_can_share_them():
    (case,) = cases(Small(), 1)
    other = Case(case.image, case.attribution, case.seed, made=case.made)
    assert all(filled(case, substrate) is filled(other, substrate) for substrate in ALL)
    apart = Case(case.image, case.attribution, case.seed)
    assert filled(case, "blur") is not filled(apart, "blur")


def test_another_image_or_seed_has_its_own_though_the_dict_is_shared():
    (case,) = cases(Small(), 1)
    filled(case, "mean"), filled(case, "uniform")
    darker, reseeded = replace(case, image=case.image / 2), replace(case, seed=case.seed + 1)
    assert darker.made is case.made and reseeded.made is case.made
    for other, substrate in ((darker, "mean"), (reseeded, "uniform")):
        alone = Case(other.image, other.attribution, other.seed)
        assert np.array_equal(filled(other, substrate), filled(alone, substrate))
        assert not np.array_equal(filled(other, substrate), filled(case, substrate))


@pytest.mark.parametrize("substrate", ALL)
@pytest.mark.parametrize("remove", [True, False])
def test_what_is_kept_is_the_image(substrate, remove):
    (case,) = cases(Small(), 1)
    order = ranked(case)
    for count, image in zip((0, 13, 80), exchanged(case, substrate, order, (0, 13, 80), remove), strict=True):
        kept = order[count:] if remove else order[:count]
        assert np.array_equal(image.reshape(-1)[kept], case.image.reshape(-1)[kept])
        assert image.min() >= 0 and image.max() <= 1 and image.dtype == np.float32


def test_kept_mean_is_of_what_is_left():
    (case,) = cases(Small(), 1)
    order = ranked(case)
    (image,) = exchanged(case, "kept-mean", order, (30,), remove=True)
    left = case.image.reshape(-1)[order[30:].reshape(-1)].astype(np.float64).mean()
    assert np.allclose(image.reshape(-1)[order[:30].reshape(-1)], left, atol=1e-7)


@pytest.mark.parametrize("substrate", ["blur", "rise-blur", "linear"])
def test_features_have_no_blur(substrate):
    (case,) = cases(Small((6,)), 1)
    with pytest.raises(InputError, match=rf"the substrate '{substrate}' needs pictures, .*: choose 'black'"):
        filled(case, substrate)


def test_noise_needs_a_range():
    (case,) = cases(Small(low=None, high=None), 1)
    with pytest.raises(InputError, match="'uniform' needs a model whose input has a range"):
        filled(case, "uniform")


def test_a_number_lies_in_the_range():
    (case,) = cases(Small(), 1)
    assert (filled(case, 0.25) == 0.25).all()
    with pytest.raises(InputError, match="the substrate is 7, and the model's input from 0 to 1"):
        filled(case, 7.0)


def test_names_and_numbers():
    assert as_substrate("substrate", "blur") == "blur"
    assert as_substrate("substrate", "0.5") == as_substrate("substrate", np.float32(0.5)) == 0.5
    for wrong in ("grey", None, True, "nan", float("inf"), [0.5]):
        with pytest.raises(InputError, match=r"it must be one of black, mean, blur, .*, or a finite number"):
            as_substrate("substrate", wrong)
