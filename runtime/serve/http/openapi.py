"""The OpenAPI document of the REST addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fluxpath
from fluxpath.methods import NAMES
from fluxpath.runtime.pictures.drawing import OVERLAYS, POLARITIES
from fluxpath.runtime.serve.protocol.tensors import DATATYPES
from fluxpath.runtime.serve.settings import Settings

_ERRORS = {
    400: "The request is wrong; the sentence says how",
    401: "The server's token is missing",
    403: "The server was started without this",
    404: "There is no such model, version, job or address",
    408: "The body came too slowly",
    413: "The body is too large",
    415: "The encoding, or what Accept asks for, is none that the server has",
    429: "There is no room; Retry-After says when to come again",
    503: "The server is stopping or out of memory, or no process of the model is there to answer",
    504: "The deadline has passed",
}
_OBJECT: dict[str, Any] = {"type": "object"}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _answers(ok: int, content: dict[str, Any], *errors: int) -> dict[str, Any]:
    found = {str(ok): {"description": "Done", "content": content}}
    for status in sorted({401, *errors}):
        found[str(status)] = {"description": _ERRORS[status], "content": _json(_ref("Error"))}
    return found


def _parameter(name: str, schema: dict[str, Any], place: str = "path", about: str = "") -> dict[str, Any]:
    return {
        "name": name,
        "in": place,
        "required": place == "path",
        "schema": schema,
        "description": about,
    }


def document(settings: Settings, models: Sequence[str]) -> dict[str, Any]:
    """The document for a server of these models."""
    found: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "fluxpath",
            "version": fluxpath.__version__,
            "description": "Explanations of classifiers by the Open Inference Protocol (KServe v2).",
        },
        "paths": {**_protocol(), **_jobs(), **_people(models)},
        "components": {"schemas": _schemas()},
    }
    if settings.token is not None:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
    return found


def _protocol() -> dict[str, Any]:
    def get(summary: str, *errors: int) -> dict[str, Any]:
        return {"get": {"summary": summary, "responses": _answers(200, _json(_OBJECT), *errors)}}

    model = [_parameter("model", {"type": "string"})]
    both = [*model, _parameter("version", {"type": "string"})]
    listed = _json({"type": "array", "items": _OBJECT})
    empty = {"required": False, "content": _json(_OBJECT)}
    paths: dict[str, Any] = {
        "/v2": get("Name, version and extensions of the server"),
        "/v2/health/live": get("Whether the process runs"),
        "/v2/health/ready": get("Whether new work is taken", 503),
        "/v2/models/stats": get("Counts of all models"),
        "/v2/repository/index": {
            "post": {
                "summary": "The models",
                "requestBody": empty,
                "responses": _answers(200, listed, 400, 408, 413, 415, 429),
            }
        },
    }
    for change in ("load", "unload"):
        paths[f"/v2/repository/models/{{model}}/{change}"] = {
            "parameters": model,
            "post": {
                "summary": f"{change.capitalize()} a model of the folder of models",
                "requestBody": empty,
                "responses": _answers(200, _json(_OBJECT), 400, 403, 404, 408, 413, 415, 429, 503),
            },
        }
    for place, named in (("/v2/models/{model}", model), ("/v2/models/{model}/versions/{version}", both)):
        paths[place] = {"parameters": named, **get("Inputs and outputs", 404)}
        paths[f"{place}/ready"] = {"parameters": named, **get("Whether it takes work", 404, 503)}
        paths[f"{place}/config"] = {"parameters": named, **get("Its configuration, as Triton's", 404)}
        paths[f"{place}/stats"] = {"parameters": named, **get("Its counts", 404)}
        paths[f"{place}/infer"] = {"parameters": named, "post": _infer("Explain, or predict", 200)}
    return paths


def _infer(summary: str, ok: int) -> dict[str, Any]:
    raw = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    content = _json(_ref("InferResponse" if ok == 200 else "Job"))
    return {
        "summary": summary,
        "requestBody": {"required": True, "content": _json(_ref("InferRequest"))},
        "responses": _answers(
            ok, content | (raw if ok == 200 else {}), 400, 403, 404, 408, 413, 415, 429, 503, 504
        ),
    }


def _jobs() -> dict[str, Any]:
    model = _parameter("model", {"type": "string"})
    named = [model, _parameter("job", {"type": "string"})]
    job = _json(_ref("Job"))
    result = _answers(200, _json(_ref("InferResponse")), 400, 404, 429, 503, 504)
    return {
        "/v2/models/{model}/jobs": {
            "parameters": [model],
            "post": _infer("Begin long work", 202),
            "get": {"summary": "The jobs of a model", "responses": _answers(200, _json(_OBJECT), 404)},
        },
        "/v2/models/{model}/jobs/{job}": {
            "parameters": named,
            "get": {"summary": "State and progress", "responses": _answers(200, job, 404)},
            "delete": {"summary": "Cancel, or forget", "responses": _answers(200, job, 404)},
        },
        "/v2/models/{model}/jobs/{job}/result": {
            "parameters": named,
            "get": {
                "summary": "What infer would have answered",
                "responses": result | {"202": {"description": "It still runs", "content": job}},
            },
        },
    }


def _people(models: Sequence[str]) -> dict[str, Any]:
    text, number = {"type": "string"}, {"type": "number"}
    settings = [
        _parameter("model", {"type": "string", "enum": list(models)} if models else text, "query"),
        _parameter("target", text, "query", "A class by number or name; none: the predicted one"),
        _parameter("method", {"type": "string", "enum": list(NAMES)}, "query"),
        _parameter("polarity", {"type": "string", "enum": list(POLARITIES)}, "query"),
        _parameter("overlay", {"type": "string", "enum": list(OVERLAYS)}, "query"),
        _parameter("clip_percent_lowerbound", number, "query"),
        _parameter("clip_percent_upperbound", number, "query"),
        _parameter("size", {"type": "integer"}, "query", "The longer side of the picture"),
        _parameter("deadline_ms", number, "query"),
        _parameter("include", text, "query", "What JSON holds besides: attribution,map,photo,overlay,..."),
    ]
    photo = {"schema": {"type": "string", "format": "binary"}}
    content = {"image/png": photo, **_json(_OBJECT)}
    errors = (400, 403, 404, 408, 413, 415, 429, 503, 504)
    named = [_parameter("model", {"type": "string"})]
    return {
        "/v1/explain": {
            "post": {
                "summary": "A photo in, an overlay as PNG or JSON out; a method's settings are parameters",
                "parameters": settings,
                "requestBody": {"required": True, "content": {"image/jpeg": photo, "image/png": photo}},
                "responses": _answers(200, content, *errors),
            }
        },
        "/v1/models": {"get": {"summary": "The models", "responses": _answers(200, _json(_OBJECT))}},
        "/v1/models/{model}": {
            "parameters": named,
            "get": {"summary": "Whether it is ready", "responses": _answers(200, _json(_OBJECT), 404)},
        },
        "/v1/models/{model}:explain": {
            "parameters": named,
            "post": {
                "summary": "KServe's first protocol",
                "requestBody": {"required": True, "content": _json(_ref("Instances"))},
                "responses": _answers(200, _json(_OBJECT), *errors),
            },
        },
    }


def _schemas() -> dict[str, Any]:
    tensor = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"type": "string"},
            "datatype": {"type": "string", "enum": list(DATATYPES)},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 0}},
            "data": {"type": "array", "items": {}},
            "parameters": _OBJECT,
        },
    }
    named = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}}
    return {
        "Error": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        "Tensor": tensor,
        "InferRequest": {
            "type": "object",
            "required": ["inputs"],
            "properties": {
                "id": {"type": "string"},
                "inputs": {"type": "array", "items": _ref("Tensor")},
                "outputs": {"type": "array", "items": named},
                "parameters": _OBJECT,
            },
        },
        "InferResponse": {
            "type": "object",
            "required": ["model_name", "outputs"],
            "properties": {
                "model_name": {"type": "string"},
                "model_version": {"type": "string"},
                "id": {"type": "string"},
                "parameters": _OBJECT,
                "outputs": {"type": "array", "items": _ref("Tensor")},
            },
        },
        "Job": {
            "type": "object",
            "required": ["id", "state"],
            "properties": {
                "id": {"type": "string"},
                "state": {"type": "string", "enum": ["running", "done", "failed", "cancelled"]},
                "progress": _OBJECT,
            },
        },
        "Instances": {
            "type": "object",
            "required": ["instances"],
            "properties": {"instances": {"type": "array", "items": {}}, "parameters": _OBJECT},
        },
    }
