"""What a runtime measured of the nodes that it ran: ONNX Runtime's profile, without its noise."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import Any

from fluxpath.errors import FluxpathError

_ENDING = "_kernel_time"
_RUN = "SequentialExecutor::Execute"


@dataclass(frozen=True)
class NodeTime:
    """A node as ONNX Runtime ran it, fused or not.

    name: as the runtime has it. seconds: the median over the evaluations. shape: of its first output. read,
    written, weights: bytes of its inputs that are computed, of its outputs, and of the constants that it
    reads as they are in the file; a matrix that the runtime packed itself is not among them.
    """

    name: str
    op_type: str
    seconds: float
    shape: tuple[int, ...]
    read: int
    written: int
    weights: int


def node_times(text: str) -> list[NodeTime]:
    """The nodes of a profile in the order in which they ran, without the first evaluation, which allocates.

    FluxpathError if it is not the profile of two evaluations or more.
    """
    runs: list[list[dict[str, Any]]] = [[]]
    try:
        for event in json.loads(text):
            if event.get("cat") == "Node" and event["name"].endswith(_ENDING):
                runs[-1].append(event)
            elif event.get("name") == _RUN:
                runs.append([])
        taken = [run for run in runs[1:] if run]
        if not taken:
            raise FluxpathError("the profile has no evaluation after the first: evaluate at least twice")
        return [_node([run[i] for run in taken if i < len(run)]) for i in range(len(taken[0]))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FluxpathError(f"ONNX Runtime's profile cannot be read: {error!r}") from error


def _node(events: list[dict[str, Any]]) -> NodeTime:
    event = events[0]
    given = event["args"]
    shapes = [sizes for output in given["output_type_shape"] for sizes in output.values()]
    return NodeTime(
        name=event["name"].removesuffix(_ENDING),
        op_type=given["op_name"],
        seconds=median(e["dur"] for e in events) / 1e6,
        shape=tuple(shapes[0]) if shapes else (),
        read=int(given["activation_size"]),
        written=int(given["output_size"]),
        weights=int(given["parameter_size"]),
    )
