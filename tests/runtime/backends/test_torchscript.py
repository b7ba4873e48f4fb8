"""TorchScript behind the engine: the same results as ONNX Runtime's, and torch only where it is asked for."""

from __future__ import annotations

import hashlib
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
import torch_modules as modules  # noqa: E402

from fluxpath import archive  # noqa: E402
from fluxpath.artifact import read_identified  # noqa: E402
from fluxpath.errors import ArtifactError, FluxpathError, ProviderError  # noqa: E402
from fluxpath.export import gradient_from_torch  # noqa: E402
from fluxpath.manifest import Manifest  # noqa: E402
from fluxpath.runtime import AGI, MFABA, Explainer, NeFLAG, OnnxSession, read_manifest  # noqa: E402
from fluxpath.runtime.backends.torchscript import TorchScriptSession  # noqa: E402
from fluxpath.runtime.lanes import Lanes  # noqa: E402
from fluxpath.script_operators import OPERATORS  # noqa: E402

SLOTS = 6
UNKNOWN = [
    "torch.to(x, -1)", "torch.to(x, 200)", "torch.to(x, 45, False, False)", "torch.zeros([2], dtype=200)",
    "torch.to(x, ops.prim.device(x), 200)", "torch.zeros([2], dtype=-1)", "torch.zeros([2], layout=77)",
    "torch.zeros([2], dtype=12)", "torch.clone(x, memory_format=99)", "torch.contiguous(x, memory_format=-1)",
    "torch.sum(x, dtype=torch.size(x, 1))", "torch.zeros([2], dtype=int(200.5))",
    "torch.empty_like(x, dtype=200)", "torch._softmax_backward_data(x, x, 1, 99)",
    "torch.cumprod(x, 1, dtype=99)",
]  # fmt: skip


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Path]]:
    """`pair(name)`: a module as an ONNX file and as a TorchScript file."""
    folder = tmp_path_factory.mktemp("pairs")
    builds = {"resnet": modules.resnet, "vit": modules.ViT, "tiny": modules.tiny}

    def export(name: str) -> tuple[Path, Path]:
        paths = (folder / f"{name}.grad.onnx", folder / f"{name}.pt")
        example = torch.zeros(1, 6) if name == "tiny" else torch.zeros(1, 3, modules.SIDE, modules.SIDE)
        for path in paths:
            if not path.exists():
                gradient_from_torch(modules.made(builds[name]), example, path)
        return paths

    return export


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_sessions_agree(name: str, pair: Callable[[str], tuple[Path, Path]]) -> None:
    onnx, script = pair(name)
    sessions = (OnnxSession(onnx), TorchScriptSession(script))
    shape = sessions[1].manifest.shape
    assert None not in shape
    for count in (SLOTS, 1, 3):
        both = []
        for session in sessions:
            assert session.output == modules.CLASSES
            lanes = Lanes(SLOTS, (3, modules.SIDE, modules.SIDE), 0.0, 1.0, output=session.output)
            lanes.point[:] = np.random.default_rng(count).random(lanes.point.shape, dtype=np.float32)
            lanes.target[:] = np.arange(SLOTS) % modules.CLASSES - 1
            lanes.gradient[:] = np.nan
            session.bind(lanes)
            session.run(count)
            both.append(lanes)
        first, second = both
        for array in ("gradient", "scale", "score", "output"):
            a, b = getattr(first, array)[:count], getattr(second, array)[:count]
            assert np.linalg.norm(a - b) <= 1e-5 * np.linalg.norm(a) and np.linalg.norm(a) > 0
        assert (first.label[:count] == second.label[:count]).all()
        # Slots beyond the count are not touched.
        assert np.isnan(second.gradient[count:]).all()


def test_inputs_are_not_copied(pair: Callable[[str], tuple[Path, Path]]) -> None:
    session = TorchScriptSession(pair("tiny")[1])
    lanes = Lanes(SLOTS, (6,), 0.0, 1.0)
    session.bind(lanes)
    assert session._inputs[0].data_ptr() == lanes.point.ctypes.data
    assert session._inputs[1].data_ptr() == lanes.target.ctypes.data


