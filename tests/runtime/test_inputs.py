"""Bad input is a typed error with one sentence that names what was wrong and what would be right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import models
import numpy as np
import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import ClosedError, FluxpathError, InputError, ProviderError
from fluxpath.runtime import MFABA, Explainer, Method, Saliency
from fluxpath.runtime.inputs import as_images, as_targets, need_explainer


@pytest.fixture(scope="module")
def explainer(graph):
    with Explainer(graph("linear"), threads=1, slots=4) as opened:
        yield opened


def grey(*shape: int, dtype=np.float32) -> np.ndarray:
    return np.full(shape, 0.5, dtype)


def with_pixel(value: float) -> np.ndarray:
    images = grey(3, 1, 6, 6)
    images[1, 0, 2, 3] = value
    return images


# --- images

IMAGES = {
    "NaN": (with_pixel(math.nan), r"image 1 holds NaN or infinity, and pixels must be finite"),
    "infinity": (with_pixel(math.inf), r"image 1 holds NaN or infinity"),
    "minus infinity": (with_pixel(-math.inf), r"image 1 holds NaN or infinity"),
    "infinity in float32": (with_pixel(0.5).astype(float) * 1e300, r"image 0 holds NaN or infinity"),
    "empty batch": (grey(0, 1, 6, 6), r"images are empty: pass at least one"),
    "nothing": ([], r"images are empty: pass at least one"),
    "wrong size": (grey(2, 1, 6, 7), r"shape \[2, 1, 6, 7\], and must have \[n, 1, 6, 6\]"),
    "channels last": (grey(2, 6, 6, 1), r"must have \[n, 1, 6, 6\]: its channels come last, so move them"),
    "flat": (grey(2, 36), r"must have \[n, 1, 6, 6\]"),
    "one dimension more": (grey(1, 2, 1, 6, 6), r"must have \[n, 1, 6, 6\]"),
    "a number": (0.5, r"shape \[\], and must have \[n, 1, 6, 6\]"),
    "int64": (grey(1, 1, 6, 6, dtype=np.int64), r"dtype int64, and must be float32, .*, or uint8, a photo's"),
    "float16": (grey(1, 1, 6, 6, dtype=np.float16), r"dtype float16, and must be float32$"),
    "complex": (grey(1, 1, 6, 6, dtype=np.complex64), r"dtype complex64"),
    "text": ("photo.jpg", r"there is no image or folder 'photo\.jpg'"),
    "texts": (np.array(["a.jpg", "b.jpg"]), r"dtype <U5, and must be float32"),
    "None": (None, r"dtype object"),
    "objects": (np.array([grey(1, 6, 6), None], object), r"dtype object, .*: .* pass a list of photos"),
    "ragged": ([[0.1, 0.2], [0.3]], r"images cannot be read as one array"),
    "too bright": (with_pixel(1.001), r"range from 0.5 to 1.001, and the model's input from 0.0 to 1.0"),
    "too dark": (with_pixel(-0.001), r"range from -0.001 to 0.5"),
    "in bytes": (
        255 * grey(1, 1, 6, 6),
        r"range from 127.5 to 127.5, and the model's input from 0.0 to 1.0"
        r": levels from 0 to 255 are scaled if they are uint8",
    ),
}


@pytest.mark.parametrize(("images", "message"), IMAGES.values(), ids=IMAGES)
def test_images(explainer, images, message):
    with pytest.raises(InputError, match=message):
        explainer.submit(images)


def test_without_a_range_pixels_must_still_be_finite(graph):
    with Explainer(graph("linear", input_range=None), threads=1) as explainer:
        assert np.isfinite(explainer.attribute(grey(1, 1, 6, 6) * 1000).values).all()
        for wrong in (with_pixel(math.nan), with_pixel(math.inf), np.full((1, 1, 6, 6), 1e300)):
            with pytest.raises(InputError, match="NaN or infinity"):
                explainer.submit(wrong)


def test_good_images_in_every_form(explainer):
    """What is accepted gives the same: one image or a batch, lists, float64, other layouts, read-only."""
    images = models.images("linear", 2)
    images[0, 0, 0, :2] = (0.0, 1.0)
    wanted = explainer.attribute(images).values
    frozen = images.copy()
    frozen.flags.writeable = False
    for same in (images.astype(np.float64), images.tolist(), np.asfortranarray(images), frozen):
        assert np.array_equal(explainer.attribute(same).values, wanted)
    assert explainer.attribute(images[0]).values.shape == (1, 1, 6, 6)


def test_the_callers_array_is_copied(explainer):
    images = models.images("linear", 3)
    wanted = explainer.attribute(images).values
    future = explainer.submit(images)
    images[:] = 0.25
    assert np.array_equal(future.result(20).values, wanted)


# --- targets

TARGETS = {
    "too large": (4, r"target 4 is not a class of the model: classes go from 0 to 3"),
    "far too large": (2**63, r"target 9223372036854775808 is not a class"),
    "beyond integers": (
        2**70,
        r"target 1180591620717411303424 is not a class of the model",
    ),
    "negative": (-2, r"target -2 is not a class of the model: classes go from 0 to 3"),
    "one of several": ([0, 7, 1], r"target 7 is not a class"),
    "float": (1.0, r"target has dtype float64, and must be one integer class or one per image"),
    "floats": ([0.0, 1.0, 2.0], r"dtype float64"),
    "bool": (True, r"dtype bool"),
    "text": ("cat", r"target is 'cat', and the file has no class names: pass a number from 0 to 3"),
    "bytes": (b"cat", r"dtype \|S3, and must be one integer class or one per image, or their names"),
    "too few": ([0, 1], r"target has shape \[2\], and must be one class or \[3\]"),
    "too many": ([0, 1, 2, 3], r"must be one class or \[3\]"),
    "none at all": ([], r"target has dtype float64"),
    "no integers": (np.zeros(0, np.int64), r"target has shape \[0\]"),
    "a column": ([[0], [1], [2]], r"target has shape \[3, 1\]"),
    "ragged": ([[0], [1, 2]], r"target cannot be read as one array"),
}


@pytest.mark.parametrize(("target", "message"), TARGETS.values(), ids=TARGETS)
def test_targets(explainer, target, message):
    with pytest.raises(InputError, match=message):
        explainer.submit(grey(3, 1, 6, 6), target)


def test_good_targets_in_every_form(explainer):
    images = models.images("linear", 3)
    for target in (2, np.int32(2), np.array(2), [2, 2, 2], (2, 2, 2), np.array([2, 2, 2], np.uint8)):
        assert explainer.attribute(images, target).target.tolist() == [2, 2, 2]
    predicted = explainer.attribute(images).target.tolist()
    assert explainer.attribute(images, [-1, 0, -1]).target.tolist() == [predicted[0], 0, predicted[2]]


NAMES = (
    "tench, Tinca tinca",
    "tabby, tabby cat",
    "crane",
    "Crane",
    "crane",
    "tiger cat",
    "cat bear, panda",
    "3",
)


class Series:
    """An array of objects, as a column of pandas gives it."""

    def __init__(self, values):
        self.values = values

    def __array__(self, *_, **__):
        return np.array(self.values, object)


@pytest.mark.parametrize(
    ("target", "numbers"),
    [
        ("tench, Tinca tinca", [0, 0]),
        ("tench", [0, 0]),
        ("Tabby Cat", [1, 1]),
        ("Crane", [3, 3]),
        ("TIGER CAT ", [5, 5]),
        ("3", [7, 7]),
        ("2", [2, 2]),
        ("2.0", [2, 2]),
        (["tench", None], [0, -1]),
        (Series(["tench", "panda"]), [0, 6]),
        (["panda", 2], [6, 2]),
        (("tiger cat", "tinca tinca"), [5, 0]),
        (np.array(["tench", "panda"]), [0, 6]),
        (np.array(["tench", -1], object), [0, -1]),
    ],
)
def test_classes_by_name(target, numbers):
    assert as_targets(target, 2, len(NAMES), NAMES).tolist() == numbers


@pytest.mark.parametrize("index", [[2, 0, 1], [10, 11, 12], ["a", "b", "c"]])
@pytest.mark.parametrize(("given", "dtype"), [([6, 0, 2], None), ([6, 0, 2], "Int64"),
                                              (["panda", "tench", "2"], None)])  # fmt: skip
def test_targets_in_a_series_are_by_place(given, dtype, index):
    target = pytest.importorskip("pandas").Series(given, index=index, dtype=dtype)
    assert as_targets(target, 3, len(NAMES), NAMES).tolist() == [6, 0, 2]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("tiger", "the model has no class 'tiger', the nearest is 'tiger cat'"),
        ("tabby kat", "no class 'tabby kat', the nearest is 'tabby, tabby cat'"),
        ("crane", r"'crane' is the name of several classes: pass a number, 2 \(crane\) or 4 \(crane\)"),
        ("CRANE", r"several classes: pass a number, 2 \(crane\) or 3 \(Crane\) or 4"),
        ("zzzz", "the model has no class 'zzzz'$"),
        (["tench", "dog"], "the model has no class 'dog'"),
        (["tench"], r"target has shape \[1\], and must be one class or \[2\]"),
        (["tench", 1.5], "dtype float64"),
    ],
)
def test_names_that_are_no_class(target, said):
    with pytest.raises(InputError, match=said):
        as_targets(target, 2, len(NAMES), NAMES)


@dataclass  # not frozen, so not hashable
class Loose(Method):
    lanes: int = 1
    starts_at_image: bool = True

    def advance(self, lanes, slots): ...


@dataclass(frozen=True)
class Alike:
    """Has all that a method needs but its base class."""

    lanes: int = 1
    starts_at_image: bool = True

    def start(self, lanes, slots, numbers): ...

    def advance(self, lanes, slots): ...


@dataclass(frozen=True)
class NoLanes(Method):
    lanes: int = 0

    def advance(self, lanes, slots): ...


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("mfaba", r"there is no method 'mfaba': the nearest are mfaba-sharp, mfaba-smooth"),
        (MFABA, r"it must be a method's settings such as MFABA\(\)"),
        (3, r"method is 3"),
        (Alike(), r"or an instance of your own class derived from fluxpath\.runtime\.Method"),
        (Loose(), r"it must be hashable: make it a frozen dataclass"),
        (NoLanes(), r"lanes of the method is 0, it must be an integer from 1"),
    ],
)
def test_methods(explainer, method, message):
    with pytest.raises(InputError, match=message):
        explainer.submit(grey(1, 1, 6, 6), None, method)


@pytest.mark.parametrize("name", ["image_lane", "end_lane"])
@pytest.mark.parametrize("lane", [-1, 4, 1.0])
def test_a_marked_lane_must_be_one_of_the_methods(name, lane):
    @dataclass(frozen=True)
    class Wrong(Saliency):
        lanes: int = 4

    setattr(Wrong, name, lane)
    with (
        Explainer.from_session(LinearSession()) as opened,
        pytest.raises(InputError, match=f"{name} of the method is {lane}, it must be an integer from 0 to 3"),
    ):
        opened.attribute(some_images(1), None, Wrong())


def test_every_error_is_fluxpaths_own():
    for error in (InputError, ProviderError, ClosedError):
        assert issubclass(error, FluxpathError)
    assert issubclass(InputError, ValueError)


def test_a_bound_is_the_nearest_float32():
    # 0.3 as float32 lies above 0.3, and an image cannot have anything nearer.
    images = np.full((1, 2), 0.3, np.float32)
    assert as_images(images, (2,), -0.3, 0.3).shape == (1, 2)
    with pytest.raises(InputError, match=r"range from 0\.30000\d+ to 0\.30000\d+, and .* from -0.3 to 0.3"):
        as_images(images + np.float32(1e-6), (2,), -0.3, 0.3)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.5, None), (None, 0.5)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f4"])
def test_what_rounding_puts_outside_the_range_is_clipped(low, high, dtype):
    size = max(abs(low or 0), abs(high or 0))
    for bound, side in ((low, -1), (high, 1)):
        if bound is None:
            continue
        images = np.full((2, 3), bound - side * size / 8, dtype)
        images[1, 1] = bound + side * size * 3e-7
        given = images.copy()
        taken = as_images(images, (3,), low, high, copy=False)
        assert taken[1, 1] == np.float32(bound) and taken.dtype == np.float32
        assert np.array_equal(images, given) and np.array_equal(taken[0], images[0].astype(np.float32))
        images[1, 1] = bound + side * size * 2e-6
        with pytest.raises(InputError, match="images range from"):
            as_images(images, (3,), low, high)


def test_denormal_numbers_below_zero_are_zero():
    assert (as_images(np.full((1, 2), -1e-45, np.float32), (2,), 0.0, 1.0) == 0).all()


@pytest.mark.parametrize("kind", [">f4", ">f8", "<f8"])
def test_numbers_in_any_byte_order(explainer, kind):
    images = models.images("linear", 2)
    assert np.array_equal(explainer.attribute(images.astype(kind)).values, explainer.attribute(images).values)


class Own(np.ndarray):
    """A class of one's own."""


