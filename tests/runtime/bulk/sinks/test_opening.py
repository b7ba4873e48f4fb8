"""Sinks by their path."""

from __future__ import annotations

import pytest
from sinks import ITEMS, METHOD

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sinks import form_of


def test_a_foreign_folder_name_with_a_suffix(explainer, tmp_path):
    explainer.attribute_many(ITEMS[:1], f"{tmp_path}/run.v2/", method=METHOD)
    assert (tmp_path / "run.v2" / "set 0" / "ä0.png").exists()


def test_an_empty_path_is_not_the_current_folder():
    with pytest.raises(InputError, match="is empty"):
        form_of("")
