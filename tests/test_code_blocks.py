"""Every block of code in the README and in docs/ runs as it stands there, page by page, or says why not."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from code_blocks import NOT_RUN, QUOTED, RUN, SHOWN, Block, blocks_of, run, stage

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ELSEWHERE = {"adapters.md", "from-captum.md", "serving.md"}
"""test_adapters_page.py, test_from_captum.py and runtime/serve/test_docs.py run them."""
RUNNABLE = [p for p in PAGES if p.name not in ELSEWHERE and any(block.is_run for block in blocks_of(p))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", RUNNABLE, ids=name_of)
@pytest.mark.filterwarnings("default")  # those of other packages are not ours to mend
def test_the_blocks_run(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stage(tmp_path)
    known = set(sys.modules)
    try:
        run(blocks_of(page))
    finally:
        for module in [m for m in sys.modules if m.startswith("my_package") and m not in known]:
            del sys.modules[module]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_each_block_says_what_it_is(page: Path) -> None:
    """A block without a language, or of another one, would be passed over in silence."""
    assert [str(b) for b in blocks_of(page) if b.language not in RUN + SHOWN] == []
    assert page.read_text(encoding="utf-8").count("```") == 2 * len(blocks_of(page))


def test_few_blocks_are_not_run() -> None:
    blocks = [block for page in PAGES for block in blocks_of(page) if block.language in RUN]
    reasons = [found[1] for block in blocks if (found := NOT_RUN.match(block.text))]
    assert all(
        re.search(r"installs|GPU|minutes|[Aa]nother|needs (Docker|a cluster)", reason) for reason in reasons
    ), reasons
    assert len(reasons) * 2 < len(blocks)


def test_what_is_quoted_is_there() -> None:
    quotes = [
        (found[1], block.text[found.end() :])
        for page in PAGES
        for block in blocks_of(page)
        if (found := QUOTED.match(block.text))
    ]
    assert quotes
    for path, text in quotes:
        assert text in (ROOT / path).read_text(encoding="utf-8"), path


def test_a_block_that_fails_is_named_by_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Page\n\n```python\nx = 1\n```\n\n```python\nassert x == 1\nx / 0\n```\n")
    with pytest.raises(ZeroDivisionError) as raised:
        run(blocks_of(page))
    assert (str(raised.traceback[-1].path), raised.traceback[-1].lineno + 1) == (str(page), 9)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("fluxpath info missing.onnx", "info missing.onnx"),
        ("ls", "mark this block"),
        ("fluxpath info model.grad.onnx | cat", "unrecognized"),
    ],
)
def test_a_command_that_fails_is_seen(text: str, why: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((AssertionError, SystemExit)) as raised:
        run([Block(ROOT / "page.md", 1, "sh", f"{text}\n")])
    assert why in str(raised.value) + capsys.readouterr().err
