"""A report and its files: bench.json, bench.md and bench.svg, all of them or none."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fluxpath.bench.machine import PACKAGES
from fluxpath.bench.plot import plot
from fluxpath.bench.words import markdown
from fluxpath.bench.work import Setup
from fluxpath.errors import InputError
from fluxpath.files import replacing

FORMAT = 1
NAMES = ("bench.json", "bench.md", "bench.svg")
MARKS = {"bench.json": b'{\n "fluxpath_bench":', "bench.md": b"# fluxpath bench\n", "bench.svg": b"<svg "}
"""How the files begin; anything else is somebody else's."""


def report(
    setup: Setup,
    rows: Sequence[dict[str, Any]],
    left_out: dict[str, str],
    machine: dict[str, Any],
    images: dict[str, Any],
    command: str,
) -> dict[str, Any]:
    """All that was measured and what it depends on, as JSON holds it."""
    manifest = setup.manifest
    return {
        "fluxpath_bench": FORMAT,
        "command": command,
        "machine": {**machine, "packages": list(PACKAGES)},
        "device": setup.device,
        "model": {
            "file": setup.graph.name,
            "shape": list(manifest.shape),
            "classes": manifest.classes,
            "objective": manifest.objective,
            "precision": manifest.precision,
            "rules": manifest.rules,
            "normalises": manifest.mean is not None,
        },
        "images": images,
        "left_out": left_out,
        "rows": list(rows),
    }


def need_folder(folder: Path) -> None:
    """Raise InputError if what would be written there replaces a file that is not such a report's."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out is '{folder}', which is a file: name a folder")
    for name in NAMES:
        path = folder / name
        if path.exists() and not (path.is_file() and _begins(path, MARKS[name])):
            raise InputError(f"'{path}' would be replaced, and fluxpath did not write it: write elsewhere")


def write(found: dict[str, Any], folder: Path) -> list[Path]:
    """Write the files into the folder, which is there; nothing is half-written."""
    texts = dict(
        zip(
            NAMES,
            (json.dumps(found, indent=1, allow_nan=False) + "\n", markdown(found), plot(found)),
            strict=True,
        )
    )
    with ExitStack() as stack:
        for name, text in texts.items():
            temporary = stack.enter_context(replacing(folder / name))
            temporary.write_text(text, encoding="utf-8")
    return [folder / name for name in NAMES]


def _begins(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(mark)) == mark
