"""Metrics that compare an attribution with the pixels that are known to matter."""
