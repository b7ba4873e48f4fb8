"""Finds the model that `fluxpath export` compiles: an ONNX file, or a torch module by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxpath.cli._common import current_folder
from fluxpath.errors import FluxpathError, ModelError, first_line
from fluxpath.preprocessing import Preprocessing

TORCHVISION = "torchvision"


@dataclass(frozen=True)
class TorchModel:
    """A module, an example of its input, and the settings that came with it."""

    module: Any
    example: Any
    settings: dict[str, Any]


def torch_model(name: str, shape: Sequence[int] | None) -> TorchModel | None:
    """The torch module that `name` means; None if it means an ONNX file.

    name: "torchvision:resnet50" or "package.module:factory"; the factory is called without arguments and
    returns a module, or a module and an example. shape: the shape of an example input, without the batch.
    """
    if name.endswith(".onnx") or ":" not in name or Path(name).is_file():
        return None
    package, _, attribute = name.partition(":")
    if package == TORCHVISION:
        return _from_torchvision(attribute, shape)
    made = _calling(name, _attribute(package, attribute))
    module, example = made if isinstance(made, tuple) and len(made) == 2 else (made, None)
    if shape is not None:
        example = _zeros(shape)
    if example is None:
        raise ModelError(f"'{name}' gives no example of the input: pass --shape, as in --shape 3 224 224")
    return TorchModel(module, example, {})


def torch_module(name: str) -> Any:
    """The torch.nn.Module alone that `name` means, as for `torch_model`; ModelError if there is none."""
    package, _, attribute = name.partition(":")
    if package == TORCHVISION:
        return _from_torchvision(attribute, None).module
    made = _calling(name, _attribute(package, attribute))
    return made[0] if isinstance(made, tuple) and len(made) == 2 else made


def _attribute(package: str, attribute: str) -> Callable[[], Any]:
    try:
        with current_folder():
            found = getattr(importlib.import_module(package), attribute)
    except ImportError as error:
        raise ModelError(f"cannot import '{package}': {error}") from error
    except AttributeError as error:
        raise ModelError(f"module '{package}' has no '{attribute}'") from error
    except (Exception, SystemExit) as error:  # importing a module can raise anything
        raise ModelError(f"cannot import '{package}': {_why(error)}") from error
    if not callable(found):
        raise ModelError(f"'{package}:{attribute}' is of type {type(found).__name__}, and must be a function")
    function: Callable[[], Any] = found
    return function


def _calling(name: str, factory: Callable[[], Any]) -> Any:
    try:
        with current_folder():
            return factory()
    except FluxpathError:
        raise
    except (Exception, SystemExit) as error:  # a factory can raise anything
        raise ModelError(f"'{name}' failed: {_why(error)}") from error


def _why(error: BaseException) -> str:
    """What went wrong in code of the user's; a script ends the program where something is missing."""
    if isinstance(error, SystemExit):
        return f"it ended the program by sys.exit({error.code!r})"
    return first_line(error)


def _from_torchvision(name: str, shape: Sequence[int] | None) -> TorchModel:
    """torchvision.models.NAME with its default weights, their preprocessing and their class names."""
    try:
        models = importlib.import_module("torchvision.models")
    except Exception as error:  # with an incompatible torch it raises more than ImportError
        raise ModelError(
            f'torchvision cannot be imported ({first_line(error)}): pip install "fluxpath[torchvision]"'
        ) from error
    try:
        weights = models.get_model_weights(name).DEFAULT
        module = models.get_model(name, weights=weights)
    except Exception as error:  # an unknown name, or a download that failed
        raise ModelError(f"torchvision gives no model '{name}': {first_line(error)}") from error
    preset = weights.transforms()
    size = preset.crop_size[0]
    settings = {
        "mean": list(preset.mean),
        "std": list(preset.std),
        "class_names": weights.meta.get("categories"),
    }
    if shape is None and hasattr(preset, "resize_size"):
        settings["preprocessing"] = Preprocessing(
            int(preset.resize_size[0]), int(size), str(preset.interpolation.value)
        )
    return TorchModel(module, _zeros(shape or (3, size, size)), settings)


def _zeros(shape: Sequence[int]) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ModelError('exporting a torch module needs torch: pip install "fluxpath[torch]"') from error
    if min(shape) < 1:
        raise ModelError(f"--shape is {list(shape)}, and sizes must be 1 or more")
    return torch.zeros(1, *shape)
