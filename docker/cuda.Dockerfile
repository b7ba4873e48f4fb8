# fluxpath serve on an NVIDIA GPU. Build from the project's root:
#     docker build -f docker/cuda.Dockerfile -t fluxpath-cuda .
#     docker run --gpus all --read-only --tmpfs /tmp --rm -p 8000:8000 -p 8001:8001 -v ./models:/models:ro \
#         fluxpath-cuda /models/digits.grad.onnx
FROM nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04 AS build
# The latest compiler or interpreter of the release, not a version that is gone from its archive next month.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends -y g++ python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN python3 -m venv /opt/fluxpath \
 && /opt/fluxpath/bin/pip install --no-cache-dir "/source[cuda,serve]"

FROM nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04
# The latest compiler or interpreter of the release, not a version that is gone from its archive next month.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends -y python3 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --no-create-home fluxpath
COPY --from=build /opt/fluxpath /opt/fluxpath
ENV PATH=/opt/fluxpath/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["fluxpath", "serve", "--host", "0.0.0.0", "--port", "8000", "--grpc-port", "8001", "--warmup", "--device", "cuda"]
