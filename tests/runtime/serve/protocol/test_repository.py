"""Names and versions."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve.protocol.errors import ForbiddenError, NotFoundError
from fluxpath.runtime.serve.protocol.repository import named, opened
from fluxpath.runtime.serve.settings import Settings


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a/b/digits.grad.onnx", ("digits", "1", Path("a/b/digits.grad.onnx"))),
        ("my model.onnx", ("my-model", "1", Path("my model.onnx"))),
        ("x=y.grad.pt", ("x", "1", Path("y.grad.pt"))),
        ("x:12=a=b.onnx", None),
        ("x:3=b.onnx", ("x", "3", Path("b.onnx"))),
        ("x:0=b.onnx", None),
        ("x:01=b.onnx", None),
        (f"x:{5000 * '1'}=b.onnx", None),
        ("x:a=b.onnx", None),
        ("=b.onnx", None),
        ("../x=b.onnx", None),
    ],
)
def test_names_on_the_command_line(text, meant):
    if meant is None:
        with pytest.raises(InputError):
            named(text)
    else:
        assert named(text) == meant


def test_versions_are_numbers_not_texts(graph):
    path = graph("smooth")
    repository = opened([f"m:2={path}", f"m:10={path}"], Settings())
    assert repository.versions("m") == ["2", "10"] and repository.find("m").version == "10"
    with pytest.raises(NotFoundError):
        repository.find("m", "3")
    with pytest.raises(ForbiddenError):
        repository.path_of("m")
    repository.close()
    with pytest.raises(NotFoundError):
        repository.find("m")


def test_models_are_closed_at_the_same_time(graph, monkeypatch):
    """One whose processes hang does not keep the others waiting."""
    path = graph("smooth")
    repository = opened([f"a={path}", f"b={path}"], Settings())
    both = threading.Barrier(2, timeout=10)
    for served in repository:
        close = served.explainer.close
        monkeypatch.setattr(served.explainer, "close", lambda close=close: (both.wait(), close()))
    repository.close()
    assert list(repository) == []
