"""What the explainer itself refuses."""

from __future__ import annotations

import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer


def test_a_backend_of_ones_own_is_derived_from_its_base():
    with pytest.raises(InputError, match=r"derived from fluxpath\.runtime\.GradientSession"):
        Explainer.from_session(object())


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"slots": 1.0}, {"threads": 0}, {"shape": (1, 6, 7)}])
def test_sizes_of_the_explainer(graph, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Explainer(graph("linear"), **wrong)


def test_a_deadline_is_a_number_of_seconds_above_zero():
    with Explainer.from_session(LinearSession()) as explainer:
        with pytest.raises(InputError, match="deadline is 0"):
            explainer.submit(some_images(1), deadline=0)
        assert len(explainer.attribute(some_images(1), deadline=60.0)) == 1
