"""What a backend is."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer


def test_a_backend_of_ones_own_is_derived_from_its_base():
    with pytest.raises(InputError, match=r"derived from fluxpath\.runtime\.GradientSession"):
        Explainer.from_session(object())
