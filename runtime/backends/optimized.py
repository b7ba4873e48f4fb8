"""Models as ONNX Runtime has optimized them, kept in a folder for the next process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fluxpath.artifact import GradientFile
from fluxpath.errors import InputError
from fluxpath.files import regular, replacing, temporary_name

SUFFIX = ".optimized"
_CHECK = 4
"""Bytes of the checksum before a model: CRC-32, for a cryptographic hash would cost more than is won."""

_LARGEST = 2**30
"""Bytes of a model with its weights above which nothing is kept: protobuf ends at twice that."""

Open = Callable[[bytes, Any], Any]
"""Makes a session from a model's bytes and ONNX Runtime's options."""


class OptimizedModels:
    """A folder of optimized models; any number of processes can use it at the same time.

    A file is named by all that the optimized model depends on: the model, ONNX Runtime's version, and the
    processor, for whose instructions it is laid out. It begins with a checksum, and one that is damaged is
    made again. Whoever can write to the folder can have this process run another model. Raises InputError
    if the folder cannot be made.
    """

    def __init__(self, folder: Path, ort: Any) -> None:
        self._folder, self._ort = folder, ort
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cache '{folder}' cannot be a folder: {error.strerror}") from error

    def session(
        self, file: GradientFile, whole: Callable[[], Any], plain: Callable[[], Any], opened: Open
    ) -> Any:
        """A session on the file's model: on the optimized one, if it is there; else it is there from now on.

        whole, plain: make ONNX Runtime's options, with the tensors in the second file and without; the
        optimized model holds them itself. A folder that cannot be written to, or a full disk, only means that
        nothing is kept.
        """
        if len(file.data) + len(file.weights) > _LARGEST:
            return opened(file.data, whole())
        path = self._folder / (self._key(file) + SUFFIX)
        kept = _read(path)
        if kept is not None:
            options = plain()
            options.graph_optimization_level = self._ort.GraphOptimizationLevel.ORT_DISABLE_ALL
            with contextlib.suppress(Exception):  # what cannot be opened is made again
                return opened(kept, options)
        temporary = self._folder / temporary_name()
        options = whole()
        options.optimized_model_filepath = str(temporary)
        try:
            session = opened(file.data, options)
        except Exception:  # of the disk or of the model, which are told apart without the folder
            temporary.unlink(missing_ok=True)
            return opened(file.data, whole())
        _keep(temporary, path)
        return session

    def _key(self, file: GradientFile) -> str:
        # The digest covers the weights too; the forward part of a file is told from the whole by its length.
        told = f"{file.digest} {len(file.data)} {self._ort.__version__} {_processor()}"
        return hashlib.sha256(told.encode()).hexdigest()


def _read(path: Path) -> bytes | None:
    """The model in the file `path`; None if it is not there, or not whole."""
    try:
        with open(path, "rb", opener=regular) as file:
            stored, model = file.read(_CHECK), file.read()
    except OSError:
        return None
    return model if stored == _check(model) else None


def _keep(model: Path, path: Path) -> None:
    """Put the file `model`, with its checksum before it, into the place of `path`."""
    try:
        content = model.read_bytes()
        with replacing(path) as temporary:
            temporary.write_bytes(_check(content) + content)
    except OSError:
        pass
    finally:
        model.unlink(missing_ok=True)


def _check(model: bytes) -> bytes:
    return zlib.crc32(model).to_bytes(_CHECK, "little")


def _processor() -> str:
    """The processor and its instructions, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()} {os.cpu_count()}"
    told = {line for line in lines if line.startswith(("model name", "flags", "Features", "CPU part"))}
    return " ".join([platform.machine(), *sorted(told)])
