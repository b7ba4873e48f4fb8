"""The shell completes commands, options and values; tried in bash itself."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from fluxpath.cli import main
from fluxpath.methods import NAMES

pytest.importorskip("shtab", reason="shtab, which makes the script, is not installed")

BASH = shutil.which("bash")

COMPLETE = """
source ./script
words=($LINE_OF_WORDS)
[[ $LINE_OF_WORDS == *" " ]] && words+=("")
COMP_WORDS=("${words[@]}") COMP_CWORD=$((${#words[@]} - 1))
COMP_LINE="$LINE_OF_WORDS" COMP_POINT=${#LINE_OF_WORDS}
function=$(complete -p fluxpath | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function fluxpath "${words[-1]}" "${words[-2]}"
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("completion")
    (folder / "model.grad.onnx").touch()
    (folder / "photos").mkdir()
    return folder


@pytest.fixture
def completed(folder, capsys):
    assert main(["completion", "bash"]) == 0
    (folder / "script").write_text(capsys.readouterr().out)

    def complete(line: str) -> set[str]:
        done = subprocess.run(
            [BASH, "-c", COMPLETE], cwd=folder, env={"LINE_OF_WORDS": line, "PATH": "/usr/bin:/bin"},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0 and done.stderr == "", done.stderr
        return set(done.stdout.split())

    return complete


@pytest.mark.skipif(BASH is None, reason="needs bash")
@pytest.mark.parametrize(
    ("line", "among"),
    [
        ("fluxpath ", {"export", "explain", "compare", "info", "verify", "triton", "demo", "completion"}),
        ("fluxpath exp", {"export", "explain"}),
        ("fluxpath completion ", {"bash", "zsh", "tcsh"}),
        ("fluxpath explain m", {"model.grad.onnx"}),
        ("fluxpath explain model.grad.onnx ph", {"photos"}),
        ("fluxpath explain --meth", {"--method"}),
        ("fluxpath explain --method ", set(NAMES)),
        ("fluxpath explain --method mfaba", {"mfaba-sharp", "mfaba-smooth"}),
        ("fluxpath explain --polarity ", {"positive", "negative", "both"}),
        ("fluxpath compare --clip", {"--clip-percent-lowerbound", "--clip-percent-upperbound"}),
        ("fluxpath explain --out ph", {"photos"}),
        ("fluxpath ev", {"evaluate"}),
        ("fluxpath evaluate model.grad.onnx ph", {"photos"}),
        ("fluxpath evaluate --re", {"--report", "--restart"}),
        ("fluxpath evaluate --report ph", {"photos"}),
        ("fluxpath evaluate --masks ph", {"photos"}),
        ("fluxpath evaluate --preset ", {"rise", "neflag", "quantus"}),
        ("fluxpath evaluate --target ", {"predicted", "label"}),
        ("fluxpath triton m", {"model.grad.onnx"}),
        ("fluxpath triton --device ", {"cpu", "cuda"}),
    ],
)
def test_bash_completes(completed, line, among):
    assert among <= completed(line)


@pytest.mark.skipif(BASH is None, reason="needs bash")
def test_bash_completes_nothing_that_does_not_begin_so(completed):
    assert completed("fluxpath explain --method neflag") == {"neflag"}
    assert completed("fluxpath info --polarity") == set()


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_each_shell_has_a_script(capsys, shell):
    assert main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert "fluxpath" in script and "mfaba-sharp" in script


def test_without_shtab_it_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 1
    assert 'pip install "fluxpath[completion]"' in capsys.readouterr().err
