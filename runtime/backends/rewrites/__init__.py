"""Changes to a loaded TorchScript gradient graph."""
