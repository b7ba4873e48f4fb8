"""Verification after the fact: intact files pass, wrong and altered ones do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import gradcheck
import numpy as np
import onnx
import pytest
import small

from fluxpath.errors import ArtifactError, InputError, VerificationError
from fluxpath.export import verify
from fluxpath.export.verification.judgement import LARGEST_ERROR, TYPICAL_ERROR
from fluxpath.manifest import GRADIENT, KEY, SCALE, SCORE, UNSEALED, Manifest
from fluxpath.seal import seal

Alter = Callable[[onnx.ModelProto], None]


def resealed(path: Path, proto: onnx.ModelProto) -> Path:
    """As a forger would: the digest is that of the altered file."""
    (entry,) = proto.metadata_props
    entry.value = Manifest.from_json(entry.value).to_json()
    assert UNSEALED in entry.value
    path.write_bytes(seal(proto.SerializeToString()))
    return path


def producer(proto: onnx.ModelProto, output: str) -> onnx.NodeProto:
    return next(n for n in proto.graph.node if output in n.output)


def backward(proto: onnx.ModelProto, op_type: str) -> onnx.NodeProto:
    """The first node of that type which export added."""
    return next(n for n in proto.graph.node if n.op_type == op_type and n.name.startswith("fluxpath/"))


def scale_output(proto: onnx.ModelProto, output: str, factor: float) -> None:
    """`output` times a factor."""
    node = producer(proto, output)
    node.output[:] = [o if o != output else "before" for o in node.output]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.float32(factor).reshape(()), "factor"))
    proto.graph.node.append(onnx.helper.make_node("Mul", ["before", "factor"], [output]))


def turn_pads(proto: onnx.ModelProto) -> None:
    node = backward(proto, "Conv")
    pads = next(a for a in node.attribute if a.name == "pads")
    pads.ints[:] = [0, 0, 2, 2]


def unmirror(proto: onnx.ModelProto) -> None:
    """The convolution back takes the weights as they are."""
    node = backward(proto, "Slice")
    node.op_type = "Identity"
    del node.input[1:]


def forget_the_mask(proto: onnx.ModelProto) -> None:
    mask = backward(proto, "HardSigmoid")
    next(a for a in mask.attribute if a.name == "beta").f = 1.0


def use_a_class_less(proto: onnx.ModelProto) -> None:
    """Another weight matrix in the backward product than in the forward one."""
    node = backward(proto, "Gemm")
    weight = next(t for t in proto.graph.initializer if t.name == node.input[1])
    other = onnx.numpy_helper.to_array(weight).copy()
    other[:, -1] = 0
    proto.graph.initializer.append(onnx.numpy_helper.from_array(other, "other"))
    node.input[1] = "other"


def target_is_ignored(proto: onnx.ModelProto) -> None:
    """The gradient of the predicted class, whatever is asked."""
    less = backward(proto, "Less")
    less.op_type = "GreaterOrEqual"


ALTERATIONS: dict[str, Alter] = {
    "gradient 1 percent off": lambda p: scale_output(p, GRADIENT, 1.01),
    "gradient with the other sign": lambda p: scale_output(p, GRADIENT, -1.0),
    "no gradient": lambda p: scale_output(p, GRADIENT, 0.0),
    "scale 1 percent off": lambda p: scale_output(p, SCALE, 1.01),
    "score 20 percent off": lambda p: scale_output(p, SCORE, 1.2),
    "pads": turn_pads,
    "weights not mirrored": unmirror,
    "no mask": forget_the_mask,
    "other weights": use_a_class_less,
    "target": target_is_ignored,
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small.export(small.cnn(), tmp_path_factory.mktemp("good")).path


def test_a_good_file(good: Path) -> None:
    found = verify(good)
    assert 0 < found.typical <= found.error < 1e-5
    assert found.score < 1e-5
    (entry,) = onnx.load(good).metadata_props
    assert Manifest.from_json(entry.value).error == pytest.approx(found.error, rel=0.5)


def test_at_images_of_ones_own(good: Path) -> None:
    assert verify(str(good), small.images(3)).error < 1e-5


@pytest.mark.parametrize(
    "images",
    [
        small.images(2).astype(np.float64),
        small.images(0),
        small.images(2)[0],
        small.images(2, 3, 4, 5),
        np.full((1, 3, 4, 4), np.nan, np.float32),
    ],
    ids=["float64", "none", "no batch", "size", "nan"],
)
def test_images_that_do_not_fit(good: Path, images: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"the images are .*, and must be finite float32 \[n, 3, 4, 4\]"):
        verify(good, images)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_a_wrong_file_that_is_sealed_again(good: Path, tmp_path: Path, name: str) -> None:
    proto = onnx.load(good)
    ALTERATIONS[name](proto)
    onnx.checker.check_model(proto)
    with pytest.raises(VerificationError, match=r"(gradient|score) is off by|cannot be run"):
        verify(resealed(tmp_path / "altered.onnx", proto))


def test_resealing_alone_is_no_fault(good: Path, tmp_path: Path) -> None:
    """So the tests above fail for what they altered."""
    path = resealed(tmp_path / "same.onnx", onnx.load(good))
    assert path.read_bytes() == good.read_bytes()
    assert verify(path) == verify(good)


def test_what_is_caught_is_far_above_what_is_right(good: Path) -> None:
    assert verify(good).error < TYPICAL_ERROR / 10 < LARGEST_ERROR


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[:-1],
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
        lambda data: data + b"\0",
        lambda data: data.replace(b'"softmax"', b'"margin" '),
        lambda data: small.cnn().SerializeToString(),
    ],
    ids=["a byte less", "half", "empty", "a bit", "a byte more", "its manifest", "a plain model"],
)
def test_files_that_are_not_as_written(good: Path, tmp_path: Path, spoil: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "spoiled.onnx"
    path.write_bytes(spoil(good.read_bytes()))
    with pytest.raises(ArtifactError):
        verify(path)


def test_a_sealed_file_that_is_no_gradient_graph(good: Path, tmp_path: Path) -> None:
    """A digest is no proof of a manifest, nor a manifest of a graph."""
    path = tmp_path / "forged.onnx"
    blank = f'{{"digest": "{UNSEALED}"}}'
    path.write_bytes(b"not protobuf " + blank.encode())
    with pytest.raises(ArtifactError, match="no intact gradient graph"):
        verify(path)
    proto = onnx.load(good)
    proto.ClearField("graph")
    path.write_bytes(seal(b"\x3a\x03\xff\xff\xff" + proto.SerializeToString()))
    with pytest.raises(ArtifactError, match="sealed but no ONNX model"):
        verify(path)
    proto = onnx.load(good)
    proto.metadata_props[0].value = blank
    path.write_bytes(seal(proto.SerializeToString()))
    with pytest.raises(ArtifactError, match="format None"):
        verify(path)
    proto = onnx.load(good)
    proto.metadata_props[0].key = "other"
    with pytest.raises(ArtifactError):
        verify(resealed(path, proto))
    proto = onnx.load(good)
    del proto.graph.node[-1]
    with pytest.raises((ArtifactError, VerificationError)):
        verify(resealed(path, proto))


def test_a_place_without_a_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.onnx"):
        with pytest.raises(ArtifactError, match=f"there is no gradient graph '{path}'"):
            verify(path)


SATURATED = "f = Flatten(x) g = MatMul(f, v) y = Mul(g, hundred)"


@pytest.mark.parametrize("objective", ["softmax", "log_softmax", "margin", "logit", "sigmoid"])
def test_saturated_predictions_verify(tmp_path: Path, objective: str) -> None:
    """Margins of hundreds: the scale underflows, and its gradient is right all the same."""
    model = gradcheck.parse(SATURATED, "batch,3,4,4", v=(48, 5), hundred=100.0)
    exported = small.export(model, tmp_path, objective=objective)
    assert exported.verification.error < 1e-4
    assert verify(exported.path).error < 1e-4


def test_kinks_and_ties_verify(tmp_path: Path) -> None:
    text = "m = MaxPool<kernel_shape=[2, 2]>(x) c = Clip(m, low, high) f = Flatten(c) y = MatMul(f, v)"
    model = gradcheck.parse(text, "batch,3,4,4", v=(27, 5), low=0.2, high=0.9)
    assert small.export(model, tmp_path).verification.error < 1e-4


@pytest.mark.parametrize("input_range", [(0.0, 1.0), None])
def test_plain_areas_of_images_verify(tmp_path: Path, input_range: tuple[float, float] | None) -> None:
    """Equal pixels tie in a MaxPool, and a black image without a bias is a Relu's kink."""
    text = "c = Conv(x, w) r = Relu(c) m = MaxPool<kernel_shape=[2, 2]>(r) f = Flatten(m) y = MatMul(f, v)"
    model = gradcheck.parse(text, "batch,3,8,8", w=(4, 3, 3, 3), v=(100, 5))
    path = small.export(model, tmp_path, input_range=input_range).path
    images = np.zeros((3, 3, 8, 8), np.float32)
    images[1], images[2, :, :, 4:] = 1.0, 0.5
    assert verify(path, images).error < 1e-3


