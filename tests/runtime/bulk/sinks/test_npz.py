"""The .npz file: what numpy finds in it, and damaged ones."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sinks import ITEMS, METHOD, SHAPE

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sinks.npz import Npz


@pytest.fixture
def written(explainer, tmp_path):
    explainer.attribute_many(ITEMS[:3], tmp_path / "out.npz", method=METHOD)
    return tmp_path / "out.npz"


def test_rows_and_values_come_back_in_order(written):
    head, rows = Npz().read(written)
    assert head.shape == SHAPE and [row.name for row in rows] == [name for name, *_ in ITEMS[:3]]
    with np.load(written) as file:
        np.testing.assert_array_equal(list(Npz().values(written)), file["values"])
        assert json.loads(str(file["run"]))["run"]["method"] == repr(METHOD)


# numpy leaves the file of a broken archive open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_file_cut_short_is_refused(written, share):
    data = written.read_bytes()
    written.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match="is no intact result of fluxpath's"):
        Npz().read(written)


def test_somebody_elses_arrays_are_refused(tmp_path):
    np.savez(tmp_path / "out.npz", values=np.zeros(3))
    with pytest.raises(InputError, match="is no intact result of fluxpath's"):
        Npz().read(tmp_path / "out.npz")
