"""A photo in, a picture or plain JSON out; and KServe's first protocol."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.methods import NAMES
from fluxpath.runtime.pictures import Drawing
from fluxpath.runtime.pictures.colours import BY_POLARITY, COLORMAPS, DIVERGING
from fluxpath.runtime.prediction import best_classes
from fluxpath.runtime.serve.http import framing
from fluxpath.runtime.serve.http.body import Bodies, while_connected
from fluxpath.runtime.serve.http.envelope import guarded
from fluxpath.runtime.serve.http.uploads import MOST_FIELDS, uploaded, value
from fluxpath.runtime.serve.protocol.errors import DrainingError, UnsupportedError
from fluxpath.runtime.serve.protocol.explaining import Service
from fluxpath.runtime.serve.protocol.inference import Answer, Inference
from fluxpath.runtime.serve.protocol.outputs import png
from fluxpath.runtime.serve.protocol.parameters import deadline_of, fields_of
from fluxpath.runtime.serve.protocol.tensors import Tensor, from_json, of
from fluxpath.status import Status

_OWN = ("model", "version", "target", "include")
INCLUDED = ("attribution", "map", "photo", "overlay", "heatmap", "walk", "top")
"""What JSON holds on request, since it is large; pictures are PNG in Base64, arrays float32 in Base64."""
_FACTS = ("target", "label", "score", "end_score", "steps", "status", "error_rate")


class People:
    """The endpoints; `routes` are theirs."""

    def __init__(self, service: Service, bodies: Bodies) -> None:
        self._service, self._bodies = service, bodies
        self._settings = service.settings

    @property
    def routes(self) -> list[Route]:
        """All addresses under /v1."""
        rows: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("POST", "/v1/explain", self.explain),
            ("GET", "/v1/models", self.models),
            ("GET", "/v1/models/{model}", self.model),
            ("POST", "/v1/models/{model}:explain", self.kserve),
        ]
        refuse = self._service.refused
        return [Route(path, guarded(run, refuse), methods=[verb]) for verb, path, run in rows]

    async def models(self, request: Request) -> Response:
        """The names of the models, and what is needed to ask them."""
        about = {s.name: _about(s.manifest) for s in self._service.repository}
        drawn = {
            "colormaps": COLORMAPS,
            "by_polarity": BY_POLARITY,
            "diverging": sorted(DIVERGING),
            "defaults": asdict(Drawing()),
        }
        found = {"models": list(about), "about": about, "drawing": drawn, "methods": _methods()}
        return JSONResponse({**found, "method": self._settings.method})

    async def model(self, request: Request) -> Response:
        """Whether the model is ready."""
        served = self._service.repository.find(request.path_params["model"])
        return JSONResponse({"name": served.name, "ready": self._service.ready and served.ready})

    async def explain(self, request: Request) -> Response:
        """Explain an uploaded photo: a form's field "image", or the body itself; PNG or JSON by Accept."""
        self._need_open()
        arrived = time.monotonic()
        as_json = _wants_json(request.headers.get("accept", "*/*"))
        async with self._bodies.read(request) as data:
            photo, fields = uploaded(request.headers.get("content-type", ""), data)
            given = {**dict(request.query_params), **fields}
            need(len(given) <= MOST_FIELDS, f"of {len(given)} fields at most {MOST_FIELDS} are read")
            include = _included(given) if as_json else ("overlay",)
            inference = self._inference(given, photo, arrived, _outputs(include))
            answer = await while_connected(request, self._service.infer(inference))
            if as_json:
                served = self._service.repository.find(answer.model, answer.version)
                text = await self._service.in_thread(_story, answer, served.manifest.class_names)
                return Response(text, media_type="application/json")
            overlay = answer.outputs[-1]
            assert isinstance(overlay.data, list)
            about = {"x-fluxpath-provenance": json.dumps(answer.provenance)}
            return Response(overlay.data[0], headers=about, media_type="image/png")

    async def kserve(self, request: Request) -> Response:
        """KServe's v1: {"instances": [...], "parameters": {...}} to {"explanations": [...]}.

        An instance is an image as nested lists, or {"b64": a photo's file in Base64}; or an object with one
        of these as "image", and a "target".
        """
        self._need_open()
        arrived = time.monotonic()
        async with self._bodies.read(request) as data:
            found = framing.document(data, self._settings.max_json)
            parameters = found.get("parameters", {})
            need(isinstance(parameters, dict), "parameters must be an object")
            inputs = _instances(found.get("instances"))
            names = ("attribution", *_FACTS)
            inference = Inference(
                request.path_params["model"], "", inputs,
                deadline_of(parameters, self._settings, arrived), "", parameters, names,
            )  # fmt: skip
            answer = await while_connected(request, self._service.infer(inference))
            text = await self._service.in_thread(_explanations, answer)
        return Response(text, media_type="application/json")

    def _need_open(self) -> None:
        if self._service.draining:
            raise DrainingError("the server is stopping and takes no new work")

    def _inference(
        self, given: dict[str, Any], photo: bytes, arrived: float, outputs: tuple[str, ...]
    ) -> Inference:
        parameters = {key: value(text) for key, text in given.items() if key not in _OWN}
        model = given.get("model") or self._only_model()
        inputs = {"image": Tensor("image", "BYTES", (1,), [photo])}
        target = given.get("target", "")
        if target:
            inputs["target"] = _target(target)
        deadline = deadline_of(parameters, self._settings, arrived)
        return Inference(model, given.get("version", ""), inputs, deadline, "", parameters, outputs)

    def _only_model(self) -> str:
        names = list(dict.fromkeys(s.name for s in self._service.repository))
        need(len(names) == 1, f"there are the models {', '.join(names) or '(none)'}: choose one with model=")
        return names[0]