def test_explainer_takes_the_backend_by_suffix(pair: Callable[[str], tuple[Path, Path]]) -> None:
    images = np.random.default_rng(0).random((5, 3, modules.SIDE, modules.SIDE), dtype=np.float32)
    for method in (MFABA(max_steps=4), NeFLAG(n=3, max_steps=3)):
        results = []
        for path in pair("vit"):
            with Explainer(path, slots=4) as explainer:
                results.append(explainer.attribute(images, target=[0, 1, 2, -1, 3], method=method))
        first, second = results
        assert (first.steps == second.steps).all() and (first.target == second.target).all()
        assert modules.relative(second.values, first.values) < 1e-4


def test_agi_finds_the_likeliest_false_classes_in_either(pair: Callable[[str], tuple[Path, Path]]) -> None:
    images = np.random.default_rng(1).random((4, 6), dtype=np.float32)
    results = []
    for path in pair("tiny"):
        with Explainer(path, slots=3) as explainer:
            results.append(explainer.attribute(images, method=AGI(classes=2, choice="top", max_steps=5)))
    first, second = results
    assert (first.steps == second.steps).all() and (first.status == second.status).all()
    assert first.values.any() and modules.relative(second.values, first.values) < 1e-5


@pytest.mark.parametrize("objective", ["softmax", "logit"])
def test_one_logit_is_no_column_for_each_class(tmp_path: Path, objective: str) -> None:
    """There is one false class then, or none, and AGI needs no output to find it."""
    module = modules.made(lambda: modules.tiny(1))
    gradient_from_torch(module, torch.zeros(1, 6), tmp_path / "g.pt", objective=objective)
    assert TorchScriptSession(tmp_path / "g.pt").output is None
    with Explainer(tmp_path / "g.pt") as explainer:
        result = explainer.attribute(np.full((1, 6), 0.5, np.float32), method=AGI(choice="top"))
    assert result.values.any() == (objective == "softmax")


def test_manifests_agree(pair: Callable[[str], tuple[Path, Path]]) -> None:
    onnx, script = map(read_manifest, pair("tiny"))
    assert onnx.source == script.source and onnx.shape == script.shape and onnx.outputs == script.outputs
    assert (onnx.opset, script.opset) == (20, None)


# What is asked for, and what is not.


