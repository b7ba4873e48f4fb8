"""The cost of a written gradient graph against counts by hand."""

from __future__ import annotations

import onnx
import onnx_ir as ir
import pytest
from small import cnn, export

from fluxpath.errors import ArtifactError
from fluxpath.export import estimate
from fluxpath.export.cost import of_model


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Conv 3 -> 4 channels of 4 x 4, Relu, global mean, Gemm to five."""
    folder = tmp_path_factory.mktemp("cost")
    export(cnn(), folder)
    return folder / "model.grad.onnx"


def kinds(cost, backward):
    return {kind.op_type: kind for kind in cost.by_kind(backward)}


@pytest.mark.parametrize("batch", [1, 6])
def test_products_and_bytes_of_both_parts(path, batch):
    cost = estimate(path, batch)
    forward, backward = kinds(cost, False), kinds(cost, True)
    pixels, image, hidden = 16 * batch, 3 * 16 * batch, 4 * 16 * batch
    assert forward["Conv"].flops == backward["Conv"].flops == 2 * pixels * 4 * 27
    assert forward["Gemm"].flops == 2 * batch * 4 * 5
    assert forward["Conv"].read == 4 * (image + 4 * 27 + 4) and forward["Conv"].written == 4 * hidden
    assert backward["Conv"].read == 4 * (hidden + 4 * 27) and backward["Conv"].written == 4 * image
    assert (forward["Relu"].read, forward["Relu"].written) == (4 * hidden, 4 * hidden)
    assert (backward["HardSigmoid"].read, backward["HardSigmoid"].written) == (4 * hidden, 4 * hidden)
    assert cost.flops == sum(k.flops for part in (forward, backward) for k in part.values())
    assert not cost.incomplete and cost.weights >= 4 * (4 * 27 + 4 + 20)


def test_weights_that_are_rearranged_at_load_cost_nothing(path):
    backward = kinds(estimate(path), True)
    assert backward["Transpose"].bytes == 0 and backward["Transpose"].flops == 0


def of_text(node):
    """The cost of one node of a graph over x [1, 4, 6], in the opset 20."""
    model = onnx.parser.parse_model(f"""<ir_version: 9, opset_import: ["" : 20, "own" : 1]>
        one (float[1, 4, 6] x) => (y) {{ y = {node} }}""")
    return of_model(ir.from_proto(model), "y", 1)


@pytest.mark.parametrize(
    ("node", "flops"),
    [
        ('Einsum<equation="bij,bkj->bik">(x, x)', 2 * 4 * 4 * 6),
        ('Einsum<equation="bij->bi">(x)', 0),
        ('Einsum<equation="bij,bij,bij->b">(x, x, x)', None),
        ("DFT(x)", None),
        ("own.Product(x, x)", None),
        ("Tanh(x)", 0),
    ],
)
def test_what_is_not_counted_is_marked(node, flops):
    cost = of_text(node)
    assert cost.nodes[0].flops == flops
    assert cost.incomplete or flops is not None


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "x.onnx").write_bytes(b"no model")
    with pytest.raises(ArtifactError):
        estimate(tmp_path / "x.onnx")
