"""What a server pays for: importing the runtime brings in numpy and the kernels, and no model tools."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

import pytest

import fluxpath
import fluxpath.errors
import fluxpath.kernels
import fluxpath.runtime
import fluxpath.runtime.metrics

HEAVY = ("torch", "onnx", "onnx_ir", "onnxruntime", "fluxpath.export", "sklearn", "google.protobuf")
MODULES = (fluxpath, fluxpath.runtime, fluxpath.runtime.metrics, fluxpath.kernels)
PUBLIC = [(m, n) for m in MODULES for n in m.__all__]


def modules_after(code: str) -> set[str]:
    """The modules loaded in a fresh process that ran `code`."""
    script = f"{code}\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("module", [m.__name__ for m in MODULES] + ["fluxpath.manifest"])
def test_an_import_brings_in_no_model_tools(module):
    assert not modules_after(f"import {module}") & set(HEAVY)


@pytest.mark.parametrize("module", ["fluxpath", "fluxpath.manifest", "fluxpath.seal"])
def test_the_contract_needs_the_standard_library_only(module):
    assert not modules_after(f"import {module}") & {"numpy", "PIL", "tqdm"}


def test_every_error_is_in_the_package():
    errors = {n for n, v in vars(fluxpath.errors).items() if inspect.isclass(v) and issubclass(v, Exception)}
    assert errors <= set(fluxpath.__all__)


def test_onnxruntime_comes_with_the_first_file_and_nothing_else_does(graph):
    """Torch and onnx stay out also while an attribution runs."""
    loaded = modules_after(
        "import numpy as np\n"
        "from fluxpath.runtime import Explainer, NeFLAG\n"
        f"with Explainer({str(graph('linear'))!r}, threads=1) as explainer:\n"
        "    image = np.full((1, 6, 6), 0.5, np.float32)\n"
        "    explainer.attribute(image)\n"
        "    explainer.attribute(image, method=NeFLAG(n=1))\n"
    )
    assert loaded & set(HEAVY) == {"onnxruntime"}


def test_the_check_sees_what_is_imported():
    assert "fluxpath.export" in modules_after("import fluxpath.export")


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__)
def test_all_that_is_promised_is_there(module):
    assert len(set(module.__all__)) == len(module.__all__)
    assert all(hasattr(module, name) for name in module.__all__)


@pytest.mark.parametrize(("module", "name"), PUBLIC)
def test_public_names_have_docstrings(module, name):
    """And so have their own public methods and properties."""
    thing = getattr(module, name)
    if not (inspect.isclass(thing) or callable(thing)):
        return  # a constant; its text is for readers of the source
    assert (thing.__doc__ or "").strip()
    if not inspect.isclass(thing):
        return
    for attribute, value in vars(thing).items():
        described = callable(value) or isinstance(value, property | classmethod | staticmethod)
        if described and not attribute.startswith("_"):
            assert (value.__doc__ or "").strip(), f"{name}.{attribute}"
