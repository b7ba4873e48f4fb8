"""Files with a whole method in them, opened, and what their outputs must be."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from twins import relative_error


def opened(path):
    """The file on ONNX Runtime: (images, target=-1, **further) -> the outputs by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 3, 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]

    def run(images, target=-1, **further):
        targets = np.broadcast_to(np.asarray(target, np.int64), len(images))
        feeds = {session.get_inputs()[0].name: images, "target": targets, **further}
        return dict(zip(names, session.run(names, feeds), strict=True))

    return run


def same(given, result, tolerance=1e-5):
    """A file's outputs are the runtime's."""
    np.testing.assert_array_equal(given["steps"], result.steps)
    np.testing.assert_array_equal(given["status"], result.status)
    np.testing.assert_array_equal(given["explained"], result.target)
    np.testing.assert_array_equal(given["label"], result.label)
    np.testing.assert_allclose(given["score"], result.score, rtol=1e-5)
    for values, true in zip(given["attribution"], result.values, strict=True):
        assert relative_error(values, true) < tolerance


TARGETS = [-1, 0, 3, -1, 2, 1]


METHODS = {
    "mfaba-sharp": {"max_steps": 10},
    "mfaba-smooth": {"max_steps": 30, "path": "norm"},
    "neflag": {"n": 3, "max_steps": 3},
    "integrated-gradients": {"steps": 4},
}
every_method = pytest.mark.parametrize("method", METHODS)
