"""`fluxpath verify`: checks a gradient graph against float64, or half precision against float32."""

from __future__ import annotations

import argparse
from pathlib import Path

from fluxpath import archive
from fluxpath.cli._common import Commands, add_method, add_trust, need_export, say, show
from fluxpath.cli._fidelity import compare
from fluxpath.cli._images import images_from
from fluxpath.errors import InputError
from fluxpath.progress import Progress
from fluxpath.text import counted


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `verify`."""
    parser = commands.add_parser("verify", help="check a gradient graph against differences in float64, or "
                                 "measure what half precision costs")  # fmt: skip
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("--data", type=Path, metavar="PATH",
                        help="verify at the first images of the array 'images' in an .npz file, or of a "
                        "folder (default: a few images of noise)")  # fmt: skip
    parser.add_argument("--images", type=int, default=16, help="how many images (default 16)")
    parser.add_argument("--precision", metavar="NAMES",
                        help="float16, bfloat16 or float16,bfloat16: measure by rounding every value how "
                        "far attributions would be from this float32 graph's")  # fmt: skip
    parser.add_argument("--against", type=Path, nargs="+", default=[], metavar="FILE",
                        help="files in half precision: measure on this machine how far their attributions "
                        "are from this float32 graph's")  # fmt: skip
    add_method(parser)
    parser.add_argument("--device", default="cpu",
                        help="cpu (default), cuda, cuda:1 or auto, for --against")  # fmt: skip
    add_trust(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Verify or compare, and print the figures."""
    if options.images < 1:
        raise InputError(f"--images is {options.images}, and must be 1 or more")
    if options.precision is not None or options.against:
        compare(options)
        return
    export = need_export()
    from fluxpath.runtime import read_manifest

    manifest = read_manifest(options.graph)
    images = None if options.data is None else images_from(options.data, options.images, manifest)
    if images is None and None in manifest.shape and options.graph.suffix != archive.SUFFIX:
        from fluxpath.export.open_sizes import images_for

        images = images_for(options.graph)
    with Progress(1, "graph", "verifying against float64", alike=False):
        done = export.verify(options.graph, images)
    deeplift = manifest.rules == "deeplift"
    at = (
        ""
        if options.data is None or images is None
        else f" at {counted(len(images), 'image')} of {options.data}"
    )
    say(f"{options.graph}: the {'multipliers are' if deeplift else 'gradient is'} right{at}")
    what = "relative error of the " + ("multipliers" if deeplift else "gradient")
    show(f"  {what}  {done.typical:.1e} at the median, {done.error:.1e} at worst")
    show(f"  {'error of the score':{len(what)}}  {done.score:.1e}")
