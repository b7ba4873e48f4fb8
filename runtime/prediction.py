"""What the model predicts, without gradients."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ArtifactError, ClosedError
from fluxpath.indexing import selected
from fluxpath.manifest import Manifest
from fluxpath.runtime.backends.base import Forward, GradientSession

BATCH = 32
"""The most images that are evaluated at a time, which bounds the memory."""

_SHOWN = 10
"""The most images that a printed prediction shows."""


@dataclass(frozen=True, repr=False)
class Prediction:
    """What the model predicts for n images.

    logits: float32 [n, classes]; the one logit z of a binary classifier is (0, z).
    probabilities: float32 [n, classes]: with the objective "sigmoid" each class has its own, with any other
        they are the softmax of the logits; NaN for a regressor.
    classes: int64 [n, top], the best classes, the best first. names: the file's class names, or None.
    """

    logits: npt.NDArray[np.float32]
    probabilities: npt.NDArray[np.float32]
    classes: npt.NDArray[np.int64]
    names: tuple[str, ...] | None = None

    def __len__(self) -> int:
        return len(self.logits)

    def __getitem__(self, index: Any) -> Prediction:
        """The prediction of some images, by a number, a slice or a list, as of an `Attribution`."""
        rows = selected(index, len(self))
        return Prediction(self.logits[rows], self.probabilities[rows], self.classes[rows], self.names)

    def __repr__(self) -> str:
        return f"Prediction of {len(self)} images\n{self}"

    def best(self, image: int = 0) -> list[tuple[str, float]]:
        """The best classes of one image: their names, or numbers as text, and probabilities."""
        return [
            (str(c) if self.names is None else self.names[c], float(self.probabilities[image, c]))
            for c in self.classes[image]
        ]

    def __str__(self) -> str:
        lines = []
        for image in range(min(len(self), _SHOWN)):
            shown = ", ".join(f"{name} {share:.1%}" for name, share in self.best(image))
            if self.logits.shape[1] == 1:
                shown = f"{self.logits[image, 0]:g}"
            lines.append(f"{image}: {''.join(c if c.isprintable() else '?' for c in shown)}")
        more = len(self) - _SHOWN
        return "\n".join([*lines, *([f"and {more} more"] if more > 0 else [])])


class Predictor:
    """Computes logits, from any thread; made on first use, because it takes memory for the weights again."""

    def __init__(self, session: GradientSession, manifest: Manifest) -> None:
        self._session, self._manifest = session, manifest
        self._forward: Forward | None = None
        self._lock = threading.Lock()
        self._closed, self._process = False, os.getpid()

    def logits(
        self, images: npt.NDArray[np.float32], companions: Mapping[str, npt.NDArray[Any]]
    ) -> npt.NDArray[np.float32]:
        """Logits float32 [n, classes] of `images`, float32 [n, *shape], at most BATCH at a time."""
        if self._process != os.getpid():  # a backend's threads stayed in the process that opened it
            raise ClosedError(
                "the explainer was opened in the process from which this one was forked: open another here"
            )
        with self._lock:
            if self._closed:
                raise ClosedError("the explainer is closed: open another")
            if self._forward is None:
                self._forward = self._session.forward()
            forward = self._forward
        fed = {self._manifest.input: images, **companions}
        rows = []
        for at in range(0, len(images), BATCH):
            logits = forward({name: values[at : at + BATCH] for name, values in fed.items()})
            rows.append(_of_classes(logits, self._manifest))
        return np.concatenate(rows)

    def close(self) -> None:
        """Free the memory; later uses raise ClosedError."""
        with self._lock:
            self._forward, self._closed = None, True


def _of_classes(logits: npt.NDArray[np.float32], manifest: Manifest) -> npt.NDArray[np.float32]:
    columns = logits.reshape(len(logits), -1)
    if columns.shape[1] == 1 and manifest.classes == 2:
        columns = np.concatenate([np.zeros_like(columns), columns], axis=1)
    if columns.shape[1] != manifest.classes:
        raise ArtifactError(
            f"the graph gives {columns.shape[1]} logits, and its manifest {manifest.classes} classes: export "
            "the model again"
        )
    return columns


def prediction(logits: npt.NDArray[np.float32], manifest: Manifest, top: int) -> Prediction:
    """The prediction that logits [n, classes] are, with the best `top` classes."""
    shares = probabilities(logits, manifest).astype(np.float32)
    return Prediction(logits, shares, best_classes(logits, top), manifest.class_names)


def probabilities(logits: npt.NDArray[np.float32], manifest: Manifest) -> npt.NDArray[np.float64]:
    """The probabilities that logits [n, classes] are, in float64; see `Prediction`."""
    wide = logits.astype(np.float64)
    if manifest.classes == 1:
        return np.full_like(wide, np.nan)
    if manifest.objective == "sigmoid":
        small = np.exp(-np.abs(wide))
        each: npt.NDArray[np.float64] = np.where(wide >= 0, 1.0, small) / (1 + small)
        return each
    powers = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def best_classes(logits: npt.NDArray[np.float32], top: int) -> npt.NDArray[np.int64]:
    """The best `top` classes of each row, int64 [n, top], the best first; of equal ones the first first."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :top].astype(np.int64)
