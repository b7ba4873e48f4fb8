"""The fenced blocks of a page, and how they run: Python and fluxpath's commands, in the page's order."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradcheck
import numpy as np
import onnx
from PIL import Image

from fluxpath.cli import main

RUN, SHOWN = ("python", "sh"), ("text", "toml", "yaml")
"""The languages of blocks that are run, and of blocks that are there to be read."""

NOT_RUN = re.compile(r"# not run by the tests: (\S.*)\n")
"""The first line of a block that is not run; it says why."""

QUOTED = re.compile(r"# from (\S+)\n")
"""The first line of a block that stands, word for word, in that file of the repository."""

FENCE = re.compile(r"^( *)```(.*)\n((?:.*\n)*?)\1```$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block. line: of its first line in the page. language: "" where the fence names none."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def is_run(self) -> bool:
        return self.language in RUN and not NOT_RUN.match(self.text) and not QUOTED.match(self.text)

    def __str__(self) -> str:
        return f"{self.page.name}:{self.line}"


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text[: found.start(3)].count("\n") + 1,
            found[2],
            re.sub(f"^{found[1]}", "", found[3], flags=re.MULTILINE),
        )
        for found in FENCE.finditer(text)
    ]


def stage(folder: Path) -> None:
    """What the pages speak of: a classifier of photos with 6 classes, photos, names, and a torch module."""
    text = "c = AveragePool<kernel_shape=[56, 56], strides=[56, 56]>(x) f = Flatten(c) y = Gemm(f, v)"
    onnx.save(gradcheck.parse(text, "batch,3,224,224", v=(48, 6)), folder / "model.onnx")
    rng = np.random.default_rng(0)
    (folder / "photos").mkdir()
    for name in ("photo.jpg", "photos/cat.png", "photos/dog.png"):
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(folder / name)
    (folder / "classes.txt").write_text("cat\ndog\nfox\nhen\nowl\npig\n")
    (folder / "my_package").mkdir()
    (folder / "my_package" / "__init__.py").touch()
    (folder / "my_package" / "models.py").write_text(MODELS)


MODELS = """
from torch import nn

def make_classifier():
    return nn.Sequential(nn.AvgPool2d(56), nn.Flatten(), nn.Linear(48, 6))
"""


def run(blocks: list[Block]) -> dict[str, Any]:
    """Run a page's blocks in the current folder, the Python ones in one namespace, which is returned."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks:
        if block.is_run and block.language == "python":
            # So that a traceback names the page and its line.
            exec(compile("\n" * (block.line - 1) + block.text, str(block.page), "exec"), names)
        elif block.is_run:
            for command in _commands(block):
                assert main(command) == 0, f"{block}: {' '.join(command)}"
    return names


def _commands(block: Block) -> Iterator[list[str]]:
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words:
            assert words[0] == "fluxpath", f"{block}: only fluxpath's commands are run: mark this block"
            yield words[1:]