def program(text: str, *arguments: object) -> str:
    command = [sys.executable, "-c", text, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_torch_is_imported_for_a_pt_file_alone(pair: Callable[[str], tuple[Path, Path]]) -> None:
    text = """
import sys
from fluxpath.runtime import Explainer, read_manifest
onnx, script = sys.argv[1:]
Explainer(onnx).close()
read_manifest(script)
print("torch" in sys.modules, "fluxpath.runtime.backends.torchscript" in sys.modules)
Explainer(script).close()
print("torch" in sys.modules)
"""
    assert program(text, *pair("tiny")) == "False False\nTrue"


def test_without_torch(pair: Callable[[str], tuple[Path, Path]]) -> None:
    text = """
import sys
sys.modules["torch"] = None
import fluxpath
from fluxpath.runtime import Explainer
try:
    Explainer(sys.argv[1])
except fluxpath.ProviderError as error:
    print(error)
"""
    assert program(text, pair("tiny")[1]) == (
        'a TorchScript file needs torch, which is not installed: pip install "fluxpath[torch]", or export '
        "the model as .onnx"
    )


def test_providers_and_devices(
    pair: Callable[[str], tuple[Path, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    script = pair("tiny")[1]
    with pytest.raises(ProviderError, match="providers are ONNX Runtime's"):
        Explainer(script, providers=["CPUExecutionProvider"])
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ProviderError, match="torch finds no CUDA device here"):
        Explainer(script, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU that torch can use")
def test_cuda(pair: Callable[[str], tuple[Path, Path]]) -> None:
    """A file that was exported on the CPU runs on a GPU."""
    script = pair("vit")[1]
    images = np.random.default_rng(0).random((3, 3, modules.SIDE, modules.SIDE), dtype=np.float32)
    results = []
    for device in ("cpu", "cuda"):
        with Explainer(script, device=device) as explainer:
            results.append(explainer.attribute(images, method=MFABA(max_steps=2)).values)
    assert modules.relative(results[1], results[0]) < 1e-2


def test_threads_are_torchs(pair: Callable[[str], tuple[Path, Path]]) -> None:
    before = torch.get_num_threads()
    try:
        Explainer(pair("tiny")[1], threads=2).close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# Damaged and foreign files.


def test_truncated_and_altered_files(pair: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    """Whatever is not found has no effect: torch gets the sealed entries, not the file."""
    data = pair("tiny")[1].read_bytes()
    path = tmp_path / "g.pt"
    lanes = Lanes(2, (6,), 0.0, 1.0)
    lanes.point[:] = 0.5

    def gradient() -> list[float]:
        session = TorchScriptSession(path)
        session.bind(lanes)
        session.run(2)
        flat: list[float] = lanes.gradient.ravel().tolist()
        return flat

    path.write_bytes(data)
    right = gradient()
    rng = np.random.default_rng(0)
    for size in rng.integers(len(data), size=20):
        path.write_bytes(data[:size])
        with pytest.raises(ArtifactError):
            TorchScriptSession(path)
    found = 0
    for place in rng.integers(len(data), size=150):
        path.write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            assert gradient() == right
        except ArtifactError:
            found += 1
    assert found > 50


def test_a_pickle_is_not_loaded(tmp_path: Path) -> None:
    """A file of torch.save, and an archive whose pickle would run a command, end before torch sees them."""

    class Command:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "ran",))  # type: ignore[return-value]

    torch.save({"model": modules.tiny()}, tmp_path / "saved.pt")
    with zipfile.ZipFile(tmp_path / "evil.pt", "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Command()))
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Command()))
    for name in ("saved.pt", "evil.pt", "plain.pt"):
        with pytest.raises(ArtifactError, match="no intact TorchScript gradient graph"):
            Explainer(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_foreign_files(pair: Callable[[str], tuple[Path, Path]], tmp_path: Path) -> None:
    onnx, script = pair("tiny")
    torch.jit.save(torch.jit.script(modules.tiny()), tmp_path / "script.pt")
    (tmp_path / "really-onnx.pt").write_bytes(onnx.read_bytes())
    (tmp_path / "really-script.onnx").write_bytes(script.read_bytes())
    (tmp_path / "folder.pt").mkdir()
    for name in ("script.pt", "really-onnx.pt", "really-script.onnx", "folder.pt", "missing.pt"):
        with pytest.raises(ArtifactError):
            Explainer(tmp_path / name)


def test_the_file_that_runs_is_named_by_its_digest(pair: Callable[[str], tuple[Path, Path]]) -> None:
    path = pair("tiny")[1]
    assert TorchScriptSession(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert read_identified(path) == (read_manifest(path), TorchScriptSession(path).sha256)


def test_a_sealed_file_that_torch_cannot_read(
    pair: Callable[[str], tuple[Path, Path]], tmp_path: Path
) -> None:
    entries, manifest = archive.unseal(pair("tiny")[1].read_bytes())
    del entries["archive/extra/fluxpath.json"]
    code = next(name for name in entries if name.endswith(".py"))
    entries[code] = entries[code].replace(b"torch.tanh(", b"torch.addmm(")
    (tmp_path / "g.pt").write_bytes(archive.seal(entries, manifest))
    with pytest.raises(ArtifactError, match=r"torch cannot load '.*g.pt'"):
        TorchScriptSession(tmp_path / "g.pt")


@pytest.mark.parametrize(
    ("name", "instead"),
    [("score", "torch.sum({})"), ("gradient", "torch.select({}, 0, 0)"), ("label", "torch.mul({}, 0.5)")],
)
def test_outputs_of_other_sizes_and_types(
    pair: Callable[[str], tuple[Path, Path]], tmp_path: Path, name: str, instead: str
) -> None:
    """Torch would repeat one number for all rows, and round a label."""
    entries, manifest = archive.unseal(pair("tiny")[1].read_bytes())
    del entries["archive/extra/fluxpath.json"]
    code = next(entry for entry in entries if entry.endswith(".py"))
    text = entries[code].decode()
    entries[code] = re.sub(rf'"{name}": (\w+)', lambda m: f'"{name}": ' + instead.format(m[1]), text).encode()
    (tmp_path / "g.pt").write_bytes(archive.seal(entries, manifest))
    session = TorchScriptSession(tmp_path / "g.pt")
    session.bind(Lanes(3, (6,), 0.0, 1.0))
    with pytest.raises(ArtifactError, match=f"the graph gives '{name}' as"):
        session.run(2)


def test_a_graph_that_fails_at_run_time(pair: Callable[[str], tuple[Path, Path]]) -> None:
    session = TorchScriptSession(pair("tiny")[1])
    session.bind(Lanes(2, (7,), 0.0, 1.0))
    with pytest.raises(FluxpathError, match="torch failed on the gradient graph"):
        session.run(2)


def calling(call: str, path: Path) -> Path:
    """The file at `path` of a gradient graph that makes a call, whose result it gives beside the others."""
    code = f"""class Graph(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.fluxpath.Graph, x: Tensor, target: Tensor) -> Dict[str, Tensor]:
    y = {call}
    s = torch.sum(x, [1])
    return {{"y": y, "gradient": x, "scale": s, "score": s, "label": target}}
"""
    entries = {
        "data.pkl": b"\x80\x02c__torch__.fluxpath\nGraph\n)\x81}b.",
        "code/__torch__/fluxpath.py": code.encode(),
        "constants.pkl": b"\x80\x02).",
        "version": b"3\n",
        "byteorder": b"little",
    }
    outputs = ("y", "gradient", "scale", "score", "label")
    manifest = Manifest("x", (6,), 10, "softmax", None, "none", "logits", outputs=outputs)
    path.write_bytes(archive.seal({f"archive/{k}": v for k, v in entries.items()}, manifest))
    return path


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("call", UNKNOWN)
def test_kinds_of_tensors_that_do_not_exist(call: str, tmp_path: Path) -> None:
    """They would crash the process."""
    with pytest.raises(ArtifactError, match="could crash torch"):
        TorchScriptSession(calling(call, tmp_path / "x.pt"))


@pytest.mark.parametrize(
    "call", ["torch.to(x, 7)", "torch.zeros([2], dtype=None, layout=0)", "torch.add(x, 200)"]
)
def test_kinds_of_tensors_that_exist(call: str, tmp_path: Path) -> None:
    TorchScriptSession(calling(call, tmp_path / "x.pt"))


def test_numbers_of_kinds_are_torchs() -> None:
    """And torch names the parameters that take one as they are looked for."""
    numbers = {
        number: torch.zeros(1).to(dtype).dtype
        for number, dtype in ((0, torch.uint8), (6, torch.float32), (15, torch.bfloat16), (27, torch.uint16))
    }
    for number, dtype in numbers.items():
        made = torch.jit.CompilationUnit(f"def f(x):\n    return x.to({number})\n")
        assert made.f(torch.zeros(1)).dtype == dtype
    for schema in torch._C._jit_get_all_schemas():
        for given in schema.arguments if schema.name.removeprefix("aten::") in OPERATORS else ():
            kind = str(getattr(given, "real_type", ""))
            if any(word in kind for word in ("ScalarType", "Layout", "MemoryFormat")):
                assert given.name.rpartition("_")[2] in ("dtype", "layout", "format"), schema
