"""Settings of the server: wrong ones are refused by name."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve import Settings


@pytest.mark.parametrize(
    "wrong",
    [{"port": -1}, {"max_body": 0}, {"deadline": 0}, {"tls_key": "k"}, {"token": ""}, {"log_level": "loud"},
     {"token": "é"}, {"max_pixels": 1.5}, {"drain_delay": -1}, {"replicas": 0}, {"replicas": 1025}],
)  # fmt: skip
def test_settings_that_are_wrong(wrong):
    with pytest.raises(InputError):
        Settings(**wrong)
