"""What the explainer itself refuses."""

from __future__ import annotations

import hashlib

import pytest
from sessions import LinearSession, some_images

from fluxpath.errors import InputError, OutOfMemoryError
from fluxpath.runtime import Explainer


def test_a_backend_of_ones_own_is_derived_from_its_base():
    with pytest.raises(InputError, match=r"derived from fluxpath\.runtime\.GradientSession"):
        Explainer.from_session(object())


@pytest.mark.parametrize(
    "wrong",
    [
        {"slots": 0},
        {"slots": 1.0},
        {"slots": 2**31 - 1},
        {"threads": 0},
        {"threads": 10**9},
        {"shape": (1, 6, 7)},
        {"shape": 8},
    ],
)
def test_sizes_of_the_explainer(graph, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Explainer(graph("linear"), **wrong)


def test_a_deadline_is_a_number_of_seconds_above_zero():
    with Explainer.from_session(LinearSession()) as explainer:
        with pytest.raises(InputError, match="deadline is 0"):
            explainer.submit(some_images(1), deadline=0)
        assert len(explainer.attribute(some_images(1), deadline=60.0)) == 1


def test_no_memory_for_the_slots_is_a_sentence():
    class Large(LinearSession):
        def make_lanes(self, slots, shape, companions):
            raise MemoryError

    with pytest.raises(OutOfMemoryError, match="there is no memory for 9 slots of this model: take fewer"):
        Explainer.from_session(Large(), slots=9)


def test_an_explainer_knows_its_file(graph):
    from fluxpath.runtime import Explainer, OnnxSession

    with Explainer(str(graph("smooth")), threads=1) as explainer:
        assert explainer.path == graph("smooth")
        assert explainer.sha256 == hashlib.sha256(graph("smooth").read_bytes()).hexdigest()
    with Explainer.from_session(OnnxSession(graph("smooth"), threads=1)) as explainer:
        assert explainer.path is None and explainer.sha256
    with Explainer.from_session(LinearSession()) as explainer:
        assert explainer.sha256 == ""


def test_one_that_is_closed_is_not_alive():
    with Explainer.from_session(LinearSession()) as explainer:
        assert explainer.alive == 1
    assert explainer.alive == 0
