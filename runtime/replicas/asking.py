"""What asks other processes behind the interface of an `Explainer`, by whichever way they are reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from fluxpath.manifest import Manifest
from fluxpath.runtime.attribution import Attribution
from fluxpath.runtime.bulk.sources import expanded
from fluxpath.runtime.engine.stats import Stats
from fluxpath.runtime.inputs import as_fitting_method
from fluxpath.runtime.intake import Further, Target
from fluxpath.runtime.methods import MFABA, Method
from fluxpath.runtime.prediction import Prediction
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.replicas.messages import Explained
from fluxpath.runtime.replicas.replica import Asked
from fluxpath.runtime.walk import Recorded


class Asking:
    """Prepares what is asked here, and makes an `Attribution` of what is answered.

    sha256: of the file that the processes have open. slots: of all processes together.
    """

    def __init__(self, manifest: Manifest, shape: tuple[int, ...], sha256: str, slots: int) -> None:
        self.manifest, self.shape, self.sha256, self.slots = manifest, shape, sha256, slots
        self._preparation = Preparation.of(manifest, shape)

    def prepare(self, photos: Any) -> npt.NDArray[np.float32]:
        """As `Explainer.prepare`."""
        return self._preparation.all(expanded(photos), True)

    def submit(
        self,
        images: Any,
        target: Target = None,
        method: Method | str | None = None,
        *,
        top: int | None = None,
        inputs: Further = None,
        deadline: float | None = None,
    ) -> Asked:
        """As `Explainer.submit`; the future's result is an `Attribution`."""
        array = self.prepare(images)
        chosen = as_fitting_method(MFABA() if method is None else method, self.shape, self.manifest)

        def read(answer: Explained) -> Attribution:
            if isinstance(chosen, Recorded) and isinstance(answer.method, Recorded):
                chosen.take(answer.method)
            return answer.attribution(array, chosen, self.manifest)

        given = {
            "images": array,
            "target": target,
            "method": chosen,
            "top": top,
            "inputs": inputs,
            "deadline": deadline,
        }
        return self._asked("submit", given, len(array) * chosen.lanes, read)

    def predict(self, photos: Any, top: int = 5, *, inputs: Further = None) -> Prediction:
        """As `Explainer.predict`."""
        found: Prediction = self.submit_prediction(photos, top, inputs=inputs).result()
        return found

    def submit_prediction(self, photos: Any, top: int = 5, *, inputs: Further = None) -> Asked:
        """As `predict`, and returns at once; the future's result is a `Prediction`."""
        array = self.prepare(photos)
        given = {"photos": array, "top": top, "inputs": inputs}
        return self._asked("predict", given, len(array), lambda value: value)

    def warmup(self, predict: bool = False) -> None:
        """As `Explainer.warmup`, of every process."""
        raise NotImplementedError

    def stats(self) -> Stats:
        """Of all processes together."""
        raise NotImplementedError

    @property
    def alive(self) -> int:
        """How many processes are ready."""
        raise NotImplementedError

    def close(self) -> None:
        """Ask no more; requests that wait or run fail."""
        raise NotImplementedError

    def _asked(self, what: str, given: dict[str, Any], weight: int, read: Callable[[Any], Any]) -> Asked:
        """Ask a process to do `what` with `given`; `read` makes the future's result of its answer."""
        raise NotImplementedError
