"""`fluxpath explain --ray`: the same on a Ray cluster, into a folder of Parquet parts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from fluxpath.cli._common import method_from
from fluxpath.errors import InputError

if TYPE_CHECKING:
    from fluxpath.runtime import Summary

_ONLY = ("workers", "cpus", "gpus", "part")
"""Options that say nothing without --ray."""


def add_ray(parser: argparse.ArgumentParser) -> None:
    """Add --ray and what belongs to it."""
    group = parser.add_argument_group("on a Ray cluster", "docs/deploying.md says how")
    group.add_argument("--ray", metavar="ADDRESS",
                       help="HOST:PORT of a Ray cluster, auto, or local for one of this machine: --out is "
                       "then a folder of Parquet files, and images may also be Parquet files, WebDataset "
                       "tars and folders of them")  # fmt: skip
    group.add_argument("--workers", type=int, metavar="N",
                       help="processes (default: as many as there is room for)")  # fmt: skip
    group.add_argument("--cpus", type=float, help="cores of each process (default 1)")
    group.add_argument("--gpus", type=float, help="GPUs of each, as in 0.5 (default 1 where --device is one)")
    group.add_argument("--part", type=int, metavar="N",
                       help="images of a file (default: 256 MiB of attributions)")  # fmt: skip


def check_ray(options: argparse.Namespace, pictures: bool) -> None:
    """InputError for options that do not go together; pictures: whether how they look was said."""
    if options.ray is None:
        named = [name for name in _ONLY if getattr(options, name) is not None]
        if named:
            raise InputError(f"--{named[0]} is for a Ray cluster: add --ray ADDRESS, or leave it out")
        return
    if pictures or options.card or options.npy:
        raise InputError("on a Ray cluster no pictures are drawn: leave out the options of how they look")
    if options.top is not None:
        raise InputError("--top is not for a Ray cluster: leave it out, or explain one --target")
    if options.format not in (None, "parquet"):
        raise InputError(f"on a Ray cluster the format is parquet, and not {options.format}: leave it out")
    if len(options.images) != 1:
        raise InputError("on a Ray cluster name one folder or file of images, and not several")


def explain_on_ray(options: argparse.Namespace) -> Summary:
    """Do it; what became of the images."""
    from fluxpath.runtime import read_manifest
    from fluxpath.runtime.bulk.sources import expanded
    from fluxpath.runtime.preparation import Preparation
    from fluxpath.runtime.preparation.sizes import resolved_shape
    from fluxpath.runtime.ray import explain

    manifest = read_manifest(options.graph)
    preparation = Preparation.of(manifest, resolved_shape(manifest, None))
    return explain(
        options.images[0],
        options.graph,
        options.out,
        address=options.ray,
        target=options.target,
        method=method_from(options.method, options.set, lambda given: preparation.all(expanded(given))),
        workers=options.workers,
        cpus=1 if options.cpus is None else options.cpus,
        gpus=options.gpus,
        part=options.part,
        resume=options.resume,
        device=options.device,
        trust=options.trust,
    )
