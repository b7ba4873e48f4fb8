"""An explainer's own settings."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime import Explainer


@pytest.mark.parametrize("wrong", [{"slots": 0}, {"slots": 1.0}, {"threads": 0}, {"shape": (1, 6, 7)}])
def test_sizes_of_the_explainer(graph, wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Explainer(graph("linear"), **wrong)
