"""The table of what half precision costs, which `fluxpath verify` prints with --precision and --against."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np

from fluxpath.cli._common import method_from, need_export, say, show, table
from fluxpath.cli._images import Images, images_from, noise_for
from fluxpath.companions import fillers_for
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.progress import Progress
from fluxpath.text import counted

if TYPE_CHECKING:
    from fluxpath.runtime import Attribution, Explainer, Method
    from fluxpath.runtime.fidelity import Fidelity

HEADER = ("", "distance", "90%", "worst", "ranks", "10%", "worst", "equal steps")


def compare(options: argparse.Namespace) -> None:
    """Attribute the images in float32 and in half precision, and print how far apart they are."""
    from fluxpath.runtime import read_manifest

    manifest = read_manifest(options.graph)
    if manifest.precision != "float32":
        raise InputError(
            f"'{options.graph}' computes in {manifest.precision}, and must be the float32 graph: name the "
            "float32 file first, and this one after --against"
        )
    if options.data is None:
        images, where = noise_for(manifest, options.images), "of noise (give your own with --data)"
    else:
        images, where = images_from(options.data, options.images, manifest), f"from {options.data}"
    rows = [(name, *_figures(found)) for name, found in _measured(options, manifest, images)]
    say(
        f"{options.graph} with {options.method}: half precision against float32, "
        f"{counted(len(images), 'image')} {where}"
    )
    show(table([HEADER, *rows]))
    show(
        "distance: from an image's float32 attribution, relative, in L2, at the median;\n"
        "ranks: the rank correlation with it (Spearman), at the median"
    )


def _measured(
    options: argparse.Namespace, manifest: Manifest, images: Images
) -> Iterator[tuple[str, Fidelity]]:
    from fluxpath.runtime import Explainer
    from fluxpath.runtime.bulk.sources import expanded
    from fluxpath.runtime.fidelity import fidelity
    from fluxpath.runtime.preparation import Preparation

    shape = images.shape[1:]
    preparation = Preparation.of(manifest, shape)
    method = method_from(options.method, options.set, lambda photos: preparation.all(expanded(photos)))
    names = [] if options.precision is None else options.precision.split(",")
    given: list[str | Path] = [*names, *options.against]
    with Progress(1 + len(given), "graph", "attributing in float32", alike=False) as shown:
        with Explainer(options.graph, device=options.device, shape=shape, trust=options.trust) as explainer:
            exact = _attributed(explainer, manifest, images, None, method)
        shown.update()
        for one in given:
            emulated = isinstance(one, str)
            shown.doing(f"attributing in {one}")
            with (
                _rounded(options.graph, one, shape)
                if isinstance(one, str)
                else Explainer(one, device=options.device, shape=shape, trust=options.trust)
            ) as explainer:
                found = _attributed(explainer, manifest, images, exact, method)
            shown.update()
            yield (f"{one}, emulated" if emulated else str(one)), fidelity(found, exact)


def _rounded(graph: Path, precision: str, shape: tuple[int, ...]) -> Explainer:
    """An explainer of the float32 graph with all values rounded; runs on the CPU, without special kernels."""
    from fluxpath.runtime import Explainer, OnnxSession

    need_export()
    from fluxpath.export.rounding import write_rounded

    with TemporaryDirectory() as folder:
        path = Path(folder, "rounded.grad.onnx")
        write_rounded(graph, path, precision)
        return Explainer.from_session(OnnxSession(path, optimized=False), shape=shape)


def _attributed(
    explainer: Explainer, manifest: Manifest, images: Images, exact: Attribution | None, method: Method
) -> Attribution:
    """Attributions for the classes that float32 predicts; further inputs are all ones, like a full mask."""
    target = None if exact is None else exact.target
    open_sizes = [size for d, size in zip(manifest.shape, images.shape[1:], strict=True) if d is None]
    ones = fillers_for(manifest, len(images), *open_sizes[:1])
    return explainer.attribute(images, target, method, inputs=ones)


def _figures(found: Fidelity) -> list[str]:
    distances = [f"{np.quantile(found.distance, q):.1e}" for q in (0.5, 0.9, 1.0)]
    ranks = [f"{np.quantile(found.rank_correlation, q):.4f}" for q in (0.5, 0.1, 0.0)]
    return [*distances, *ranks, f"{found.equal_steps.mean():.0%}"]
