"""Metrics that explain neighbours of the image."""
