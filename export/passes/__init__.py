"""Rewrites of a graph, before it is differentiated and after."""
