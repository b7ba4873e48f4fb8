"""What a TorchScript file may hold. Only the last tests need torch, which never sees what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from fluxpath import script
from fluxpath.errors import ArtifactError
from fluxpath.script_operators import OPERATORS, UNFILLED

HEAD = """class _lambda(Module):
  __parameters__ = []
  __buffers__ = []
  def forward(self: __torch__.a._lambda,
    x: Tensor,
    target: Tensor) -> Dict[str, Tensor]:
"""
BODY = """    size = torch.size(x, 0)
    _0, _1 = torch.max(x, 1)
    y = torch.view(torch.add(x, CONSTANTS.c0, alpha=-1), [size, -1])
    z = torch.index(y, annotate(List[Optional[Tensor]], [None, _1]))
    parts = torch.unbind(z)
    w = torch.where(ops.prim.device(x), parts[0], -inf, float(1.5))
    _2 = {"score": w, "label": _1}
    return _2
"""
FLOATS = (
    b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0%sX\x03\0\0\0cpuK%ctQ"
    b"K%c(K%ct(K\x01t\x89ccollections\nOrderedDict\n)RtR"
)


def floats(key: bytes = b"0", numbers: int = 4, offset: int = 0, size: int = 4) -> bytes:
    """The pickle of one constant, float32 [size]."""
    return b"\x80\x02(" + FLOATS % (key, numbers, offset, size) + b"t."


def entries(body: str = BODY, head: str = HEAD, **changes: bytes | None) -> dict[str, bytes]:
    """An archive's entries; a change to None drops one, and __ stands for a dot."""
    made: dict[str, bytes | None] = {
        "data.pkl": b"\x80\x02c__torch__.a\n_lambda\nq\x00)\x81}(ubq\x01.",
        "code/__torch__/a.py": (head + body).encode(),
        "constants/0": b"\0" * 16,
        "constants.pkl": floats(),
        "version": b"3\n",
        "byteorder": b"little",
    }
    made |= {name.replace("__", "."): content for name, content in changes.items()}
    return {f"archive/{name}": content for name, content in made.items() if content is not None}


def refuse(given: dict[str, bytes], message: str = "trust=True|constants are not tensors") -> None:
    with pytest.raises(ArtifactError, match=message):
        script.checked(given)


def test_what_an_export_writes_is_written_anew() -> None:
    given = entries()
    made = script.checked(given)
    assert set(made.values()).isdisjoint({given["archive/data.pkl"], given["archive/code/__torch__/a.py"]})
    assert script.checked(made) == made
    assert made["archive/constants/0"] == given["archive/constants/0"]


WORSE = {
    "a file": "    y = torch.from_file('/etc/passwd', False, 32)\n",
    "a file to write": "    torch.save(x, '/tmp/x')\n",
    "an alias of torch": "    y = torch\n    z = y.from_file('/etc/passwd')\n",
    "an operator by its overload": "    y = torch.from_file.out('/etc/passwd', x)\n",
    "another namespace": "    y = ops.aten.from_file('/etc/passwd')\n",
    "an operator of another library": "    y = ops.profiler._record_function_enter('x')\n",
    "another primitive": "    y = ops.prim.fork(x)\n",
    "a method": "    y = x.storage()\n",
    "a method with an allowed name": "    y = x.add(x)\n",
    "a call of a value": "    y = torch.add\n    z = y(x)\n",
    "getattr": "    y = getattr(torch, 'from_file')('/etc/passwd')\n",
    "a loop": "    while True:\n      y = x\n",
    "a branch": "    if True:\n      y = x\n",
    "a comprehension": "    y = [torch.add(x, x) for x in x]\n",
    "a function within": "    y = lambda x: x\n",
    "an assertion": "    assert True\n",
    "an import": "    import os\n",
    "a name twice": "    y = torch.relu(x)\n    y = torch.relu(y)\n",
    "torch as a name": "    torch = torch.relu(x)\n",
    "an unknown name": "    y = torch.relu(q)\n",
    "a constant that is not there": "    y = torch.relu(CONSTANTS.c1)\n",
    "a text with a path": "    y = torch.gelu(x, approximate='/etc/passwd')\n",
    "an attribute": "    y = self.weight\n",
    "a keyword splat": "    y = torch.add(**x)\n",
    "a star": "    y = torch.add(*x)\n",
    "a huge number": "    y = torch.add(x, 18446744073709551616)\n",
    "an f-string": "    y = torch.gelu(x, approximate=f'{x}')\n",
    "a named expression": "    y = torch.add(x, (z := x))\n",
    "an object's method": "    y = __torch__.Evil.run(x)\n",
    "a deep expression": f"    y = {'[' * 150}x{']' * 150}\n",
    "a deeper one": f"    y = {'-' * 100_000}x\n",
    "a random number": "    y = torch.rand([3])\n",
    "print": "    print(x)\n",
    "a name of other letters": "    y = torch.relu(x)\n    z = torch.\u212felu(x)\n",
}


@pytest.mark.parametrize("name", WORSE)
def test_code_that_does_anything_else(name: str) -> None:
    refuse(entries(WORSE[name] + BODY))


