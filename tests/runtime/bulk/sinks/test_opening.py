"""Sinks by their path."""

from __future__ import annotations

from sinks import ITEMS, METHOD


def test_a_foreign_folder_name_with_a_suffix(explainer, tmp_path):
    explainer.attribute_many(ITEMS[:1], f"{tmp_path}/run.v2/", method=METHOD)
    assert (tmp_path / "run.v2" / "set 0" / "ä0.png").exists()
