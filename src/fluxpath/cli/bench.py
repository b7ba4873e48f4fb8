"""`fluxpath bench`: how fast a model of one's own is explained, beside what else there is."""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need, whole
from fluxpath.cli._common import (
    Commands,
    add_trust,
    current_folder,
    make_folder,
    method_from,
    named_path,
    say,
    show,
    table,
)
from fluxpath.cli._images import images_from, noise_for
from fluxpath.cli._model import torch_module
from fluxpath.cli._spelling import each_of
from fluxpath.errors import FluxpathError, InputError
from fluxpath.manifest import Manifest
from fluxpath.methods import NAMES
from fluxpath.progress import Progress

if TYPE_CHECKING:
    from fluxpath.bench.run import Task
    from fluxpath.bench.timing import Rounds
    from fluxpath.bench.work import Setup
    from fluxpath.runtime import Method

METHODS = "mfaba-sharp,neflag,integrated-gradients"
STEP = "step"
PUBLISHED: dict[str, tuple[str, ...]] = {
    "mfaba-sharp": ("step_size=0.1", "max_steps=50"),
    "mfaba-smooth": ("step_size=0.001", "max_steps=50"),
    "neflag": ("n=20", "radius=0.1", "max_steps=20"),
    "integrated-gradients": ("steps=50",),
    "smoothgrad": ("n=50", "sigma=0.15"),
    "expected-gradients": ("n=50",),
}
"""The settings of the methods where none are given: as published, and the same on every side."""

PHOTOS, NOISE = 64, 32
"""How many images there are at most, with --data and without."""


