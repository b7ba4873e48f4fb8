"""Writes a model repository, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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


def write(
    models: Sequence[str], out: Path, options: Options | None = None, name: str | None = None
) -> list[str]:
    """Write a Triton model repository to the folder `out`, which must be empty or not there yet.

    models: files that an export wrote, as MODEL, NAME=MODEL or NAME:VERSION=MODEL: whole methods for Triton's
    ONNX Runtime backend, gradient graphs for its Python backend. name: of the only model. Returns the models'
    names. Raises InputError, ArtifactError, ProviderError; nothing is left at `out` then.
    """
    options = options or Options()
    need(models, "no model was given: name a file that 'fluxpath export' wrote")
    need(name is None or len(models) == 1, f"one name was given for {len(models)} models: write NAME=MODEL")
    places = [named(text if name is None else f"{name}={text.rpartition('=')[2]}") for text in models]
    names = [place[0] for place in places]
    twice = next((one for one in names if names.count(one) > 1), None)
    need(twice is None, f"two models are called '{twice}': name them, as in NAME=MODEL")
    out = out.resolve()
    need(not out.exists() or (out.is_dir() and not any(out.iterdir())),
         f"'{out}' is there already and holds something: name a new folder")  # fmt: skip
    with naming(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(temporary_name())
        temporary.mkdir()
        try:
            kinds = {_write_model(temporary, *place, options) for place in places}
            need(True in kinds or (options.max_batch, options.delay) == (None, None),
                 "max_batch and delay are of whole methods, and there are only gradient graphs, whose engine "
                 "needs neither")  # fmt: skip
            os.replace(temporary, out)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    return names


def _write_model(folder: Path, name: str, version: str, path: Path, options: Options) -> bool:
    """Write one model, and return whether it is a whole method."""
    if path.suffix == archive.SUFFIX:
        raise InputError(f"'{path}' is TorchScript, which Triton is not given: export the model to .onnx")
    file = read_sealed(path, whole_method=None)
    inside = folder / name / version
    inside.mkdir(parents=True)
    if file.manifest.method is not None:
        _put(file, inside / whole.MODEL)
        config, data = whole.config_of(path, file, options)
        for key, content in data.items():
            (folder / name / whole.WARM_UP).mkdir(exist_ok=True)
            (folder / name / whole.WARM_UP / key).write_bytes(content)
    else:
        _put(file, inside / graph.FILE)
        (inside / "model.py").write_text(graph.MODEL, encoding="utf-8")
        shape, digest = resolved_shape(file.manifest, None), hashlib.sha256(file.data).hexdigest()
        model = Described(name, version, file.manifest, shape, digest, Settings())
        config = graph.config_of(model, options)
    (folder / name / "config.pbtxt").write_text(_as_text({"name": name, **config}), encoding="utf-8")
    return file.manifest.method is not None


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
