"""Damaged arrays, archives and names: one sentence, never a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import small
from PIL import Image

from fluxpath.cli import main


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.export(small.cnn(), tmp_path_factory.mktemp("damaged")).path


def archived(method: int = zipfile.ZIP_STORED, **arrays: object) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, array in arrays.items():
            inner = io.BytesIO()
            np.save(inner, np.asarray(array))
            archive.writestr(f"{name}.npy", inner.getvalue())
    return buffer.getvalue()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


IMAGES = small.images(4)


def claimed(shape: str, dtype: str = "<f4") -> bytes:
    """An archive whose array has no more than a header."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
        archive.writestr("images.npy", header(text))
    return buffer.getvalue()


ARCHIVES: dict[str, Callable[[], bytes]] = {
    "a wrong checksum": lambda: flipped(archived(images=IMAGES), 400),
    "damaged lzma": lambda: flipped(archived(zipfile.ZIP_LZMA, images=IMAGES), 80),
    "damaged deflate": lambda: flipped(archived(zipfile.ZIP_DEFLATED, images=IMAGES), 80),
    "a single number": lambda: archived(images=3.0),
    "words": lambda: archived(images=["a", "b"]),
    "truncated": lambda: archived(images=IMAGES)[:300],
    "another name": lambda: archived(pictures=IMAGES),
    "empty": lambda: b"",
    "more than any memory": lambda: claimed("(10**15,)"),
    "images of petabytes": lambda: claimed("(16, 1000000000, 1000000)"),
    "more images than there are": lambda: claimed("(16, 1, 6, 6)"),
    "objects": lambda: archived(images=np.array([{}, {}], object)),
    "objects without a pickle": lambda: claimed("(4, 4)", "|O"),
    "a single row": lambda: archived(images=np.zeros(3)),
    "in Fortran's order": lambda: archived(images=np.asfortranarray(IMAGES)),
    "a header that is no header": lambda: archived(images=IMAGES).replace(b"'descr'", b"'de(cr'"),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_damaged_images(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / "x.npz").write_bytes(ARCHIVES[name]())
    assert main(["verify", str(graph), "--data", str(tmp_path / "x.npz")]) == 1
    said = capsys.readouterr().err.strip()
    assert said.startswith("fluxpath: ") and "x.npz" in said and len(said.splitlines()) == 1


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("options", [[], ["--images", "1"], ["--precision", "float16"]])
def test_a_damaged_photo_among_others(
    graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    for name in ("b.png", "c.png"):
        Image.fromarray(np.full((9, 9), 7, np.uint8)).save(tmp_path / name)
    (tmp_path / "a.png").write_bytes(b"no image")
    verify = ["verify", str(graph), "--data", str(tmp_path), *options]
    assert main(verify) == 0
    printed = capsys.readouterr()
    assert ", 1 left out: " in printed.err and "a.png: this is not an image" in printed.err
    count = "1 image" if "--images" in options else "2 images"
    assert (f"{count} from" if "--precision" in options else f"{count} of {tmp_path}") in printed.out
    for name in ("b.png", "c.png"):
        (tmp_path / name).unlink()
    assert main(verify) == 1
    assert capsys.readouterr().err.endswith(f"fluxpath: no image in the folder '{tmp_path}' can be read\n")


def header(text: str) -> bytes:
    data = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(data).to_bytes(2, "little") + data


ARRAYS = {
    "more than any memory": header("{'descr': '<f4', 'fortran_order': False, 'shape': (10**15,), }"),
    "a shape of petabytes": header(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000000,), }"
    ),
    "objects": header("{'descr': '|O', 'fortran_order': False, 'shape': (4,), }") + b"x" * 64,
    "an open bracket": header("{'descr': '<f4', 'fortran_order': (((("),
    "an archive": archived(images=IMAGES),
    "nothing": b"",
    "text": b"hello",
}


def test_only_the_images_that_are_asked_for_are_unpacked(
    graph: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes can hold gigabytes of zeros."""
    path = tmp_path / "x.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as file:
        shape = (10**6, *IMAGES.shape[1:])
        file.write(header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}"))
        file.write(IMAGES.tobytes())
        file.write(b"\0" * 2**24)
    read: list[int] = []
    original = zipfile.ZipExtFile.read

    def counted(self: zipfile.ZipExtFile, n: int | None = -1) -> bytes:
        read.append(len(content := original(self, n)))
        return content

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    assert main(["verify", str(graph), "--data", str(path), "--images", "3"]) == 0
    assert sum(read) < 2 * IMAGES.nbytes + 1000


@pytest.mark.parametrize("name", ARRAYS)
def test_damaged_arrays(graph: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """As a method's setting, and as DeepLIFT's baseline."""
    (tmp_path / "a.npy").write_bytes(ARRAYS[name])
    given = str(tmp_path / "a.npy")
    onnx.save(small.cnn(), tmp_path / "m.onnx")
    explain = ["explain", str(graph), str(tmp_path), "--method", "integrated-gradients", "--out"]
    export = ["export", str(tmp_path / "m.onnx"), "--objective", "logit", "--rules", "deeplift", "-o"]
    for command in (
        [*explain, str(tmp_path / "o.npz"), "--set", f"baseline={given}"],
        [*export, str(tmp_path / "g.onnx"), "--baseline", given],
    ):
        assert main(command) == 1
        said = capsys.readouterr().err.strip()
        assert said.startswith("fluxpath: ") and "a.npy" in said and len(said.splitlines()) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.npy", "m.onnx"]


@pytest.mark.parametrize("name", ["\u00e9t\u00e9.onnx", "broken\udcff.onnx"])
def test_names_that_the_terminal_cannot_show(tmp_path: Path, name: str) -> None:
    onnx.save(small.cnn(), tmp_path / "m.onnx")
    command = [
        sys.executable,
        "-m",
        "fluxpath",
        "export",
        str(tmp_path / "m.onnx"),
        "-o",
        str(tmp_path / name),
    ]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii:strict"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert done.stdout.startswith("wrote ") and (tmp_path / name).exists()