def register(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the subcommand `bench`."""
    parser = commands.add_parser("bench", help="measure speed, beside eager PyTorch and others")
    parser.add_argument("graph", type=Path, help="a file that 'fluxpath export' wrote")
    parser.add_argument("--torch", metavar="PACKAGE.MODULE:FACTORY",
                        help="a function that gives the torch.nn.Module that the file was exported from, to "
                        "compare with; or torchvision:NAME")  # fmt: skip
    parser.add_argument("--logits", dest="output", metavar="NAME",
                        help="the output of that module to explain, if it has several")  # fmt: skip
    parser.add_argument("--methods", default=None, metavar="NAMES",
                        help="as in mfaba-sharp,neflag:n=10,radius=0.2,saliency, beside one gradient step "
                        f"(default {METHODS}, with their published settings)")  # fmt: skip
    parser.add_argument("--sides", metavar="NAMES",
                        help="what to compare with, of published, best, compiled, captum and openvino "
                        "(default: all that there are)")  # fmt: skip
    parser.add_argument("--batch", default="1,8", metavar="SIZES",
                        help="images in a call, as in 1,8,32,auto (default 1,8); auto: all at once, with as "
                        "many points at a time as each side likes best")  # fmt: skip
    parser.add_argument("--data", type=Path, metavar="PATH",
                        help=f"photos in a folder, at most {PHOTOS}, or an .npz file's array 'images' "
                        "(default: noise)")  # fmt: skip
    parser.add_argument("--rounds", type=int,
                        help="how often the sides take turns (default: until 100 or 15 seconds, at least "
                        "5)")  # fmt: skip
    parser.add_argument("--threads", type=int, help="of every side (default: all cores)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda or cuda:1")
    parser.add_argument("--out", type=named_path, default=Path("bench"), metavar="DIR",
                        help="folder for bench.json, bench.md and bench.svg (default bench)")  # fmt: skip
    add_trust(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Compare, time, print and write; FluxpathError if a side computes something else."""
    from fluxpath.artifact import read_manifest
    from fluxpath.bench import report as reports
    from fluxpath.bench.machine import Neighbours, environment
    from fluxpath.bench.run import measured, steps_of
    from fluxpath.bench.timing import Rounds
    from fluxpath.bench.words import disagreeing
    from fluxpath.machine import cores

    if options.rounds is not None:
        whole("--rounds", options.rounds, 1)
    threads = cores() if options.threads is None else options.threads
    whole("--threads", threads, 1, 2**10)
    _check_device(options.device)
    batches = _batches(options.batch)
    reports.need_folder(options.out)
    manifest = read_manifest(options.graph)
    neighbours = Neighbours()
    images, about = _images(options.data, batches, manifest)
    sides = _sides(options.sides, options.torch is not None)
    tasks = _tasks(options.methods, batches, manifest, images, Rounds(options.rounds))
    with tempfile.TemporaryDirectory() as folder, current_folder():
        setup, scores = _setup(options, manifest, images, Path(folder), threads)
        with Progress(steps_of(sides, tasks), "step", "opening", alike=False) as progress:
            rows, left_out = measured(setup, scores, sides, tasks, progress)
    machine = environment(threads)
    machine["others_share_of_cores"] = neighbours.share()
    command = shlex.join(["fluxpath", *sys.argv[1:]])
    found = reports.report(setup, rows, left_out, machine, about, command)
    _show(found)
    written = reports.write(found, make_folder(options.out))
    say(f"written: {', '.join(map(str, written))}")
    if disagreeing(found):
        raise FluxpathError("a side computes something other than fluxpath, see the table: it was not timed")


def _setup(
    options: argparse.Namespace,
    manifest: Manifest,
    images: npt.NDArray[np.float32],
    folder: Path,
    threads: int,
) -> tuple[Setup, npt.NDArray[np.float32]]:
    """What the sides are built from, with the predicted classes as targets; and the images' scores."""
    from fluxpath.bench.graph_sides import predicted
    from fluxpath.bench.work import Setup
    from fluxpath.bench.workers import apart

    make: Callable[[], Any] | None = None
    if options.torch is not None:
        need(":" in options.torch, f"--torch is '{options.torch}', write it as package.module:factory")
        make = partial(torch_module, options.torch)
    np.save(pixels := folder / "images.npy", images)
    none = np.zeros(len(images), np.int64)
    need(make or options.output is None, "--logits names an output of the torch module: pass --torch too")
    setup = Setup(
        options.graph.absolute(),
        manifest,
        make,
        pixels,
        none,
        threads,
        options.device,
        options.trust,
        options.output,
    )
    with Progress(None, "model", f"opening {options.graph}", alike=False):
        targets, scores = apart(predicted, setup, threads=threads)
    from dataclasses import replace

    return replace(setup, targets=targets), scores


def _check_device(device: str) -> None:
    from fluxpath.runtime.device.base import parse

    need(parse(device)[0] != "auto", "--device is 'auto', and a comparison needs one: cpu, cuda or cuda:1")


def _sides(text: str | None, torch: bool) -> list[str]:
    """fluxpath and what it is compared with; InputError for a side that there is not."""
    from fluxpath.bench.sides import CHOSEN, FLUXPATH, TORCH

    there = [side for side in CHOSEN if torch or side not in TORCH]
    if text is None:
        return there
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        need(word in CHOSEN, f"--sides is '{text}': there is no '{word}', there are {', '.join(CHOSEN)}")
        need(word in there, f"the side '{word}' needs the torch module: pass --torch package.module:factory")
    return [side for side in CHOSEN if side in (*words, FLUXPATH)]


def _batches(text: str) -> list[int | Literal["auto"]]:
    found: list[int | Literal["auto"]] = []
    for word in (word.strip() for word in text.split(",")):
        if word == "auto":
            found.append("auto")
        elif word.isascii() and word.isdigit() and 1 <= int(word) <= 4096:
            found.append(int(word))
        else:
            raise InputError(
                f"--batch is '{text}', and must be numbers from 1 to 4096, or auto, as in 1,8,auto"
            )
    return list(dict.fromkeys(found))


def _images(
    data: Path | None, batches: list[int | Literal["auto"]], manifest: Manifest
) -> tuple[npt.NDArray[np.float32], dict[str, Any]]:
    """At least as many images as the largest batch has, and what they are."""
    largest = max((batch for batch in batches if batch != "auto"), default=1)
    if data is None:
        images = noise_for(manifest, max(NOISE if "auto" in batches else 8, largest))
        return images, {"distinct": len(images), "source": "seeded noise", "noise": True}
    images = images_from(data, max(PHOTOS, largest), manifest)
    about = {"distinct": len(images), "source": f"of {data}", "noise": False}
    if len(images) < largest:  # over and over
        images = np.resize(images, (largest, *images.shape[1:]))
    return images, about


def _tasks(
    text: str | None,
    batches: list[int | Literal["auto"]],
    manifest: Manifest,
    images: npt.NDArray[np.float32],
    rounds: Rounds,
) -> list[Task]:
    """One gradient step, then every method, each with every batch; InputError for what does not fit."""
    from fluxpath.bench.run import Task
    from fluxpath.runtime.inputs import as_fitting_method, check_rules
    from fluxpath.runtime.methods.named import need_known
    from fluxpath.runtime.preparation import Preparation

    shape = images.shape[1:]
    prepare = Preparation.of(manifest, shape)
    default = METHODS if manifest.rules == "gradient" else "deeplift"

    def made(name: str, assignments: list[str]) -> Method | None:
        need_known(name, [STEP])
        if name == STEP:
            need(not assignments, f"'{STEP}' is one gradient, and has no settings")
            return None
        given = published(name, assignments)
        method = method_from(name, given, lambda path: _prepared(prepare, path))
        method = as_fitting_method(method, shape, manifest)
        check_rules(method, manifest.rules)
        return method

    methods = each_of("--methods", default if text is None else text, [*NAMES, STEP], made)
    chosen: dict[str, Method | None] = {STEP: None, **methods}
    return [Task(name, method, batch, rounds) for name, method in chosen.items() for batch in batches]


def _prepared(prepare: Any, path: str) -> npt.NDArray[np.float32]:
    from fluxpath.runtime.bulk.sources import expanded

    images: npt.NDArray[np.float32] = prepare.all(expanded(path))
    return images


def published(name: str, assignments: list[str]) -> list[str]:
    """A method's settings, "key=value", the published ones where none are given."""
    given = {setting.partition("=")[0] for setting in assignments}
    return [s for s in PUBLISHED.get(name, ()) if s.partition("=")[0] not in given] + assignments


def _show(found: dict[str, Any]) -> None:
    from fluxpath.bench import words

    say(words.machine_words(found))
    show()
    show(table([words.HEADER, *words.table_rows(found)]))
    show()
    show(table(words.own_rows(found)))
    show()
    for note in words.notes(found):
        say(note)
