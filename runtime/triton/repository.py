"""Writes a model repository, whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from fluxpath import archive
from fluxpath.artifact import GradientFile, read_sealed
from fluxpath.checks import need
from fluxpath.errors import ArtifactError, InputError, ProviderError
from fluxpath.files import naming, temporary_name
from fluxpath.runtime.preparation.sizes import resolved_shape
from fluxpath.runtime.serve.protocol.repository import named
from fluxpath.runtime.serve.protocol.served import Described
from fluxpath.runtime.serve.settings import Settings
from fluxpath.runtime.triton import graph, whole
from fluxpath.runtime.triton.options import Options

_Written: TypeAlias = tuple[dict[str, Any], dict[str, bytes]]
"""What a version's file makes of the configuration, and the data of its warm-up by name."""


def write(
    models: Sequence[str], out: Path, options: Options | None = None, name: str | None = None
) -> list[str]:
    """Write a Triton model repository to the folder `out`, which must be empty or not there yet.

    models: files that an export wrote, as MODEL, NAME=MODEL or NAME:VERSION=MODEL: whole methods for Triton's
    ONNX Runtime backend, gradient graphs for its Python backend. Versions of one name have one configuration
    in Triton, so they must have the same inputs and outputs. name: of the only model. Returns the models'
    names. Raises InputError, ArtifactError, ProviderError; nothing is left at `out` then.
    """
    options = options or Options()
    need(models, "no model was given: name a file that 'fluxpath export' wrote")
    if name is not None:
        need(len(models) == 1 and "=" not in models[0],
             f"name= (on the command line, --name) is of one model without a name, and was given with "
             f"{', '.join(models)}: write NAME=MODEL for each")  # fmt: skip
        models = [f"{name}={models[0]}"]
    versions: dict[str, dict[str, Path]] = {}
    for key, version, path in map(named, models):
        known = versions.setdefault(key, {})
        need(version not in known, f"two models are called '{key}' and have version {version}: write "
             f"NAME={path}, or {key}:{max(map(int, known), default=0) + 1}={path}")  # fmt: skip
        known[version] = path
    out = out.resolve()
    need(not out.exists() or (out.is_dir() and not any(out.iterdir())),
         f"'{out}' is there already and holds something: name a new folder")  # fmt: skip
    with naming(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(temporary_name())
        temporary.mkdir()
        try:
            kinds = {_write_model(temporary / key, known, options) for key, known in versions.items()}
            need(True in kinds or (options.max_batch, options.delay) == (None, None),
                 "max_batch and delay are of whole methods, and there are only gradient graphs, whose engine "
                 "needs neither")  # fmt: skip
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return list(versions)


def _write_model(folder: Path, versions: Mapping[str, Path], options: Options) -> bool:
    """Write all versions of a model, and return whether it is a whole method."""
    written = {version: _write_version(folder / version, path, options) for version, path in versions.items()}
    data = next(iter(written.values()))[1]
    config = _in_common(folder.name, written)
    for key, content in data.items():
        (folder / whole.WARM_UP).mkdir(exist_ok=True)
        (folder / whole.WARM_UP / key).write_bytes(content)
    text = _as_text({"name": folder.name, **config})
    (folder / "config.pbtxt").write_text(text, encoding="utf-8")
    return bool(data)


def _in_common(name: str, written: Mapping[str, _Written]) -> dict[str, Any]:
    """The configuration of all versions: what is told of one alone is a parameter with its number behind."""
    (first, (config, data)), *others = written.items()
    if not others:
        return config
    for version, (other, more) in others:
        fields = {**config, **other, "parameters": None}
        differ = [key for key in fields if fields[key] and config.get(key) != other.get(key)]
        differ += [] if data == more else ["range"]
        need(not differ, f"versions {first} and {version} of '{name}' differ in {', '.join(differ)}, and "
             "Triton has one configuration for all versions of a model: give them two names")  # fmt: skip
    told = {version: about["parameters"] for version, (about, _) in written.items()}
    shared = dict.fromkeys(key for about in told.values() for key in about)
    parameters: dict[str, Any] = {}
    for key in shared:
        values = {version: about.get(key) for version, about in told.items()}
        same = all(value == values[first] for value in values.values())
        parameters |= {key: values[first]} if same else {f"{key}:{v}": value for v, value in values.items()}
    return {**config, "parameters": parameters, "version_policy": {"all": {}}}


def _write_version(inside: Path, path: Path, options: Options) -> _Written:
    """Write one version's files; its configuration, and the data of its warm-up by name."""
    if path.suffix == archive.SUFFIX:
        raise InputError(f"'{path}' is TorchScript, which Triton is not given: export the model to .onnx")
    file = read_sealed(path, whole_method=None)
    inside.mkdir(parents=True)
    if file.manifest.method is not None:
        _put(file, inside / whole.MODEL)
        return whole.config_of(path, file, options)
    _put(file, inside / graph.FILE)
    (inside / "model.py").write_text(graph.MODEL, encoding="utf-8")
    shape = resolved_shape(file.manifest, None)
    model = Described(inside.parent.name, inside.name, file.manifest, shape, file.sha256, Settings())
    return graph.config_of(model, options), {}


def _put(file: GradientFile, path: Path) -> None:
    """The bytes that were checked, and the second file by the name that the first one has for it."""
    path.write_bytes(file.data)
    if file.manifest.weights is not None:
        path.with_name(file.manifest.weights.file).write_bytes(file.weights)


def _as_text(config: dict[str, Any]) -> str:
    """A configuration in protobuf's text format; its fields are checked by Triton's own definition."""
    try:
        from google.protobuf import text_format
        from google.protobuf.json_format import ParseDict
        from tritonclient.grpc import model_config_pb2
    except ImportError as error:
        raise ProviderError(
            'the configuration is written with tritonclient, which is missing: pip install "fluxpath[serve]"'
        ) from error
    message = ParseDict(config, model_config_pb2.ModelConfig())
    text: str = text_format.MessageToString(message, as_utf8=True)
    if len(text) > 2**26:
        raise ArtifactError("the configuration would have more than 64 MiB, as of too many class names")
    return text
