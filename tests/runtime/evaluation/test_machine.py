"""What is told of the machine, the versions and the model."""

from __future__ import annotations

import platform
import re
from importlib.metadata import version

import numpy as np

import fluxpath
from fluxpath.runtime import Explainer
from fluxpath.runtime.evaluation import machine


def test_the_machine_and_the_versions():
    told = machine.machine("cuda:0")
    assert "device" not in machine.machine(""), "of a session that does not say"
    assert int(told["cores"]) >= 1 and told["device"] == "cuda:0" and platform.system() in told["system"]
    assert all(told.values()) and re.fullmatch(r"\d+ GiB", told.get("memory", "1 GiB"))
    versions = machine.versions()
    assert versions["fluxpath"] == fluxpath.__version__ and versions["numpy"] == np.__version__
    assert versions["pillow"] == version("pillow")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", machine.now())


def test_the_model(graph):
    with Explainer(graph("smooth"), threads=1) as explainer:
        told = machine.model(explainer.manifest)
    assert (
        told["objective"] == "softmax"
        and told["classes"] == "4"
        and told["input"] == "[1, 6, 6], from 0.0 to 1.0"
    )
    assert told["source"].startswith("sha256:") and all(told.values())
