"""`fluxpath explain`: heat maps of photos."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from fluxpath.cli._common import METHOD_NAMES, Commands, make_folder, method_from, table
from fluxpath.errors import InputError

if TYPE_CHECKING:
    from fluxpath.runtime import Attribution, Explainer

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
CHUNK = 32


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("explain", help="write heat maps of what decided a prediction")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("images", type=Path, nargs="+", help="photos, or folders of them")
    parser.add_argument("--method", choices=METHOD_NAMES, default="mfaba-sharp")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the method, as in n=20; arrays are .npy files")  # fmt: skip
    parser.add_argument("--target", type=int, help="the class to explain (default: the predicted one)")
    parser.add_argument("--out", type=Path, default=Path("heatmaps"), help="folder to write to")
    parser.add_argument("--npy", action="store_true", help="write the attributions themselves as well")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Explain every photo, write an overlay of each and print a table."""
    from fluxpath.runtime import Explainer, Status

    method = method_from(options.method, options.set)
    files = list(_photos(options.images))
    names = _output_names(files)
    rows = [["image", "class", "score", "steps", "ended by", "written"]]
    with Explainer(options.graph, device=options.device) as explainer:
        shape = _picture_shape(explainer)
        make_folder(options.out)
        with tqdm(total=len(files), unit="image", disable=len(files) < 2, leave=False) as bar:
            for begin in range(0, len(files), CHUNK):
                chunk = files[begin : begin + CHUNK]
                images = np.stack([_photo(explainer, shape, f) for f in chunk])
                result = explainer.attribute(images, options.target, method)
                for i, file in enumerate(chunk):
                    written = _write(options, explainer, names[begin + i], images[i], result, i)
                    rows.append(
                        [
                            file.name,
                            _class_name(explainer, int(result.target[i])),
                            f"{result.score[i]:.4f}",
                            str(result.steps[i]),
                            Status(result.status[i]).name.lower().replace("_", " "),
                            str(written),
                        ]
                    )
                bar.update(len(chunk))
    print(table(rows))


def _photos(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            found = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not found:
                raise InputError(f"the folder '{path}' holds no image ({', '.join(sorted(SUFFIXES))})")
            yield from found
        else:
            yield path


def _output_names(files: list[Path]) -> list[str]:
    """A name for each photo's results: its stem, with a number where two photos share it."""
    seen: dict[str, int] = {}
    names = []
    for file in files:
        count = seen[file.stem] = seen.get(file.stem, 0) + 1
        names.append(file.stem if count == 1 else f"{file.stem}-{count}")
    return names


def _picture_shape(explainer: Explainer) -> tuple[int, int, int]:
    shape = explainer.shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        raise InputError(f"the model takes inputs of shape {list(shape)}, and photos need [1 or 3, h, w]")
    return shape[0], shape[1], shape[2]


def _photo(explainer: Explainer, shape: tuple[int, int, int], file: Path) -> np.ndarray:
    from fluxpath.runtime.picture import load_image

    low, high = explainer.manifest.low, explainer.manifest.high
    return load_image(file, shape, (0.0, 1.0) if low is None or high is None else (low, high))


def _write(
    options: argparse.Namespace,
    explainer: Explainer,
    name: str,
    image: np.ndarray,
    result: Attribution,
    i: int,
) -> Path:
    from fluxpath.runtime.picture import overlay, save_png

    low, high = explainer.manifest.low, explainer.manifest.high
    unit = image if low is None or high is None else (image - low) / (high - low)
    path: Path = options.out / f"{name}.png"
    save_png(
        overlay(unit, result.values[i], size=max(224, *image.shape[1:]), smooth=image.shape[1] > 16), path
    )
    if options.npy:
        np.save(options.out / f"{name}.npy", result.values[i])
    return path


def _class_name(explainer: Explainer, target: int) -> str:
    names = explainer.manifest.class_names
    return str(target) if names is None else names[target]
