"""Predictions are the source model's own outputs, from every kind of file, and compute no gradient."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import models
import numpy as np
import onnx
import onnxruntime
import pytest
import small
from cuda_on_cpu import HostDevice
from sessions import CLASSES, LinearSession, Predicting, some_images

from fluxpath.errors import ArtifactError, ClosedError, FluxpathError, InputError
from fluxpath.runtime import Explainer, Prediction, Saliency
from fluxpath.runtime.backends import opening
from fluxpath.runtime.backends.base import Options
from fluxpath.runtime.backends.onnx_device import OnnxDeviceSession
from fluxpath.runtime.prediction import BATCH

NAMES = ("ant", "bee", "cat", "dog")


def source(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return session.run(None, {session.get_inputs()[0].name: x})[0]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


@pytest.mark.parametrize("name", ["smooth", "relu", "linear"])
@pytest.mark.parametrize("n", [1, 5, BATCH + 3])
def test_the_source_models_own_outputs(graph: Any, name: str, n: int) -> None:
    x = models.images(name, n)
    with Explainer(graph(name), threads=1) as explainer:
        found = explainer.predict(x, top=3)
    logits = source(models.MODELS[name](), x)
    assert found.logits.dtype == found.probabilities.dtype == np.float32 and len(found) == n
    np.testing.assert_allclose(found.logits, logits, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.probabilities, softmax(found.logits), rtol=1e-5)
    np.testing.assert_array_equal(found.classes, np.argsort(-found.logits, 1, kind="stable")[:, :3])


def test_on_an_emulated_device(graph: Any) -> None:
    session = OnnxDeviceSession(graph("smooth"), HostDevice(), Options(providers=opening.CPU, threads=1))
    x = models.images("smooth", 4)
    with Explainer.from_session(session) as there, Explainer(graph("smooth"), threads=1) as here:
        np.testing.assert_array_equal(there.predict(x).logits, here.predict(x).logits)


def test_a_torchscript_file(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from fluxpath.export import gradient_from_torch

    torch.manual_seed(0)
    conv = torch.nn.Conv2d(3, 4, 3)
    module = torch.nn.Sequential(conv, torch.nn.ReLU(), torch.nn.Flatten(), torch.nn.Linear(4 * 16, 5)).eval()
    gradient_from_torch(module, torch.zeros(1, 3, 6, 6), tmp_path / "g.pt", class_names=list("vwxyz"))
    x = small.images(7, 3, 6, 6)
    for more in ({}, {"channels_last": True}):
        with Explainer(tmp_path / "g.pt", threads=1, **more) as explainer:
            found = explainer.predict(torch.from_numpy(x))
            with torch.inference_mode():
                expected = module(torch.from_numpy(x)).numpy()
            np.testing.assert_allclose(found.logits, expected, rtol=1e-5, atol=1e-5)
            assert found.best(0)[0][0] == "vwxyz"[int(expected[0].argmax())]
            np.testing.assert_array_equal(explainer.attribute(x, top=1).label, found.classes[:, 0])


def test_further_inputs_are_fed(tmp_path: Path) -> None:
    weight = np.random.default_rng(0).standard_normal((5, 3)).astype(np.float32)
    graph = onnx.parser.parse_graph(
        "g (float[n,5] x, float[n,5] mask) => (float[n,3] y) { m = Mul(x, mask) y = MatMul(m, v) }"
    )
    graph.initializer.append(onnx.numpy_helper.from_array(weight, "v"))
    onnx.save(
        onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10),
        tmp_path / "m.onnx",
    )
    small.gradient_from_onnx(tmp_path / "m.onnx", tmp_path / "g.onnx", input="x")
    x, mask = small.images(2, 5), np.float32([[1, 0, 1, 0, 1], [0, 0, 0, 0, 1]])
    with Explainer(tmp_path / "g.onnx", threads=1) as explainer:
        found = explainer.predict(x, inputs={"mask": mask})
        np.testing.assert_allclose(found.logits, (x * mask) @ weight, rtol=1e-5)
        second = explainer.attribute(x, top=2, inputs={"mask": mask})
        np.testing.assert_array_equal(second.target, found.classes[:, 1])
        with pytest.raises(InputError, match="the model's input 'mask' is missing"):
            explainer.predict(x)


@pytest.mark.parametrize(
    ("tail", "objective", "classes"),
    [("y = Sigmoid(z)", "sigmoid", 5), ("y = Softmax(z)", "log_softmax", 5), ("y = Identity(z)", "logit", 5)],
)
def test_probabilities_by_the_objective(tmp_path: Path, tail: str, objective: str, classes: int) -> None:
    path = small.export(small.cnn(tail), tmp_path, objective=objective).path
    x = small.images(3)
    with Explainer(path, threads=1) as explainer:
        found = explainer.predict(x)
    own = small.run(path, x, 0)["y"]
    np.testing.assert_allclose(
        found.probabilities, softmax(own) if objective == "logit" else own, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("objective", ["softmax", "logit"])
def test_one_output(tmp_path: Path, objective: str) -> None:
    """A binary classifier has two classes, a regressor one number."""
    path = small.export(small.cnn(v=(4, 1)), tmp_path, objective=objective).path
    x = small.images(3)
    with Explainer(path, threads=1) as explainer:
        found = explainer.predict(x)
        z = small.run(path, x, 0)["y"]
        if objective == "softmax":
            np.testing.assert_allclose(found.logits, np.hstack([0 * z, z]), rtol=1e-5)
            np.testing.assert_allclose(found.probabilities[:, 1:], 1 / (1 + np.exp(-z)), rtol=1e-5)
            np.testing.assert_array_equal(
                found.classes[:, 0], explainer.attribute(x, method=Saliency()).label
            )
        else:
            assert found.logits.shape == (3, 1) and np.isnan(found.probabilities).all()
            assert str(found).splitlines()[0] == f"0: {found.logits[0, 0]:g}"


def test_it_prints_readably() -> None:
    logits = np.log(np.float32([[0.1, 0.2, 0.3, 0.4]] * 12))
    found = Prediction(logits, np.exp(logits), np.tile(np.int64([3, 2]), (12, 1)), NAMES)
    lines = str(found).splitlines()
    assert lines[0] == "0: dog 40.0%, cat 30.0%" and lines[-1] == "and 2 more" and len(lines) == 11
    assert found.best(1) == [("dog", pytest.approx(0.4)), ("cat", pytest.approx(0.3))]
    assert str(Prediction(logits[:1], np.exp(logits[:1]), np.int64([[1]]))) == "0: 1 20.0%"
    hostile = Prediction(logits[:1], np.exp(logits[:1]), np.int64([[0]]), ("\x1b[2J", "b", "c", "d"))
    assert "\x1b" not in str(hostile)


def test_from_many_threads_it_is_made_once(graph: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, found = models.images("linear", 4), list[np.ndarray]()
    with Explainer(graph("linear"), threads=1) as explainer:
        session, made = explainer._predictor._session, []
        plain = session.forward
        monkeypatch.setattr(session, "forward", lambda: made.append(1) or plain())
        threads = [
            threading.Thread(target=lambda: found.append(explainer.predict(x).logits)) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 8 and made == [1]
    assert all(np.array_equal(one, found[0]) for one in found)


def test_after_close(graph: Any) -> None:
    explainer = Explainer(graph("linear"), threads=1)
    explainer.predict(models.images("linear", 1))
    explainer.close()
    with pytest.raises(ClosedError, match="the explainer is closed"):
        explainer.predict(models.images("linear", 1))
    with pytest.raises(ClosedError):
        explainer.attribute(models.images("linear", 1), top=2)
    assert explainer._predictor._forward is None


def test_a_file_that_was_replaced_meanwhile(graph: Any, tmp_path: Path) -> None:
    path = tmp_path / "g.onnx"
    path.write_bytes(graph("linear").read_bytes())
    with Explainer(path, threads=1) as explainer:
        path.write_bytes(graph("smooth").read_bytes())
        with pytest.raises(ArtifactError, match="is not the file that was opened any more"):
            explainer.predict(models.images("linear", 1))


def test_ones_own_backend() -> None:
    with (
        Explainer.from_session(LinearSession()) as explainer,
        pytest.raises(FluxpathError, match=r"predictions need a method forward\(\)"),
    ):
        explainer.predict(some_images(1))
    session = Predicting()
    with Explainer.from_session(session) as explainer:
        found = explainer.predict(some_images(5), top=CLASSES)
        for k in range(1, CLASSES + 1):
            np.testing.assert_array_equal(
                explainer.attribute(some_images(5), top=k).target, found.classes[:, k - 1]
            )
        assert session.counts, "the attributions above"


@pytest.mark.parametrize("top", [0, -1, 2.0, True])
def test_top_is_a_count(graph: Any, top: Any) -> None:
    with Explainer(graph("linear"), threads=1) as explainer, pytest.raises(InputError, match="top is"):
        explainer.predict(models.images("linear", 1), top)


def test_a_prediction_is_indexed_as_an_attribution_is() -> None:
    with Explainer.from_session(Predicting()) as explainer:
        found = explainer.predict(some_images(4))
    for index, rows in ((1, [1]), (-1, [3]), (slice(1, 3), [1, 2]), ([2, 0], [2, 0])):
        some = found[index]
        assert isinstance(some, Prediction) and some.names == found.names
        for name in ("logits", "probabilities", "classes"):
            np.testing.assert_array_equal(getattr(some, name), getattr(found, name)[rows])
    assert [one.best() for one in found] == [found.best(i) for i in range(4)]
    for wrong in (4, True, (0,), ..., "a"):
        with pytest.raises(IndexError):
            found[wrong]


def test_a_prediction_shows_itself_in_few_lines() -> None:
    with Explainer.from_session(Predicting()) as explainer:
        text = repr(explainer.predict(some_images(40)))
    assert text.startswith("Prediction of 40 images") and "array" not in text and len(text.splitlines()) == 12
