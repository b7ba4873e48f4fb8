"""Metrics that remove pixels, or put them back, in the order of their attribution."""
