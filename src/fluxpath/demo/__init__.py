"""The demo's data: a small classifier of handwritten digits, and images to explain."""
