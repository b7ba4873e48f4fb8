"""PNG files that are written whole or not at all."""

from __future__ import annotations

import copy
import errno
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fluxpath import files
from fluxpath.errors import FluxpathError, InputError
from fluxpath.runtime.pictures import save_png


def photo(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)


def plain(colour: Any, width: int = 8, height: int = 8, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), colour)


def store(folder: Path, image: Image.Image | np.ndarray, name: str = "a.png", **options: Any) -> Path:
    path = folder / name
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_saved_picture_comes_back_whatever_its_name(tmp_path: Path, mode: str) -> None:
    colour = Image.fromarray(photo(5, 7, 3))
    image = Image.fromarray(photo(5, 7).astype(np.uint16) * 200) if mode == "I;16" else colour.convert(mode)
    assert image.mode == mode
    save_png(image, str(tmp_path / "picture"))
    with Image.open(tmp_path / "picture") as back:
        assert back.format == "PNG"
        np.testing.assert_array_equal(np.asarray(back), np.asarray(image))
    (tmp_path / "ordinary").write_text("")
    assert (tmp_path / "picture").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "no space left on device"), OSError),
        (OSError("8 requested and 4 written"), FluxpathError),  # as numpy says it
    ],
)
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, told: type[Exception]
) -> None:
    save_png(plain("red"), tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()

    def fill_the_disk(image: Image.Image, file: Any, **options: Any) -> None:
        file.write(b"half of it")
        raise copy.copy(error)

    monkeypatch.setattr(Image.Image, "save", fill_the_disk)
    for name in ("a.png", "b.png"):
        with pytest.raises(told, match=rf"(no space left|written).*{name}|{name}.*(no space left|written)"):
            save_png(plain("blue"), tmp_path / name)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == before


def first_pixel(path: Path) -> Any:
    with Image.open(path) as image:
        return image.convert("RGB").getpixel((0, 0))


def test_the_new_file_is_whole_before_it_takes_the_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen, replace = tmp_path / "a.png", [], os.replace
    save_png(plain("red"), target)

    def watch(source: Path, name: Path) -> None:
        assert source.parent == target.parent
        seen.extend([first_pixel(source), first_pixel(name)])
        replace(source, name)

    monkeypatch.setattr(files.os, "replace", watch)
    save_png(plain("blue"), target)
    assert [*seen, first_pixel(target)] == [(0, 0, 255), (255, 0, 0), (0, 0, 255)]


def test_threads_that_write_one_name_do_not_meet(tmp_path: Path) -> None:
    def work(level: int) -> bool:
        save_png(plain((level, 0, 0), 64, 64), tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            return len(image.getcolors() or []) == 1

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(work, range(160)))
    assert os.listdir(tmp_path) == ["a.png"]


def test_a_missing_folder_and_an_unstorable_mode_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no folder .*gone to write to"):
        save_png(plain("red"), tmp_path / "gone" / "a.png")
    for mode, colour in [("F", 0.5), ("CMYK", (0, 0, 0, 0)), ("HSV", (0, 0, 0))]:
        with pytest.raises(InputError, match=f"mode {mode}, convert it to RGB first"):
            save_png(plain(colour, mode=mode), tmp_path / "a.png")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "wrong", [None, np.zeros((4, 4, 3), np.uint8), "a.png"], ids=["None", "array", "path"]
)
def test_a_pil_image_is_written(tmp_path: Path, wrong: Any) -> None:
    with pytest.raises(InputError, match="a PIL image is written, got a"):
        save_png(wrong, tmp_path / "a.png")
    for path in (None, "", 5):
        with pytest.raises(InputError, match="the file to write to is"):
            save_png(Image.new("RGB", (4, 4)), path)  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())
