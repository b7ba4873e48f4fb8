"""Methods of independent points: every lane takes one gradient, with its own weight."""
