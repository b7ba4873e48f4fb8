"""`fluxpath verify`: a gradient graph against float64."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from fluxpath.cli._common import Commands, need_export
from fluxpath.errors import InputError


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = commands.add_parser("verify", help="check a gradient graph against differences in float64")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("--data", type=Path, metavar="FILE.npz",
                        help="verify at the first images of the array 'images' in this file")  # fmt: skip
    parser.add_argument("--images", type=int, default=16, help="how many of them (default 16)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Verify and print the figures."""
    export = need_export()
    images = None if options.data is None else _images(options.data, options.images)
    with tqdm(total=1, unit="graph", leave=False) as bar:
        done = export.verify(options.graph, images)
        bar.update()
    print(f"{options.graph}: the gradient is right")
    print(f"  relative error of the gradient  {done.typical:.1e} at the median, {done.error:.1e} at worst")
    print(f"  error of the score              {done.score:.1e}")


def _images(path: Path, count: int) -> npt.NDArray[np.float32]:
    """The first images of an .npz file; bytes become [0, 1]."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            images = archive["images"][:count]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is not an .npz file with an array 'images' in it") from error
    pixels = images / 255 if images.dtype == np.uint8 else images
    return np.asarray(pixels, np.float32)
