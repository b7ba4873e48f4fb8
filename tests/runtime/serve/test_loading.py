"""Models that are loaded and unloaded by request."""

from __future__ import annotations

import models
import pytest
import tritonclient.grpc
import tritonclient.http
from serving import open_files, serving
from tritonclient.utils import InferenceServerException


def test_models_are_loaded_from_one_folder_only(graph, tmp_path):
    images = models.images("smooth", 1)
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "one.grad.onnx").write_bytes(graph("smooth").read_bytes())
    (folder / "broken.onnx").write_bytes(b"nothing")
    (tmp_path / "outside.onnx").write_bytes(graph("smooth").read_bytes())
    (folder / "link.onnx").symlink_to(tmp_path / "outside.onnx")
    with (
        serving("--model-folder", folder) as server,
        tritonclient.http.InferenceServerClient(server.http) as client,
    ):
        assert client.get_model_repository_index()[0]["state"] == "UNAVAILABLE"
        client.load_model("one")
        assert client.is_model_ready("one")
        before = open_files(server.process.pid)
        for _ in range(3):
            client.load_model("one")
        tensor = tritonclient.http.InferInput("image", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images)
        assert client.infer("one", [tensor]).as_numpy("attribution") is not None
        client.unload_model("one")
        assert not client.is_model_ready("one")
        for name in ("../outside", "..%2Foutside", "link", "none", "outside", "/etc/passwd"):
            with pytest.raises(InferenceServerException):
                client.load_model(name)
        with pytest.raises(InferenceServerException, match="no intact gradient graph"):
            client.load_model("broken")
        reasons = {r["name"]: r["reason"] for r in client.get_model_repository_index()}
        assert "no intact gradient graph" in reasons["broken"] and reasons["one"] == "unloaded"
        assert open_files(server.process.pid) <= before
