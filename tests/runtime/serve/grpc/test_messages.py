"""Messages of gRPC; hostile ones are in test_hostile.py."""

from __future__ import annotations

import numpy as np
import pytest
from tritonclient.grpc import service_pb2 as pb

from fluxpath.errors import InputError
from fluxpath.runtime.serve.grpc import messages
from fluxpath.runtime.serve.protocol import tensors
from fluxpath.runtime.serve.protocol.inference import Answer
from fluxpath.runtime.serve.settings import Settings


def read(message, remaining=None):
    return messages.inference(message, Settings(), 100.0, remaining)


@pytest.mark.parametrize("datatype", [d for d in tensors.DTYPES if d != "FP16"])
def test_typed_contents_of_every_datatype(datatype):
    message = pb.ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="x", datatype=datatype, shape=[2, 1])
    getattr(tensor.contents, messages._CONTENTS[datatype]).extend([0, 1])
    found = read(message).inputs["x"].array
    np.testing.assert_array_equal(found, np.array([[0], [1]], tensors.DTYPES[datatype]))
    assert found.dtype == tensors.DTYPES[datatype]


def test_floats_come_as_they_are():
    values = np.random.default_rng(0).standard_normal(100).astype(np.float32)
    message = pb.ModelInferRequest()
    tensor = message.inputs.add(name="x", datatype="FP32", shape=[100])
    tensor.contents.fp32_contents.extend(values.tolist())
    assert read(message).inputs["x"].array.tobytes() == values.tobytes()


def test_the_deadline_is_the_calls_own():
    assert read(pb.ModelInferRequest(), 5.0).deadline == 105.0


def test_what_is_wrong():
    typed = pb.ModelInferRequest(raw_input_contents=[b"1234"])
    typed.inputs.add(name="x", datatype="FP32", shape=[1]).contents.fp32_contents.append(1.0)
    half = pb.ModelInferRequest()
    half.inputs.add(name="x", datatype="FP16", shape=[1])
    few = pb.ModelInferRequest()
    few.inputs.add(name="x", datatype="FP32", shape=[2]).contents.fp32_contents.append(1.0)
    empty = pb.ModelInferRequest()
    empty.parameters["n"].SetInParent()
    narrow = pb.ModelInferRequest()
    narrow.inputs.add(name="x", datatype="UINT8", shape=[1]).contents.uint_contents.append(300)
    for message, said in (
        (typed, "both contents"),
        (half, "raw_input_contents"),
        (few, "1 fp32_contents"),
        (empty, "has no value"),
        (narrow, "beyond UINT8"),
        (pb.ModelInferRequest(raw_input_contents=[b""]), "one for each"),
    ):
        with pytest.raises(InputError, match=said):
            read(message)


def test_an_answer():
    outputs = (tensors.of("x", np.array([[1.5]], np.float32)), tensors.of("y", [b"ab"]))
    made = messages.response(Answer("m", "2", "i", outputs, {"a": 1}))
    assert (made.model_name, made.model_version, made.id) == ("m", "2", "i")
    assert made.raw_output_contents[0] == np.float32(1.5).tobytes()
    assert made.raw_output_contents[1] == b"\x02\0\0\0ab"
    assert made.parameters["provenance"].string_param == '{"a": 1}'
