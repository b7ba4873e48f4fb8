"""Parquet files: in groups, and without pyarrow."""

from __future__ import annotations

import sys

import pytest
from sinks import IMAGES, ITEMS, METHOD, check

from fluxpath.errors import InputError


def test_parquet_in_several_groups(explainer, expected, tmp_path, monkeypatch):
    """Two rows a group: what is larger than memory is written and read back in pieces."""
    monkeypatch.setattr("fluxpath.runtime.bulk.sinks.parquet.GROUP_BYTES", 2 * IMAGES[0].nbytes)
    explainer.attribute_many(ITEMS[:5], tmp_path / "out.parquet", method=METHOD)
    explainer.attribute_many(ITEMS, tmp_path / "out.parquet", method=METHOD)
    check(tmp_path / "out.parquet", expected)


def test_parquet_without_pyarrow_says_what_to_install(explainer, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(InputError, match=r"fluxpath\[parquet\]"):
        explainer.attribute_many(ITEMS, tmp_path / "out.parquet", method=METHOD)
