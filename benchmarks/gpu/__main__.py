"""Tests, times and profiles fluxpath on a machine with a GPU, which needs no network and no installation.

    python -m benchmarks.gpu.prepare                  on a machine without a GPU: what must travel, into .gpu/
    python -m benchmarks.gpu.run first|onnx|profile SECONDS    on the machine with the GPU, in the root

Each takes --help; benchmarks/README.md says what the stages hold.
"""

if __name__ == "__main__":
    print(__doc__)
