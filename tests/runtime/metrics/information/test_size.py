"""The size of an image's lossless file."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from metric_cases import Small, cases
from metric_twins import file_size as twin

from fluxpath.errors import InputError
from fluxpath.runtime.metrics import Case
from fluxpath.runtime.metrics.information import size
from fluxpath.runtime.metrics.information.size import file_sizes
from fluxpath.runtime.metrics.substrates import filled


@pytest.mark.parametrize("codec", size.CODECS)
def test_it_is_the_file_of_eight_bits(codec):
    (case,) = cases(Small(), 1)
    assert file_sizes(case, [case.image], codec) == [twin(case.image, codec)]
    (wide,) = cases(Small(low=0.0, high=2.0), 1)
    assert file_sizes(wide, [case.image], codec) == [twin(case.image / 2, codec)]


@pytest.mark.parametrize("codec", size.CODECS)
def test_sizes_are_in_the_order_of_images_that_are_one_array(codec):
    (case,) = cases(Small((3, 40, 50)), 1)

    def darker():
        work = case.image.copy()
        for row in range(0, 40, 2):
            work[:, row] = 0
            yield work

    sizes = file_sizes(case, darker(), codec)
    assert sizes == [twin(image, codec) for image in map(np.copy, darker())]
    assert len(sizes) == 20 and len(set(sizes)) > 10


def test_without_a_range_the_image_is_its_own():
    (case,) = cases(Small(low=None, high=None), 1)
    low, high = case.image.min(), case.image.max()
    assert file_sizes(case, [case.image], "png") == [twin((case.image - low) / (high - low), "png")]


def test_grey_images_have_one_channel():
    (case,) = cases(Small((8, 10)), 1)
    (same,) = cases(Small((1, 8, 10)), 1)
    assert file_sizes(case, [case.image], "png") == file_sizes(same, [same.image], "png")


@pytest.mark.parametrize(
    ("shape", "what"),
    [((6,), "an information curve needs pictures"), ((2, 8, 10), "1 or 3 channels, and these")],
)
def test_other_inputs_have_no_file(shape, what):
    (case,) = cases(Small(shape), 1)
    with pytest.raises(InputError, match=what):
        file_sizes(case, [case.image], "png")


def test_a_pillow_without_webp(monkeypatch):
    (case,) = cases(Small(), 1)
    monkeypatch.setattr(size.features, "check", lambda name: False)
    with pytest.raises(InputError, match="this Pillow cannot write WebP: choose codec='png'"):
        file_sizes(case, [case.image], "webp")
    assert file_sizes(case, [np.zeros_like(case.image)], "png") > [0]


def test_a_case_whose_files_were_made_can_be_copied():
    (case,) = cases(Small(), 1)
    sizes = file_sizes(case, [filled(case, "blur"), case.image], "png")
    copied = pickle.loads(pickle.dumps(case))
    assert file_sizes(copied, [filled(copied, "blur"), copied.image], "png") == sizes


def test_files_of_an_image_are_made_once_for_all_that_share_it(monkeypatch):
    (case,) = cases(Small(), 1)
    other = Case(case.image, case.attribution, case.seed, made=case.made)
    made = []
    monkeypatch.setattr(size, "_size", lambda levels, codec: made.append(levels) or len(made))
    for each in (case, other):
        assert len(file_sizes(each, [filled(each, "blur"), each.image * 1, each.image], "png")) == 3
    assert len(made) == 4  # two that last, and one of each case that does not
