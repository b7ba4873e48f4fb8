"""What is published says the same everywhere: versions, Pythons, wheels and the citation."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

import fluxpath

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_citation_has_what_the_schema_wants() -> None:
    """The required fields of the citation file format 1.2.0, and both papers."""
    yaml = pytest.importorskip("yaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert all(cited[field] for field in ("cff-version", "message", "title", "authors"))
    assert cited["version"] == PROJECT["project"]["version"] == fluxpath.__version__
    assert cited["license"] == PROJECT["project"]["license"]
    papers = {paper["url"]: paper for paper in cited["references"]}
    assert all(paper["type"] and paper["title"] and paper["authors"] for paper in papers.values())
    assert set(papers) == {"https://arxiv.org/abs/2312.13630", "https://arxiv.org/abs/2301.06989"}
    assert all(address in (ROOT / "README.md").read_text(encoding="utf-8") for address in papers)


def test_wheels_are_built_for_every_python() -> None:
    """One for each Python before the stable ABI's, and one by the stable ABI for all later ones."""
    oldest = int(re.fullmatch(r">=3\.(\d+)", PROJECT["project"]["requires-python"])[1])  # type: ignore[index]
    stable = int(PROJECT["tool"]["scikit-build"]["wheel"]["py-api"].removeprefix("cp3"))
    built = [f"cp3{minor}-*" for minor in range(oldest, stable + 1)]
    assert PROJECT["tool"]["cibuildwheel"]["build"] == built
    assert "STABLE_ABI" in (ROOT / "CMakeLists.txt").read_text(encoding="utf-8")
    classifiers = " ".join(PROJECT["project"]["classifiers"])
    assert all(f"Python :: 3.{minor}" in classifiers for minor in range(oldest, stable + 1))
