"""Metrics that ask whether few pixels carry the explanation."""
