"""What is chosen when a repository is written."""

from __future__ import annotations

from dataclasses import dataclass

from fluxpath.checks import need, number, whole


@dataclass(frozen=True)
class Options:
    """How Triton is to run the models; InputError for what makes no sense.

    max_batch: most images that a whole method takes at a time, and most of a request for a gradient graph.
    delay: milliseconds that Triton waits for more images of a whole method. instances: how often a model is
    opened, for the CPU or for each GPU: a gradient graph in processes. device: "cpu" or "cuda".
    """

    max_batch: int = 16
    delay: float = 1.0
    instances: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        whole("max_batch", self.max_batch, 1, 2**20)
        number("delay", self.delay, 0, 1e6)
        whole("instances", self.instances, 1, 1024)
        need(self.device in ("cpu", "cuda"), f"device is {self.device!r:.40}, it must be 'cpu' or 'cuda'")

    @property
    def group(self) -> list[dict[str, object]]:
        """The field `instance_group` of a configuration."""
        return [{"kind": "KIND_GPU" if self.device == "cuda" else "KIND_CPU", "count": self.instances}]
