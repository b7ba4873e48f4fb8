"""deploy/: manifests that Kubernetes takes, of a server that there is."""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

import httpx
import kubernetes_validate
import pytest
import yaml
from serving import serving

from fluxpath.runtime.serve import Settings, create_app
from fluxpath.runtime.serve.metrics import Metrics
from fluxpath.slots import DEFAULT_SLOTS

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
FILES = sorted(DEPLOY.rglob("*.yaml"))
DOCKERFILE = (ROOT / "docker" / "cpu.Dockerfile").read_text()
COMPONENT = {"minReplicas", "maxReplicas", "timeout", "model"}
"""The fields of KServe's components that are used here, beside those of a pod."""


def documents(kind):
    found = [(path, yaml.safe_load(path.read_text())) for path in FILES]
    return [pytest.param(document, id=path.stem) for path, document in found if document["kind"] in kind]


def pods():
    """Every pod of fluxpath's, and the labels of what makes it."""
    for path in FILES:
        document = yaml.safe_load(path.read_text())
        if document["kind"] == "Deployment":
            yield pytest.param(document["spec"]["template"]["spec"], id="deployment")
        elif document["kind"] == "InferenceService":
            components = document["spec"].items()
            yield from (
                pytest.param(component, id=f"{path.stem}-{name}")
                for name, component in components
                if "containers" in component
            )


def flags_of(pod):
    """The server's flags, with "" as the value of those that have none."""
    (container,) = pod["containers"]
    found = [arg.removeprefix("--").partition("=") for arg in container["args"] if arg.startswith("--")]
    return {name: value for name, _, value in found}


def component(pod):
    return {key: value for key, value in pod.items() if key not in COMPONENT}


@pytest.mark.parametrize(
    "document",
    documents({"Deployment", "Service", "PodDisruptionBudget", "HorizontalPodAutoscaler",
               "PersistentVolumeClaim"}),
)  # fmt: skip
def test_kubernetes_takes_it(document):
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


@pytest.mark.parametrize("pod", list(pods()))
def test_a_component_of_kserve_is_a_pod_with_known_fields(pod):
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": component(pod)}
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_the_fields_of_kserve_are_its_own():
    folder = os.environ.get("FLUXPATH_KSERVE")
    if not folder:
        pytest.skip("FLUXPATH_KSERVE names no folder with the package kserve")
    for name in ("predictor", "explainer"):
        source = Path(folder, "kserve", "models", f"v1beta1_{name}_spec.py").read_text()
        (table,) = re.findall(r"attribute_map = (\{.*?\})", source, re.DOTALL)
        known = set(ast.literal_eval(table).values())
        assert known >= COMPONENT - ({"model"} if name == "explainer" else set())


@pytest.mark.parametrize("pod", list(pods()))
def test_the_server_knows_its_flags_and_its_image(pod):
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsUser"] == int(re.search(r"USER (\d+)", DOCKERFILE)[1])
    known = Settings.__dataclass_fields__
    assert all(flag.replace("-", "_") in known for flag in flags_of(pod))
    models = [arg for arg in container["args"] if not arg.startswith("--")]
    mounts = [m["mountPath"] for m in container.get("volumeMounts", [])] or ["/mnt/models"]
    assert all(model.split("=")[1].startswith(tuple(mounts)) for model in models)
    exposed = set(map(int, re.search(r"EXPOSE (.*)", DOCKERFILE)[1].split()))
    assert {port["containerPort"] for port in container["ports"]} <= exposed


@pytest.mark.parametrize("pod", list(pods()))
def test_it_may_finish_what_it_accepted(pod):
    given = flags_of(pod)
    defaults = Settings()
    bound = float(given.get("drain-delay", 0)) + float(given.get("drain-timeout", defaults.drain_timeout))
    closing = 10  # connections, and processes of --replicas that hang
    assert pod.get("terminationGracePeriodSeconds", 30) >= bound + closing


@pytest.mark.parametrize("pod", list(pods()))
def test_probes_ask_where_there_is_an_answer(pod, graph):
    app = create_app({"m": graph("smooth")})
    paths = {route.path for route in app.routes}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        asked = pod["containers"][0].get(probe, {}).get("httpGet")
        assert asked is None or asked["path"] in paths
    app.state.service.close()


@pytest.mark.parametrize("scaler", documents({"HorizontalPodAutoscaler"}))
def test_the_metric_is_one_of_the_server(scaler, graph):
    app = create_app({"m": graph("smooth")})
    text = Metrics(app.state.service).text().decode()
    (metric,) = scaler["spec"]["metrics"]
    assert f"\n{metric['pods']['metric']['name']}{{" in text
    assert float(metric["pods"]["target"]["averageValue"]) < DEFAULT_SLOTS
    app.state.service.close()


def scraped():
    """What Prometheus is told to scrape: its annotations, the pod, and the metric that its scaler needs."""
    for path in FILES:
        document = yaml.safe_load(path.read_text())
        metadata, pod = document.get("metadata", {}), None
        if document["kind"] == "Deployment":
            metadata, pod = document["spec"]["template"]["metadata"], document["spec"]["template"]["spec"]
        elif document["kind"] == "InferenceService":
            pod = document["spec"]["predictor"]
        told = {key.partition("/")[2]: value for key, value in metadata.get("annotations", {}).items()}
        if told.get("scrape") == "true":
            scaler = yaml.safe_load(path.with_name("scaling.yaml").read_text())
            (metric,) = scaler["spec"]["metrics"]
            yield pytest.param(told, pod, metric["pods"]["metric"]["name"], id=path.stem)


@pytest.mark.parametrize(("told", "pod", "metric"), list(scraped()))
def test_prometheus_gets_the_metric_where_the_server_has_a_token(told, pod, metric, graph):
    """A scrape by annotations bears none."""
    (container,) = pod["containers"]
    assert int(told["port"]) in {port["containerPort"] for port in container["ports"]}
    flags = [arg for arg in container["args"] if arg.startswith("--")]
    with serving(f"m={graph('smooth')}", *flags, FLUXPATH_TOKEN="secret") as server:
        answer = httpx.get(f"http://{server.http}{told['path']}")
        assert answer.status_code == 200 and f"\n{metric}{{" in answer.text
        assert httpx.get(f"http://{server.http}/v2").status_code == 401


def test_both_kinds_of_pods_are_scraped():
    assert len(list(scraped())) == 2


def test_names_belong_together():
    found = {path.stem: yaml.safe_load(path.read_text()) for path in (DEPLOY / "kubernetes").glob("*.yaml")}
    labels = found["deployment"]["spec"]["template"]["metadata"]["labels"]
    assert found["deployment"]["spec"]["selector"]["matchLabels"] == labels
    assert found["service"]["spec"]["selector"] == labels
    assert found["disruption"]["spec"]["selector"]["matchLabels"] == labels
    assert found["scaling"]["spec"]["scaleTargetRef"]["name"] == found["deployment"]["metadata"]["name"]
    claim = found["deployment"]["spec"]["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]
    assert claim["claimName"] == found["models"]["metadata"]["name"]


@pytest.mark.parametrize("folder", ["kubernetes", "kserve"])
def test_kustomize_finds_every_file(folder):
    made = yaml.safe_load((DEPLOY / folder / "kustomization.yaml").read_text())
    listed = {(DEPLOY / folder / name).resolve() for name in made["resources"]}
    assert all(path.is_file() for path in listed)
    own = {
        path for path in (DEPLOY / folder).glob("*.yaml") if path.stem not in ("kustomization", "explainer")
    }
    assert own <= listed
