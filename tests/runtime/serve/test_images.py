"""What the Dockerfiles start is what there is: their commands run here, without Docker."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from serving import Process

FILES = sorted((Path(__file__).parents[3] / "docker").glob("*.Dockerfile"))


def instruction(file, name):
    """The words of the last instruction `name`, which is in the form of a list."""
    found = re.findall(rf"^(?:{name}|  CMD)\b[^\n\[]*(\[.*\])$", file.read_text(), re.MULTILINE)
    return [json.loads(text) for text in found]


def test_a_linter_finds_nothing():
    hadolint = shutil.which("hadolint") or Path(sys.executable).parent / "hadolint"
    if not Path(hadolint).exists():
        pytest.skip("hadolint, which there is for Linux on x86-64, is not installed")
    found = subprocess.run([hadolint, *FILES], capture_output=True, text=True)
    assert (found.returncode, found.stdout) == (0, "")


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_a_user_without_rights_and_a_check_of_health(file):
    text = file.read_text()
    assert re.search(r"^USER 10001$", text, re.MULTILINE) and "HEALTHCHECK" in text
    for line in re.findall(r'install.*"/source\[(.*)\]"', text):
        extras = (Path(__file__).parents[3] / "pyproject.toml").read_text()
        assert all(f"\n{extra} = [" in extras for extra in line.split(","))


def test_the_command_starts_and_the_check_finds_it_healthy(graph):
    (cpu,) = [f for f in FILES if f.stem == "cpu"]
    check, entry = instruction(cpu, "ENTRYPOINT")
    assert entry[:2] == ["fluxpath", "serve"]
    # Other ports, as those may be taken here; all else as it is.
    words = entry[2:]
    for flag in ("--port", "--grpc-port"):
        words[words.index(flag) + 1] = "0"
    server = Process(*words, f"m={graph('smooth')}")
    try:
        assert server.ready["host"] == "0.0.0.0"
        code = check[2].replace("8000", str(server.ready["port"]))
        assert check[0] == "python", shlex.join(check)
        subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    finally:
        assert server.stop() == 0
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode != 0


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.stem)
def test_its_flags_are_known(file):
    from fluxpath.runtime.serve import Settings

    _, entry = instruction(file, "ENTRYPOINT")
    flags = {word.removeprefix("--").replace("-", "_") for word in entry if word.startswith("--")}
    assert flags <= set(Settings.__dataclass_fields__)
