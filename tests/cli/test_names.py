"""Names that are printed: a terminal shows them and obeys none."""

from __future__ import annotations

import errno
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
import small
from PIL import Image

from fluxpath.cli import main
from fluxpath.cli._common import table, visible
from fluxpath.files import replacing

NAME = "a\x1b[2J\x9b31m\r\n\u202eb\x7f"
SHOWN = r"a\x1b[2J\x9b31m\r\n\u202eb\x7f"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    return small.export(small.cnn(), folder, class_names=[NAME, *"1234"]).path


def printed(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr()
    text = said.out + said.err
    assert all(c.isprintable() or c == "\n" for c in text), text
    return text


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert visible(NAME) == SHOWN
    assert visible("kö 猫 \udcff") == r"kö 猫 \udcff"
    assert table([["x"], [NAME]]) == f"x\n{'-' * len(SHOWN)}\n{SHOWN}"


@pytest.mark.parametrize(
    "arguments",
    [
        ["info", NAME],
        ["export", NAME, "-o", "x.onnx"],
        ["explain", "{graph}", NAME],
        ["explain", "{graph}", "{photos}", "--out", f"{NAME}.csv"],
        ["explain", "{graph}", "{photos}", f"--{NAME}"],
        ["explain", "{graph}", "{photos}", "--method", NAME],
        ["explain", "{graph}", "{photos}", "--set", NAME],
        [NAME],
    ],
    ids=range(8),
)
def test_errors_escape_names(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (tmp_path / "photos").mkdir()
    Image.fromarray(np.zeros((9, 9), np.uint8)).save(tmp_path / "photos" / "a.png")
    named = {"graph": graph, "photos": tmp_path / "photos"}
    with suppress(SystemExit):  # argparse's
        assert main([a.format(**named) for a in arguments]) == 1
    assert r"\x1b[2J" in printed(capsys)


@pytest.mark.filterwarnings("default")
def test_results_escape_names(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of photos, damaged photos, folders and models."""
    monkeypatch.chdir(tmp_path)
    photos = tmp_path / NAME
    photos.mkdir()
    for i in range(2):
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(photos / f"{i}{NAME}.png")
        (photos / f"x{i}{NAME}.png").write_bytes(b"no image")
    assert main(["explain", str(graph), str(photos), "--out", f"out{NAME}/"]) == 1
    text = printed(capsys)
    assert f"0{SHOWN}.png" in text and f"x1{SHOWN}.png: " in text
    assert main(["explain", str(graph), str(photos), "--out", f"out{NAME}/", "--resume"]) == 1
    assert f"out{SHOWN}/: 0 written" in printed(capsys)
    assert main(["verify", str(graph), "--data", str(photos)]) == 0
    assert f"x0{SHOWN}.png: this is not an image" in printed(capsys)
    onnx.save(small.cnn(), f"{NAME}.onnx")
    assert main(["export", f"{NAME}.onnx", "-o", f"{NAME}.grad.onnx"]) == 0
    assert main(["verify", f"{NAME}.grad.onnx"]) == 0
    assert main(["info", str(graph)]) == 0
    assert SHOWN in printed(capsys)


@pytest.mark.parametrize("more", [[], ["--format", "png"], ["--format", "npz"]])
def test_an_empty_output_is_refused(
    graph: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((9, 9), np.uint8)).save("a.png")
    assert main(["explain", str(graph), "a.png", "--out", "", *more]) == 1
    assert "--out is empty" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["demo", "--out", ""])
    assert "--out: it is empty" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disks_are_named(graph: Path) -> None:
    command = [sys.executable, "-m", "fluxpath", "info", str(graph)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == "fluxpath: cannot read or write 'standard output': No space left on device\n"
    with pytest.raises(OSError, match=r"'x\.png'"), replacing(Path("x.png")):
        raise OSError(errno.ENOSPC, "No space left on device")
