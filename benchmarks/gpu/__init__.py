"""fluxpath on a machine with a GPU: tested, timed and profiled within minutes; see `__main__.py`."""
