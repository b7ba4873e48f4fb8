"""A status prints what it means, and is a number to whatever computes with it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from fluxpath.status import Status


@pytest.mark.parametrize("status", Status)
def test_a_status_prints_its_name_and_counts_as_its_number(status):
    assert str(status) == f"{status}" == f"{status:s}" == status.name
    assert f"{status:>16s}" == f"{status.name:>16}"
    assert f"{status:d}" == json.dumps(status) == str(status.value) == str(int(status))
    assert Status(np.int32(status)) is Status.of(status.words) is status
    assert status.words.replace(" ", "_").upper() == status.name
    assert status.meaning and "\n" not in status.meaning and not status.meaning.endswith(".")


def test_other_words_are_no_status():
    with pytest.raises(ValueError, match="there is no status 'BOUNDARY'"):
        Status.of("BOUNDARY")


def test_statuses_are_in_order_of_severity():
    assert max(Status.COMPLETE, Status.BOUNDARY) is Status.COMPLETE
    assert (np.array([1, 4], np.int32) == Status.MAX_STEPS).tolist() == [False, True]
