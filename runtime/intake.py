"""Makes requests of what callers pass: prepared images, numbered targets, fitted methods."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fluxpath.arrays import as_array
from fluxpath.checks import positive, whole
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime.bulk.sources import expanded
from fluxpath.runtime.engine.request import Request
from fluxpath.runtime.inputs import as_companions, as_fitting_method, as_targets, check_rules
from fluxpath.runtime.methods import MFABA, Method
from fluxpath.runtime.prediction import Predictor, best_classes
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.preparation.sizes import companion_shapes

Target: TypeAlias = int | str | Sequence[int | str] | npt.ArrayLike | None
"""A class or one per image, by number or name; None or -1: the predicted one."""

Further: TypeAlias = Mapping[str, npt.ArrayLike] | None
"""The model's further inputs by name."""

Images: TypeAlias = npt.NDArray[np.float32]


class Intake:
    """Checks and converts for one model; see `Explainer.submit`, whose parameters these are."""

    def __init__(self, manifest: Manifest, shape: tuple[int, ...], predictor: Predictor) -> None:
        self._manifest, self._shape, self._predictor = manifest, shape, predictor
        self._preparation = Preparation.of(manifest, shape)
        self.companions = companion_shapes(manifest, shape)

    def images(self, images: Any, copy: bool = True) -> Images:
        """Float32 [n, *shape], of a folder's path too; see `Explainer.prepare`."""
        return self._preparation.all(expanded(images), copy)

    def method(self, method: Method | str | None) -> Method:
        """The method, fitted to the model; MFABA for None."""
        chosen = as_fitting_method(MFABA() if method is None else method, self._shape, self._manifest)
        check_rules(chosen, self._manifest.rules)
        return chosen

    def targets(self, target: Target, n: int) -> npt.NDArray[np.int64]:
        """int64 [n], -1 for the predicted class."""
        return as_targets(target, n, self._manifest.classes, self._manifest.class_names)

    def one_target(self, target: int | str) -> int:
        """The number of the class for every image of a run; InputError for one per image."""
        if not isinstance(target, str) and as_array("target", target).ndim:
            raise InputError(
                "target must be one class for every image: for others, make items (name, image, target)"
            )
        return int(self.targets(target, 1)[0])

    def logits(self, images: Images, inputs: Further) -> Images:
        """The model's logits, float32 [n, classes]."""
        return self._predictor.logits(images, as_companions(inputs or {}, len(images), self.companions))

    def request(
        self,
        images: Any,
        target: Target,
        method: Method | str | None,
        top: int | None,
        inputs: Further,
        deadline: float | None,
        copy: bool = True,
    ) -> Request:
        """The request; InputError if anything in it does not fit the model."""
        chosen = self.method(method)
        array = self.images(images, copy)
        if top is not None:
            if target is not None:
                raise InputError("target and top each say which class to explain: pass one of them")
            whole("top", top, 1, self._manifest.classes)
            target = best_classes(self.logits(array, inputs), top)[:, -1]
        targets = self.targets(target, len(array))
        companions = as_companions(inputs or {}, len(array), self.companions)
        if deadline is not None:
            positive("deadline", deadline)
            deadline += time.monotonic()
        return Request(array, targets, chosen, companions, deadline, self._manifest)
