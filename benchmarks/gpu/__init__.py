"""Attribution on a GPU, timed: `python -m benchmarks.gpu`."""
