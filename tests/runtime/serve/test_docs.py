"""docs/serving.md: every example in it runs, in order, as it is written."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from code_blocks import NOT_RUN, blocks_of
from serving import serving

PAGE = Path(__file__).parents[3] / "docs" / "serving.md"
BLOCKS = [(block.language, block.text) for block in blocks_of(PAGE) if not NOT_RUN.match(block.text)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """With the files that the examples name: the demo's model, and one of its digits."""
    from PIL import Image

    import fluxpath.demo
    from fluxpath.export import gradient_from_onnx

    folder = tmp_path_factory.mktemp("docs")
    source = Path(fluxpath.demo.__file__).with_name("digits.onnx")
    gradient_from_onnx(source, folder / "digits.grad.onnx", class_names=[str(d) for d in range(10)])
    Image.new("L", (16, 16), 90).save(folder / "digit.png")
    return folder


def test_the_examples_run(folder, monkeypatch):
    monkeypatch.chdir(folder)
    names = {}
    with serving("digits.grad.onnx") as server:
        names |= {"HTTP": server.http, "GRPC": server.grpc}
        environment = {**os.environ, "URL": f"http://{server.http}"}
        for language, text in BLOCKS:
            if language == "sh":
                subprocess.run(
                    ["bash", "-euo", "pipefail", "-c", text], check=True, env=environment, capture_output=True
                )
            else:
                exec(compile(text, str(PAGE), "exec"), names)
        names["client"].close()
    names["app"].state.service.close()
    assert (folder / "overlay.png").read_bytes().startswith(b"\x89PNG")
    assert {language for language, _ in BLOCKS} == {"sh", "python"}


def test_every_flag_that_is_named_is_one():
    from fluxpath.runtime.serve import Settings

    flags = set(re.findall(r"`--([a-z-]+)", PAGE.read_text()))
    assert flags <= {name.replace("_", "-") for name in Settings.__dataclass_fields__}
