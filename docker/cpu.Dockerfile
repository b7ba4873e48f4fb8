# fluxpath serve on the CPU. Build from the project's root:
#     docker build -f docker/cpu.Dockerfile -t fluxpath .
#     docker run --read-only --rm -p 8000:8000 -p 8001:8001 -v ./models:/models:ro fluxpath /models/digits.grad.onnx
FROM python:3.12-slim AS build
# The latest compiler or interpreter of the release, not a version that is gone from its archive next month.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --no-install-recommends -y g++ \
 && rm -rf /var/lib/apt/lists/*
COPY . /source
RUN python -m venv /opt/fluxpath \
 && /opt/fluxpath/bin/pip install --no-cache-dir "/source[cpu,serve]"

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home fluxpath
COPY --from=build /opt/fluxpath /opt/fluxpath
ENV PATH=/opt/fluxpath/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001
EXPOSE 8000 8001
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=2)"]
ENTRYPOINT ["fluxpath", "serve", "--host", "0.0.0.0", "--port", "8000", "--grpc-port", "8001", "--warmup"]
