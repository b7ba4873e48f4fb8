"""An attribution in words."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sessions import LinearSession, explain, some_images

from fluxpath.runtime import MFABA, Attribution, ExpectedGradients, Method, NeFLAG, Status
from fluxpath.runtime.attribution.words import caption, method_words, row_of, summary
from fluxpath.runtime.records.rows import Row

NAMES = ("tabby\tcat", "dog", "bird")


class Named(LinearSession):
    """The linear model, whose classes have names."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest = replace(self.manifest, class_names=NAMES)


@pytest.fixture
def result():
    return explain(Named(), some_images(3), MFABA(max_steps=2, step_size=1e-4), target=1)


def test_three_lines_say_what_was_explained_the_classes_and_how_it_ended(result):
    result = result[result.label == 1][[0, 0]]
    first, second, third = str(result).splitlines()
    assert repr(result) == str(result) == summary(result)
    assert first == "2 inputs of shape [6] explained with mfaba-sharp(max_steps=2, step_size=0.0001)"
    assert second == f"classes: dog {result.score[0]:.1%}; dog {result.score[0]:.1%}"
    assert third == f"ended by: max steps (2 images: {Status.MAX_STEPS.meaning}); 2 steps"


def test_many_images_are_counted_by_class_and_end():
    result = explain(Named(), some_images(40), MFABA(max_steps=4, step_size=0.05))
    lines = str(result).splitlines()
    assert len(lines) == 3 and "% at the median)" in lines[1]
    for target, name in enumerate(NAMES):
        count = int((result.target == target).sum())
        assert (f"{name!r} ({count} image".replace("'", "") in lines[1]) == (count > 0)
    assert f"{result.steps.min()} to {result.steps.max()} steps" in lines[2]


def test_many_classes_are_not_all_named():
    numbers = np.arange(9)
    zeros = np.zeros(9, np.int32)
    result = Attribution(np.zeros((9, 2), np.float32), numbers, numbers, zeros, zeros, zeros * 0.5, None)
    assert str(result).splitlines()[1].endswith("score 0 at the median) and 4 more")


def test_no_image_is_said_too(result):
    assert str(result[:0]).splitlines()[1:] == ["classes: none", "ended by: nothing"]


def test_an_attribution_without_its_subject_says_so(result):
    bare = replace(result, subject=None)
    first, second, third = str(bare).splitlines()
    assert "not known: this Attribution was made without its subject" in first
    assert "class 1 score " in second and third == str(result).splitlines()[2]


@dataclass(frozen=True)
class Own(Method):
    """A user's method."""

    words: str = "short"
    lanes: int = 1

    def advance(self, lanes, slots):
        lanes.status[slots] = Status.COMPLETE


@pytest.mark.parametrize(
    ("method", "words"),
    [
        (MFABA(), "mfaba-sharp"),
        (MFABA(ascent="smooth", max_steps=9), "mfaba-smooth(max_steps=9)"),
        (NeFLAG(n=3, radius=0.5), "neflag(n=3, radius=0.5)"),
        (ExpectedGradients(np.zeros((2, 6), np.float32), n=3), "expected-gradients("),
        (Own(), "Own"),
        (Own(words="long " * 30), "Own(words='long long"),
        (Own(words="a\nb"), "Own(words='a\\nb')"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_method_is_named_with_what_differs_from_its_defaults(method, words):
    said = method_words(method)
    assert said.startswith(words) and "\n" not in said and len(said) < 120


def test_a_caption_names_the_predicted_class_if_it_is_another(result):
    for i, one in enumerate(result):
        assert caption(result, i) == caption(one)
        end = "" if one.label[0] == 1 else f", predicted: {NAMES[one.label[0]]}"
        assert caption(one) == f"dog {one.score[0]:.1%}{end}"


def test_a_row_has_names_and_numbers(result):
    row = row_of("a.png", result, 1, crc=5)
    assert isinstance(row, Row) and (row.name, row.class_name, row.target, row.crc) == ("a.png", "dog", 1, 5)
    assert row.probability == row.score == float(result.score[1])
    assert row.error_rate == result.error_rate[1] and row.entry()["status"] == "max steps"


def test_a_row_without_a_subject_has_numbers(result):
    row = row_of("a.png", replace(result, subject=None, end_score=None))
    assert (row.class_name, row.probability, row.error_rate, row.end_score) == ("1", None, None, None)


def test_a_name_that_is_not_utf8_can_be_stored():
    session = Named()
    session.manifest = replace(session.manifest, class_names=("\udcff",) * 3)
    row_of("a", explain(session, some_images(1), MFABA(max_steps=1))).class_name.encode()
