"""Parameter randomisation: does the explanation change when the model forgets what it learned?"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.checks import need
from fluxpath.errors import InputError
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.fidelity import rank_correlation
from fluxpath.runtime.methods import Method
from fluxpath.runtime.metrics.layout import Layout


@dataclass(frozen=True, eq=False)
class Randomised:
    """How similar explanations stayed.

    layers: the names, in the order of randomisation. similarity: float64 [layers, n images], in [-1, 1]; NaN
    where a map is constant.
    """

    layers: tuple[str, ...]
    similarity: npt.NDArray[np.float64]

    @property
    def average(self) -> npt.NDArray[np.float64]:
        """The mean over layers for each image, float64 [n]; lower is better."""
        mean: npt.NDArray[np.float64] = self.similarity.mean(axis=0)
        return mean


def parameter_randomisation(
    explainer: Explainer,
    randomised: Iterable[tuple[str, Explainer | str | os.PathLike[str]]],
    images: Any,
    target: Any = None,
    method: Method | str | None = None,
    *,
    absolute: bool = True,
) -> Randomised:
    """The model parameter randomisation test (MPRT): Adebayo, Gilmer, Muelly, Goodfellow, Hardt, Kim: "Sanity
    Checks for Saliency Maps", NeurIPS 2018, Section 3.

    Each image is explained by the model and by models whose weights were drawn anew layer by layer, for the
    same class; the similarity is Spearman's rank correlation between the two maps, over the pixels' sums over
    channels, tied ones sharing their mean rank. A method that explains the model loses similarity with
    each layer; one that does not change explains the image.

    explainer: the trained model. randomised: the names of layers and the models, or the files, of which each
        is opened for as long as it is needed: what `fluxpath.export.randomised` gives.
    images, target, method: as for `Explainer.attribute`; without a target the trained model's class is
        explained throughout.
    absolute: whether maps are compared by absolute values, as in the paper's main figure and by Quantus.

    Quantus' MPRT with its defaults is the same for maps summed over channels, with weights drawn from the
    layer's initial distribution. Raises InputError, and what `Explainer` raises.
    """
    first = explainer.attribute(images, target, method)
    maps = _maps(first.values, absolute)
    names, rows = [], []
    for name, other in randomised:
        opened = (
            nullcontext(other) if isinstance(other, Explainer) else Explainer(other, slots=explainer.slots)
        )
        with opened as model:
            need(
                model.shape == explainer.shape and model.manifest.classes == explainer.manifest.classes,
                f"the model of layer '{name}' has input {list(model.shape)} and {model.manifest.classes} "
                f"classes, and must be the explained one's, {list(explainer.shape)} and "
                f"{explainer.manifest.classes}",
            )
            changed = model.attribute(images, first.target, method).values
        names.append(name)
        rows.append([rank_correlation(a, b) for a, b in zip(maps, _maps(changed, absolute), strict=True)])
    if not rows:
        raise InputError("there is no randomised model: pass what fluxpath.export.randomised gives")
    return Randomised(tuple(names), np.array(rows))


def _maps(values: npt.NDArray[np.float32], absolute: bool) -> npt.NDArray[np.float64]:
    channels = Layout(values.shape[1:]).channels
    summed: npt.NDArray[np.float64] = values.astype(np.float64).reshape(len(values), channels, -1).sum(axis=1)
    return np.abs(summed) if absolute else summed