def _outputs(include: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*_FACTS, *("probabilities" if i == "top" else i for i in include))))


def _methods() -> dict[str, dict[str, Any]]:
    """Each method's settings that are numbers or texts, with their defaults."""
    found = {}
    for name, (_, implied) in NAMES.items():
        plain = {f.name: f.default for f in fields_of(name).values() if f.name not in implied}
        found[name] = {k: v for k, v in plain.items() if v is None or isinstance(v, int | float | str)}
    return found


def _about(manifest: Any) -> dict[str, Any]:
    return {
        "classes": manifest.classes,
        "class_names": manifest.class_names,
        "shape": manifest.shape,
        "objective": manifest.objective,
    }


def _target(text: str) -> Tensor:
    if text.lstrip("-").isdecimal() and len(text) < 12:
        return of("target", np.array([int(text)]))
    return Tensor("target", "BYTES", (1,), [text.encode()])


def _included(given: Mapping[str, str]) -> tuple[str, ...]:
    names = tuple(filter(None, given.get("include", "").split(",")))
    for name in names:
        need(name in INCLUDED, f"include has {name!r:.40}, it must be of {', '.join(INCLUDED)}")
    return names


def _wants_json(accept: str) -> bool:
    """Whether JSON is wanted rather than PNG; UnsupportedError if neither."""
    ranked: list[tuple[float, bool]] = []
    for part in accept.split(","):
        kind, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.partition("q=")[2] or 1)
        except ValueError:
            weight = 0.0
        if weight > 0 and kind.strip() in ("application/json", "application/*"):
            ranked.append((weight, True))
        elif weight > 0 and kind.strip() in ("image/png", "image/*", "*/*"):
            ranked.append((weight, False))
    if not ranked:
        raise UnsupportedError("the answer is image/png or application/json, and Accept names neither")
    return max(ranked, key=lambda r: r[0])[1]


def _instances(listed: Any) -> dict[str, Tensor]:
    need(isinstance(listed, list) and listed, "'instances' must be a list of one image or more")
    images: list[Any] = [i.get("image") if isinstance(i, dict) and "image" in i else i for i in listed]
    targets = [i.get("target", -1) if isinstance(i, dict) else -1 for i in listed]
    inputs = {}
    if all(isinstance(i, dict) and isinstance(i.get("b64"), str) for i in images):
        inputs["image"] = from_json("image", "BYTES", (len(images),), [i["b64"] for i in images])
    else:
        try:
            array = np.asarray(images, np.float64)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise InputError('the instances are neither arrays of one shape nor all {"b64": ...}') from error
        need(array.ndim <= 8, "an instance has too many dimensions")
        inputs["image"] = of("image", array)
    if any(t != -1 for t in targets):
        need(all(type(t) is int and abs(t) < 2**31 for t in targets), "a target must be a class's number")
        inputs["target"] = of("target", np.array(targets))
    return inputs


def _explanations(answer: Answer) -> str:
    found = {t.name: np.asarray(t.data) for t in answer.outputs}
    rows = []
    for i in range(len(found["target"])):
        row = {name: _number(found[name][i]) for name in _FACTS}
        rows.append({**row, "attribution": found["attribution"][i].tolist()})
    return json.dumps({"explanations": rows, "provenance": answer.provenance})


def _story(answer: Answer, names: tuple[str, ...] | None) -> str:
    """The JSON for one photo."""
    told: dict[str, Any] = {"model": answer.model, "version": answer.version}
    for tensor in answer.outputs:
        value = tensor.data[0]
        if isinstance(value, bytes):
            told[tensor.name] = base64.b64encode(value).decode()
        elif tensor.name == "heatmap":
            told[tensor.name] = base64.b64encode(png(Image.fromarray(value))).decode()
        elif tensor.name == "probabilities":
            told["top"] = _best(value, names)
        elif tensor.name == "walk":
            told["walk"] = [_number(score) for score in tensor.data]
        else:
            told[tensor.name] = _number(value) if tensor.name in _FACTS else _array(value)
    for name in ("target", "label"):
        told[f"{name}_name"] = names[told[name]] if names else str(told[name])
    told["ended_by"] = Status(told["status"]).name
    return json.dumps({**told, "provenance": answer.provenance}, allow_nan=False)


def _best(probabilities: Any, names: tuple[str, ...] | None) -> list[dict[str, Any]]:
    """The five best classes, the best first."""
    best = best_classes(probabilities[None], 5)[0].tolist()
    return [
        {"class": c, "name": names[c] if names else str(c), "probability": _number(probabilities[c])}
        for c in best
    ]


def _number(value: Any) -> Any:
    plain = np.asarray(value).item()
    return plain if np.isfinite(plain) else None


def _array(values: Any) -> dict[str, Any]:
    array = np.ascontiguousarray(values, "<f4")
    return {"shape": list(array.shape), "float32": base64.b64encode(array.tobytes()).decode()}
