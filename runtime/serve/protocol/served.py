"""One version of a model that is served: its explainer, what it says of itself, its counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fluxpath import manifest as contract
from fluxpath.checks import need
from fluxpath.manifest import Manifest
from fluxpath.methods import NAMES
from fluxpath.runtime.explainer import Explainer
from fluxpath.runtime.replicas import Replicas
from fluxpath.runtime.replicas.asking import Asking
from fluxpath.runtime.serve.protocol.admission import Gate
from fluxpath.runtime.serve.protocol.statistics import Statistics
from fluxpath.runtime.serve.protocol.tensors import datatype_of
from fluxpath.runtime.serve.settings import Settings

DEFAULT_OUTPUTS = ("attribution", "target", "label", "score", "end_score", "steps", "status", "error_rate")
"""What is answered where a request does not say."""


class Described:
    """What a model's version says of itself, from its manifest alone: nothing of it is open."""

    def __init__(
        self,
        name: str,
        version: str,
        manifest: Manifest,
        shape: tuple[int, ...],
        digest: str,
        settings: Settings,
    ) -> None:
        self.name, self.version, self.manifest, self.shape = name, version, manifest, shape
        self.digest = digest
        self._most = settings.max_images
        self.predicted = tuple(dict.fromkeys((manifest.logits, "logits", "probabilities")))
        """Outputs that take no gradient: asked for alone, a prediction. The model's own name is one too."""

    @property
    def outputs(self) -> dict[str, tuple[str, list[int]]]:
        """The datatype and the shape, -1 where it is open, of each output that can be asked for."""
        picture = len(self.shape) == 3
        rows = {
            "attribution": ("FP32", [-1, *self.shape]),
            "target": ("INT64", [-1]),
            "label": ("INT64", [-1]),
            "score": ("FP32", [-1]),
            "end_score": ("FP32", [-1]),
            "steps": ("INT32", [-1]),
            "status": ("INT32", [-1]),
            "error_rate": ("FP64", [-1]),
        }
        if picture:
            rows |= {
                "heatmap": ("UINT8", [-1, -1, -1, 3]),
                "overlay": ("BYTES", [-1]),
                "photo": ("BYTES", [-1]),
                "map": ("FP32", [-1, *self.shape[1:]]),
            }
        rows["walk"] = ("FP32", [-1])
        return rows | {name: ("FP32", [-1, self.manifest.classes]) for name in self.predicted}

    def check_outputs(self, asked: tuple[str, ...] | None) -> tuple[str, ...]:
        """The outputs to answer; InputError for one that there is not."""
        names = DEFAULT_OUTPUTS if asked is None else asked
        for name in names:
            need(name in self.outputs, f"model '{self.name}' has no output {name!r:.60}, it has "
                 f"{', '.join(dict.fromkeys(self.outputs))}")  # fmt: skip
        need(len(set(names)) == len(names), "an output is asked for twice")
        need(names, "no output is asked for")
        return names

    def inputs(self) -> list[dict[str, Any]]:
        """Name, datatype and shape of each input."""
        manifest, shape = self.manifest, self.shape
        companions = [
            {"name": c.name, "datatype": datatype_of(c.dtype), "shape": [-1, *(d or -1 for d in c.shape)]}
            for c in manifest.companions
        ]
        return [
            {"name": manifest.input, "datatype": "FP32", "shape": [-1, *shape]},
            {"name": contract.TARGET, "datatype": "INT64", "shape": [-1]},
            *companions,
        ]

    def metadata(self, versions: list[str]) -> dict[str, Any]:
        """The answer of `v2/models/NAME`."""
        return {
            "name": self.name,
            "versions": versions,
            "platform": "fluxpath_torchscript" if self.manifest.opset is None else "fluxpath_onnx",
            "inputs": self.inputs(),
            "outputs": [
                {"name": n, "datatype": datatype, "shape": shape}
                for n, (datatype, shape) in self.outputs.items()
            ],
        }

    def config(self) -> dict[str, Any]:
        """The answer of `v2/models/NAME/config`, as Triton's."""

        def listed(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
            kind = "TYPE_STRING" if datatype == "BYTES" else f"TYPE_{datatype}"
            return {"name": name, "data_type": kind, "dims": shape[1:] or [1]}

        manifest = self.manifest
        about = {
            "methods": ",".join(NAMES),
            "objective": manifest.objective,
            "classes": str(manifest.classes),
            "sha256": self.digest,
            "range": json.dumps([manifest.low, manifest.high]),
            "class_names": json.dumps(manifest.class_names),
        }
        return {
            "name": self.name,
            "platform": "fluxpath",
            "backend": "fluxpath",
            "max_batch_size": self._most,
            "input": [
                {**listed(i["name"], i["datatype"], i["shape"]), "optional": i["name"] == contract.TARGET}
                for i in self.inputs()
            ],
            "output": [listed(n, *row) for n, row in self.outputs.items()],
            "parameters": {key: {"string_value": value} for key, value in about.items()},
        }


class Served(Described):
    """A model's version: everything about it that requests share. From the event loop's thread."""

    def __init__(self, name: str, version: str, explainer: Explainer | Asking, settings: Settings) -> None:
        digest = explainer.sha256 or "unknown"  # of a session of one's own
        super().__init__(name, version, explainer.manifest, explainer.shape, digest, settings)
        self.explainer = explainer
        self.device = settings.device
        self.gate = Gate(
            settings.max_queue_images, settings.max_queue_evaluations, lambda: explainer.stats().lanes
        )
        self.statistics = Statistics()

    @classmethod
    def open(cls, name: str, version: str, path: Path, settings: Settings) -> Served:
        """Open a file; what `Explainer` raises."""
        options: dict[str, Any] = {
            "device": settings.device,
            "slots": settings.slots,
            "threads": settings.threads,
        }
        explainer = (
            Explainer(path, **options)
            if settings.replicas == 1
            else Replicas(path, settings.replicas, **options)
        )
        return cls(name, version, explainer, settings)

    @property
    def ready(self) -> bool:
        """Whether anybody is there to compute."""
        return self.explainer.alive > 0

    def warm_up(self) -> None:
        """Do what is done once before the first request, also that of a prediction."""
        self.explainer.warmup(predict=True)

    def close(self) -> None:
        """Close the explainer; requests that run fail with ClosedError."""
        self.explainer.close()


Opener = Callable[[str, str, Path, Settings], Served]
