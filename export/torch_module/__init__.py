"""Torch modules: to ONNX with torch's exporters, or traced to TorchScript."""
