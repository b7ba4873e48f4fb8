"""What may be chosen of a repository."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.triton.options import Options


@pytest.mark.parametrize(
    "wrong", [{"max_batch": 0}, {"delay": -1.0}, {"delay": float("nan")}, {"instances": 0}, {"device": "tpu"}]
)
def test_what_makes_no_sense_is_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        Options(**wrong)


def test_instances_are_on_the_cpu_or_on_each_gpu():
    assert Options(instances=2).group == [{"kind": "KIND_CPU", "count": 2}]
    assert Options(device="cuda").group == [{"kind": "KIND_GPU", "count": 1}]
