"""What the server does, without any transport: models, requests as tensors, answers, limits."""
