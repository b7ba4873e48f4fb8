"""Backends, which run a gradient graph: ONNX Runtime or TorchScript, on the host or on a device."""