@pytest.mark.parametrize(
    ("text", "size", "constants"),
    [
        ("AveragePool<kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1>(x)", 12, {}),
        ("MaxPool<kernel_shape=[3, 3], strides=[3, 3], ceil_mode=1>(x)", 12, {}),
        ("AveragePool<kernel_shape=[2, 2], dilations=[2, 2], pads=[1, 0, 1, 1]>(x)", 36, {}),
        ("Pad(x, pads)", 12, {"pads": [0, 0, -1, -1, 0, 0, -1, -1]}),
        ("Conv<group=3, strides=[2, 2], pads=[1, 1, 1, 1]>(x, w)", 24, {"w": (6, 1, 3, 3)}),
        ("ConvTranspose<group=3, strides=[2, 2]>(x, w)", 726, {"w": (3, 2, 5, 5)}),
        ("Erf(x)", 48, {}),
        ("Gelu(x)", 48, {}),
        ('Gelu<approximate="tanh">(x)', 48, {}),
        ("LRN<size=3, alpha=0.5>(x)", 48, {}),
    ],
)
def test_operators_that_onnx_reference_gets_wrong_verify(
    tmp_path: Path, text: str, size: int, constants: dict
) -> None:
    """In float32 or at corners of their geometry: the float64 side must be right there too."""
    text = f"p = {text} f = Flatten(p) y = MatMul(f, v)"
    model = gradcheck.parse(text, "batch,3,4,4", v=(size, 5), **constants)
    assert small.export(model, tmp_path).verification.error < 1e-4


def test_key_of_the_manifest(good: Path) -> None:
    assert [e.key for e in onnx.load(good).metadata_props] == [KEY]