HEADS = {
    "a second class": HEAD + BODY + "class Other(Module):\n  def __setstate__(self):\n    pass\n" + HEAD,
    "a second method": HEAD.replace("  def forward", "  def __setstate__(self):\n    pass\n  def forward"),
    "an interface": HEAD.replace("Module", "ModuleInterface").replace(
        "  __parameters__ = []\n", "  a : Tensor\n"
    ),
    "an attribute": HEAD.replace("  __buffers__ = []\n", '  __buffers__ = ["a"]\n'),
    "a class of C++": HEAD.replace("x: Tensor", "x: __torch__.torch.classes.profiling.InstructionStats"),
    "a default": HEAD.replace("target: Tensor", "target: Tensor=torch.from_file('/etc/passwd')"),
    "a decorator": HEAD.replace("  def forward", "  @torch.jit.script\n  def forward"),
    "an import": "import os\n" + HEAD,
}


@pytest.mark.parametrize("name", HEADS)
def test_classes_of_another_form(name: str) -> None:
    refuse(entries(head=HEADS[name]))


ENTRIES: dict[str, dict[str, bytes | None]] = {
    "stack traces, which torch unpickles when an error is raised": {"code/__torch__/a.py.debug_pkl": b"x"},
    "code of mobile torch": {"bytecode.pkl": b"x"},
    "a function that was left": {"code/__torch__/traced_fork.py": b"x"},
    "an extra file": {"extra/more": b"x"},
    "a path upward": {"constants/../../x": b"x"},
    "no code": {"code/__torch__/a.py": None},
    "an object in place of the module": {"data.pkl": pickle.dumps({"a": 1}, 2)},
    "a module with attributes": {
        "data.pkl": b"\x80\x02c__torch__.a\n_lambda\nq\x00)\x81}(X\x01\0\0\0aK\x01ub."
    },
    "a command": {"constants.pkl": b"\x80\x02cos\nsystem\nX\x02\0\0\0lst\x85R."},
    "a class of the archive": {"constants.pkl": b"\x80\x02(c__torch__.a\n_lambda\n)\x81}bt."},
    "a tensor longer than its entry": {"constants.pkl": floats(numbers=200, size=200)},
    "a tensor longer than its storage": {"constants.pkl": floats(size=5)},
    "a tensor that begins late": {"constants.pkl": floats(offset=1)},
    "an entry that is not there": {"constants.pkl": floats(key=b"7")},
    "a number": {"constants.pkl": b"\x80\x02(K\x01t."},
    "a reference that takes gigabytes": {"constants.pkl": b"\x80\x02(r\xff\xff\xff\x7ft."},
    "bytes in another order": {"byteorder": b"big"},
    "no version": {"version": None},
}


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_that_no_export_writes(name: str) -> None:
    given = {f"archive/{k}": v for k, v in ENTRIES[name].items()}
    refuse({k: v for k, v in {**entries(), **given}.items() if v is not None})


def test_memory_that_was_not_written_is_not_shown() -> None:
    for name in UNFILLED:
        made = script.checked(entries(f"    e = torch.{name}(x)\n" + BODY))
        assert f"torch.zero_(torch.{name}(x))" in made["archive/code/__torch__/fluxpath.py"].decode()


def test_operators_take_and_give_tensors_and_numbers() -> None:
    """Of every operator that a file may call, in the torch that is here: no file, no generator, no object."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    schemas = [s for s in torch._C._jit_get_all_schemas() if s.name.startswith("aten::")]
    seen = set()
    for schema in schemas:
        name = schema.name.removeprefix("aten::")
        if name not in OPERATORS:
            continue
        kinds = {_kind(a.type) for a in (*schema.arguments, *schema.returns)}
        texts = [a.name for a in schema.arguments if _kind(a.type) == "str"]
        if kinds <= {"Tensor", "number", "int", "float", "bool", "complex", "Device"}:
            seen.add(name)
        # Operators of the same name on texts and lists only compute; their texts are no names of files.
        assert not {"Storage", "Stream", "Future", "PyObject", "RRef", "Any"} & kinds, schema
        assert not any(word in t for t in texts for word in ("file", "path")), schema
    assert len(OPERATORS - seen) < 60
    assert not {"from_file", "save", "set_", "resize_", "rand", "manual_seed", "data", "storage"} & OPERATORS


def _kind(kind: object) -> str:
    while kind.kind() in ("OptionalType", "ListType"):  # type: ignore[attr-defined]
        kind = kind.getElementType()  # type: ignore[attr-defined]
    return str(kind.annotation_str)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forged_file_neither_reads_nor_writes(tmp_path: Path) -> None:
    """Unless its user says that it is trusted."""
    torch = pytest.importorskip("torch", reason="torch is not installed")
    import scripts

    from fluxpath.runtime import Explainer, Saliency

    made = tmp_path / "made"
    scripts.write_forged(torch, tmp_path / "evil.pt", made)
    with pytest.raises(ArtifactError, match="trust=True"):
        Explainer(tmp_path / "evil.pt")
    assert not made.exists()
    with Explainer(tmp_path / "evil.pt", trust=True) as explainer:
        explainer.attribute(scripts.IMAGE, method=Saliency())
    assert made.exists()
