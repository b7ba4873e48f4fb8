"""Methods of walks: every lane goes from point to point, led by the gradient."""
