"""What nodes cost: arithmetic and traffic by shapes, memory by live ranges, time by a machine's rates."""
