"""What is chosen when a repository is written."""

from __future__ import annotations

from dataclasses import dataclass

from fluxpath.checks import need, number, whole


@dataclass(frozen=True)
class Options:
    """How Triton is to run the models; InputError for what makes no sense.

    max_batch: most images that a whole method takes at a time (None: 16). delay: milliseconds that Triton
    waits for more of them (None: 1). A gradient graph's engine needs neither. instances: how often a model
    is opened, on the CPU or on each GPU; a gradient graph in processes. device: "cpu" or "cuda".
    """

    max_batch: int | None = None
    delay: float | None = None
    instances: int = 1
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.max_batch is not None:
            whole("max_batch", self.max_batch, 1, 2**20)
        if self.delay is not None:
            number("delay", self.delay, 0, 1e6)
        whole("instances", self.instances, 1, 1024)
        need(self.device in ("cpu", "cuda"), f"device is {self.device!r:.40}, it must be 'cpu' or 'cuda'")

    @property
    def group(self) -> list[dict[str, object]]:
        """The field `instance_group` of a configuration."""
        return [{"kind": "KIND_GPU" if self.device == "cuda" else "KIND_CPU", "count": self.instances}]
