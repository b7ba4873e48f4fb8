"""Speed on one's own model: fluxpath beside eager PyTorch, torch.compile, Captum and OpenVINO."""
