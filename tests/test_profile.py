"""Reading ONNX Runtime's profile: medians over evaluations, the first left out."""

from __future__ import annotations

import json

import pytest

from fluxpath.errors import FluxpathError
from fluxpath.profile import NodeTime, node_times


def event(name: str, dur: int) -> dict:
    args = {"op_name": "Add", "activation_size": "8", "output_size": "4", "parameter_size": "2"}
    return {
        "cat": "Node",
        "name": name,
        "dur": dur,
        "args": {**args, "output_type_shape": [{"float": [1, 1]}]},
    }


RUN = {"cat": "Session", "name": "SequentialExecutor::Execute", "dur": 9, "args": {}}


def test_medians_without_the_first_evaluation():
    runs = [[event("a_kernel_time", dur), event("a_fence_before", 7), RUN] for dur in (1000, 3, 50, 4)]
    found = node_times(json.dumps([e for run in runs for e in run]))
    assert found == [NodeTime("a", "Add", 4e-6, (1, 1), 8, 4, 2)]


@pytest.mark.parametrize(
    "text",
    ["", "7", "[]", json.dumps([event("a_kernel_time", 3), RUN]), '[{"cat": "Node", "name": 3}]', "[4]"],
)
def test_anything_else_is_an_error_of_one_sentence(text):
    with pytest.raises(FluxpathError, match="profile"):
        node_times(text)
