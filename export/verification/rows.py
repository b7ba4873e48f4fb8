"""Whether a graph gives an image the same result twice, and the same alone as among others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from fluxpath import manifest as contract
from fluxpath.errors import ModelError
from fluxpath.export.verification.running import Evaluate, runner

Feeds = dict[str, npt.NDArray[Any]]

SAME = 1e-3
"""How far float32's rounding can move a row's outputs when others are beside it (relative, in L2)."""

NEAR = {contract.GRADIENT: 0.05}
"""The same where a rounded activation can cross a kink."""

_ROWS = (2, 3)
"""The rows that are looked at: not the first, which may be alike by its place; two, as one may be largest."""


def check_rows(
    evaluate: Evaluate,
    feeds: Feeds,
    names: Collection[str],
    mixing: Callable[[Feeds], str] | None = None,
    same: float = SAME,
) -> None:
    """ModelError if a row of `feeds` [n >= 4, ...] gets another result when it is run again, or run alone.

    Attributions would then depend on who else asks at the same time. names: the outputs that count. mixing:
    names the operator that mixes. same: what rounding can do, float32's by default.
    """
    among = evaluate(feeds)
    alone = {row: evaluate(_only(row, feeds)) for row in _ROWS}
    again = evaluate(_only(_ROWS[0], feeds))
    if any(_apart(alone[_ROWS[0]][n], again[n]) > same / 100 for n in names):
        raise ModelError(
            "the model gives another result when it is run again on the same input: it draws random numbers, "
            "as a dropout does that is left on: export it in evaluation mode"
        )
    apart = {n: max(_apart(one[n], among[n][row : row + 1]) for row, one in alone.items()) for n in names}
    if any(apart[n] > NEAR.get(n, same) for n in names):
        where = "" if mixing is None else mixing(feeds)
        raise ModelError(
            f"the model mixes the images of a batch{where}: an image's result depends on the others, as with "
            "a batch normalisation without running statistics; make each image's independent"
        )


def first_mixing(artifact: onnx.ModelProto) -> Callable[[Feeds], str]:
    """Names the first node whose rows depend on each other, as " in ..."; "" if none is found."""

    def find(feeds: Feeds) -> str:
        model = ir.from_proto(artifact)
        count = len(next(iter(feeds.values())))
        values = [v for node in model.graph for v in node.outputs if v.name and v.shape is not None]
        known = {v.name for v in model.graph.outputs}
        model.graph.outputs.extend(v for v in values if v.name not in known and v.dtype is not None)
        names = [str(v.name) for v in values]
        try:
            run = runner(ir.to_proto(model).SerializeToString())
            among, alone = run(names, feeds), [run(names, _only(row, feeds)) for row in _ROWS]
        except Exception:  # the node's name is a help, and nothing depends on it
            return ""
        for value, whole, *ones in zip(values, among, *alone, strict=True):
            if any(_mixed(whole, one, row, count) for one, row in zip(ones, _ROWS, strict=True)):
                node = value.producer()
                assert node is not None
                return f" in {node.op_type} '{node.name or value.name}'"
        return ""

    return find


def _only(row: int, feeds: Feeds) -> Feeds:
    return {name: values[row : row + 1] for name, values in feeds.items()}


def _mixed(among: Any, alone: Any, row: int, count: int) -> bool:
    a, b = np.asarray(among), np.asarray(alone)
    batch = a.ndim > 0 and len(a) == count and b.ndim > 0 and len(b) == 1
    return a.dtype.kind == "f" and _apart(b, a[row : row + 1] if batch else a) > SAME


def _apart(given: Any, expected: Any) -> float:
    """The relative L2 distance; 1 where the shapes differ."""
    a, b = np.asarray(given, np.float64), np.asarray(expected, np.float64)
    if a.shape != b.shape:
        return 1.0
    size = float(np.linalg.norm(b))
    apart = float(np.linalg.norm(a - b))
    return apart if size == 0 else apart / size
