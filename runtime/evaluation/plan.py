"""What an evaluation is to do: checked settings, and what a run must share with the one that it continues."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

import fluxpath
from fluxpath.checks import need, one_of, whole
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution.subject import are_pictures, model_of
from fluxpath.runtime.attribution.words import method_words
from fluxpath.runtime.evaluation.data import Data
from fluxpath.runtime.evaluation.noise import RANDOM, Random
from fluxpath.runtime.inputs import as_fitting_method, check_rules
from fluxpath.runtime.methods import Method
from fluxpath.runtime.methods.named import method_named, need_known
from fluxpath.runtime.metrics import Metric, metric_named
from fluxpath.runtime.pictures.drawing import DEFAULT, Drawing
from fluxpath.runtime.records.rows import Head, stored

Methods: TypeAlias = Mapping[str, Method | str] | Sequence[Method | str]
Metrics: TypeAlias = Mapping[str, Metric | str] | Sequence[Metric | str]

METHODS = ("mfaba-sharp", "neflag", "integrated-gradients", RANDOM)
METRICS = ("insertion", "deletion")
TARGETS = ("predicted", "label")

FACTS = ("label", "predicted", "target", "probability")
"""What is known of an image, whatever the method."""

OF_METHOD = ("steps", "status", "error_rate")
"""What is known of an attribution beside its metrics."""

TAKEN = frozenset(("image", "method", "class_name", *FACTS, *OF_METHOD))
"""Columns of the rows, so that no metric can have these names."""

LONGEST_NAME = 200


@dataclass(frozen=True)
class Plan:
    """The settings of `evaluate`, checked; methods and metrics by the names of their columns, in order."""

    methods: Mapping[str, Method]
    metrics: Mapping[str, Metric]
    target: Literal["predicted", "label"] = "predicted"
    only: Literal["correct"] | None = None
    sample: int | None = None
    photos: int = 6
    seed: int = 0
    batch: int = 8
    drawing: Drawing = DEFAULT

    def __post_init__(self) -> None:
        one_of("target", self.target, TARGETS)
        need(self.only in (None, "correct"), f"only is {self.only!r}, it must be 'correct' or None")
        if self.sample is not None:
            whole("sample", self.sample, 1)
        whole("photos", self.photos, 0, 100)
        whole("seed", self.seed, 0, 2**32 - 1)
        whole("batch", self.batch, 1, 2**16)

    def check(self, data: Data) -> None:
        """Raise InputError unless the data have what is asked of them: labels, a size, masks."""
        labels = "these data have none: give a folder for each class, a table with labels, or an .npz file"
        need(data.labelled or self.target != "label", f"target is 'label', which needs labels, and {labels}")
        need(data.labelled or self.only is None, f"only is 'correct', which needs labels, and {labels}")
        if self.sample is not None and data.count is None:
            raise InputError(
                "sample draws from data of known size, and these are an iterator: make it a list"
            )
        needing = [name for name, metric in self.metrics.items() if metric.needs_mask]
        if needing and not self._masked(data):
            raise InputError(
                f"{', '.join(needing)}: defined with masks only, and the images have none: give a folder of "
                "masks (--masks FOLDER), or an .npz file with an array 'masks'"
            )

    def _masked(self, data: Data) -> bool:
        """Whether any image that is evaluated has a mask."""
        chosen = self.chosen(data.count)
        if chosen is None or not data.masked:
            return data.masked
        return any(each.masked for i, each in enumerate(data.items()) if i in chosen)

    def head(self, manifest: Manifest, shape: tuple[int, ...], data: Data, form: str) -> Head:
        """What results in one folder must share: everything that they depend on."""
        run: dict[str, str | None] = {
            "fluxpath": fluxpath.__version__,
            "model": model_of(manifest),
            "data": data.source,
            "number of images": None if data.count is None else str(data.count),
            **{f"method {stored(name)}": repr(method) for name, method in self.methods.items()},
            **{f"metric {stored(name)}": repr(metric) for name, metric in self.metrics.items()},
            "order": stored(", ".join([*self.methods, *self.metrics])),
            "target": self.target,
            "only": self.only,
            "sample": None if self.sample is None else str(self.sample),
            "photos": str(self.photos),
            "drawing": repr(self.drawing) if self.photos else None,
            "seed": str(self.seed),
            "batch": str(self.batch),
        }
        return Head(run, shape, form)

    def chosen(self, count: int | None) -> frozenset[int] | None:
        """The numbers of the images that are evaluated, by `sample` and `seed`; None for all."""
        if self.sample is None or count is None or self.sample >= count:
            return None
        drawn = np.random.default_rng(self.seed).choice(count, self.sample, replace=False)
        return frozenset(drawn.tolist())

    def total(self, count: int | None) -> int | None:
        """How many images are looked at."""
        return count if count is None or self.sample is None else min(count, self.sample)

    def positions(self, count: int | None, shape: tuple[int, ...]) -> list[int]:
        """From which images on another photo goes into the report's grid: evenly over all of them."""
        total = self.total(count)
        if not are_pictures(shape) or not self.photos:
            return []
        if total is None:
            return list(range(self.photos))
        return sorted(
            set(np.linspace(0, total, min(self.photos, total), endpoint=False).astype(int).tolist())
        )

    def seed_of(self, name: str) -> int:
        """Of what is random in a metric: the same for an image in any order and company."""
        return zlib.crc32(stored(name).encode(), self.seed)


def methods_of(given: Methods, shape: tuple[int, ...], manifest: Manifest) -> dict[str, Method]:
    """The methods by name, fitted to the model; InputError for none, a name twice, and what does not fit."""
    named = _by_name(
        "methods", given, lambda method: method_words(method) if isinstance(method, Method) else ""
    )
    fitted = {}
    for name, method in named.items():
        if isinstance(method, str):
            need_known(method, [RANDOM])
            method = Random() if method == RANDOM else method_named(method)
        fitted[name] = as_fitting_method(method, shape, manifest)
        check_rules(fitted[name], manifest.rules)
    return fitted


def metrics_of(given: Metrics) -> dict[str, Metric]:
    """The metrics by name; InputError for none, a name twice, and what is no metric."""
    named = _by_name("metrics", given, lambda metric: repr(metric) if isinstance(metric, Metric) else "")
    made = {name: metric_named(each) if isinstance(each, str) else each for name, each in named.items()}
    for name, each in made.items():
        need(name not in TAKEN, f"a metric is called {name!r}, as another column is: give it another name")
        need(isinstance(each, Metric), f"the metric {name!r} is {each!r:.80}, it must be a Metric or a name")
    return made


def _by_name(what: str, given: Any, words: Any) -> dict[str, Any]:
    if isinstance(given, Mapping):
        named = dict(given)
    elif isinstance(given, Iterable) and not isinstance(given, str):
        each = list(given)
        names = [one if isinstance(one, str) else words(one) or repr(one) for one in each]
        named = dict(zip(names, each, strict=True))
        need(len(named) == len(each), f"{what} are {', '.join(names)}: name each once")
    else:
        raise InputError(f"{what} are {given!r:.80}, they must be a sequence, or a dict by name")
    need(named, f"{what} are empty: name at least one")
    for name in named:
        fits = isinstance(name, str) and name.strip() and name.isprintable() and len(name) <= LONGEST_NAME
        need(fits, f"a name among {what} is {name!r:.80}, it must be 1 to {LONGEST_NAME} printable letters")
    return named