def test_kinds_of_arrays(explainer, tmp_path):
    """Each as the numbers that it holds."""
    images = models.images("linear", 2)
    expected = explainer.attribute(images).values
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    unmasked = np.ma.masked_array(images, mask=np.zeros(images.shape, bool))
    for same in (images.view(Own), mapped, unmasked, list(images), [unmasked[0], unmasked[1]]):
        assert np.array_equal(explainer.attribute(same).values, expected)
    masked = np.ma.masked_greater(images, 0.5)
    for wrong in (masked, list(masked), (images[0], masked[1])):
        with pytest.raises(InputError, match="images: masked elements have no value, so fill them first"):
            explainer.submit(wrong)
    with pytest.raises(InputError, match="target: masked elements have no value"):
        explainer.submit(images, np.ma.masked_equal([1, 2], 2))
    assert np.array_equal(explainer.attribute(masked.filled(images)).values, expected)


class Reading:
    """An array-like whose conversion raises `error`."""

    def __init__(self, error):
        self.error = error

    def __array__(self, *given, **named):
        raise self.error


def test_an_alarm_while_an_array_is_read_is_not_about_the_array(explainer):
    for error in (TimeoutError("the time is over"), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            explainer.submit(Reading(error))
    with pytest.raises(InputError, match="images cannot be read as one array: no numbers here"):
        explainer.submit(Reading(RuntimeError("no numbers here")))


def test_an_adapter_needs_an_explainer(explainer):
    need_explainer(explainer, Explainer)
    for wrong in (None, "model.onnx", Explainer):
        with pytest.raises(
            InputError, match=r"explainer is .*, it must be an open fluxpath.runtime.Explainer"
        ):
            need_explainer(wrong, Explainer)
