"""Methods that walk: every lane moves from point to point, guided by the gradient."""
