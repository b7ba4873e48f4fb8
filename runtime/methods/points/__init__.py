"""Methods of independent points: every lane takes one gradient, with a weight of its own."""
