"""The models that are served, by name and version."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fluxpath
from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.serve.protocol.errors import ForbiddenError, NotFoundError
from fluxpath.runtime.serve.protocol.served import Served
from fluxpath.runtime.serve.settings import Settings

EXTENSIONS = (
    "binary_tensor_data",
    "model_repository",
    "model_configuration",
    "statistics",
    "parameters",
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SUFFIXES = (".grad.onnx", ".onnx")
"""Of files in the folder of models; TorchScript, which is code, is not loaded by request."""


class Repository:
    """Names to versions to models. Opening takes time, and is done in a thread; all else in the loop's."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._models: dict[str, dict[str, Served]] = {}
        self.reasons: dict[str, str] = {}
        """Why a model of the folder could not be loaded."""

    def __iter__(self) -> Iterator[Served]:
        return (served for versions in self._models.values() for served in versions.values())

    def add(self, served: Served) -> Served | None:
        """Serve it; return the same version of that name in whose place it is, which is to be closed."""
        versions = self._models.setdefault(served.name, {})
        old, versions[served.version] = versions.get(served.version), served
        return old

    def find(self, name: str, version: str = "") -> Served:
        """The model; without a version the highest. NotFoundError if it is not served."""
        versions = self._models.get(name)
        if not versions:
            raise NotFoundError(
                f"there is no model '{name:.128}', there is {', '.join(self._models) or 'none'}"
            )
        if not version:
            return versions[max(versions, key=int)]
        if version not in versions:
            raise NotFoundError(
                f"model '{name}' has no version '{version:.20}', it has {', '.join(versions)}"
            )
        return versions[version]

    def versions(self, name: str) -> list[str]:
        """The versions that are served, ascending."""
        return sorted(self._models.get(name, {}), key=int)

    def index(self, ready: bool = False) -> list[dict[str, str]]:
        """Each model's name, version, state and reason; ready: only those that are served."""
        rows = [{"name": s.name, "version": s.version, "state": "READY", "reason": ""} for s in self]
        if ready:
            return rows
        return rows + [
            {"name": n, "version": "1", "state": "UNAVAILABLE", "reason": self.reasons.get(n, "unloaded")}
            for n in self._loadable()
            if n not in self._models
        ]

    def about(self) -> dict[str, Any]:
        """The answer of `v2`: name, version and extensions of the server."""
        return {"name": "fluxpath", "version": fluxpath.__version__, "extensions": list(EXTENSIONS)}

    def statistics(self, name: str = "", version: str = "") -> list[dict[str, Any]]:
        """The counts of the models that are meant: one version, all of a name, all."""
        if name:
            self.find(name, version)
        return [
            s.statistics.told(s.name, s.version)
            for s in self
            if name in ("", s.name) and version in ("", s.version)
        ]

    def path_of(self, name: str) -> Path:
        """The file of a model that may be loaded by request; ForbiddenError, NotFoundError."""
        return self._files(self._folder(), name)

    def unload(self, name: str) -> list[Served]:
        """Serve the model no more, and return what is to be closed."""
        self._folder()
        self.find(name)
        self.reasons[name] = "unloaded"
        return list(self._models.pop(name).values())

    def close(self) -> None:
        """Close all models at once: each may have processes that hang, which take seconds to end."""
        served = list(self)
        self._models.clear()
        if served:
            with ThreadPoolExecutor(len(served)) as threads:
                list(threads.map(Served.close, served))

    def _folder(self) -> Path:
        if self._settings.model_folder is None:
            raise ForbiddenError(
                "models are not loaded or unloaded by request here: start the server with --model-folder"
            )
        return Path(self._settings.model_folder).resolve()

    def _files(self, folder: Path, name: str) -> Path:
        if _NAME.fullmatch(name):
            for suffix in _SUFFIXES:
                path = folder / f"{name}{suffix}"
                # Not through a link: it could lead out of the folder.
                if path.is_file() and path.resolve() == path:
                    return path
        raise NotFoundError(f"there is no model '{name:.128}' in the folder of models")

    def _loadable(self) -> list[str]:
        if self._settings.model_folder is None:
            return []
        names = (_stem(p.name) for p in sorted(self._folder().iterdir()) if p.name.endswith(_SUFFIXES))
        return [n for n in dict.fromkeys(names) if _NAME.fullmatch(n)]


def _stem(name: str) -> str:
    return next((name.removesuffix(s) for s in (*_SUFFIXES, ".grad.pt", ".pt") if name.endswith(s)), name)


def named(text: str) -> tuple[str, str, Path]:
    """Name, version and path of MODEL, NAME=MODEL or NAME:VERSION=MODEL; InputError for a bad name."""
    name, separator, path = text.rpartition("=")
    if not separator:
        name, path = re.sub(r"[^A-Za-z0-9._-]", "-", _stem(Path(text).name)), text
    name, _, version = name.partition(":")
    need(_NAME.fullmatch(name),
         f"a model's name is letters, digits, dots, dashes and underscores, and '{name}' is not")  # fmt: skip
    need(version == "" or re.fullmatch("[1-9][0-9]{0,17}", version),  # Triton passes over others
         f"a model's version is a number from 1, of 18 digits at most, not '{version:.40}'")  # fmt: skip
    return name, version or "1", Path(path)


def opened(models: Any, settings: Settings) -> Repository:
    """A repository of models: texts as in `named`, or names with paths or explainers."""
    repository = Repository(settings)
    pairs = models.items() if isinstance(models, dict) else [(None, text) for text in models]
    seen = set()
    try:
        for name, model in pairs:
            if isinstance(model, Explainer):
                key, version = str(name), "1"
                repository.add(Served(key, version, model, settings))
            else:
                key, version, path = named(str(model) if name is None else f"{name}={model}")
                if (key, version) in seen:
                    raise InputError(f"two models are called '{key}': name them, as in NAME={path}")
                repository.add(Served.open(key, version, path, settings))
            seen.add((key, version))
    except BaseException:
        repository.close()
        raise
    need(seen or settings.model_folder, "no model was given: name a file that 'fluxpath export' wrote")
    return repository
