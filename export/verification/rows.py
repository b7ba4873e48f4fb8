"""Whether a graph gives an image the same result twice, and the same alone as among others."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx_ir as ir

from fluxpath import manifest as contract
from fluxpath.companions import fillers_for
from fluxpath.errors import ModelError
from fluxpath.export.verification.double import in_float64
from fluxpath.export.verification.inputs import random_inputs
from fluxpath.export.verification.running import Evaluate, evaluator, runner, running
from fluxpath.manifest import Manifest

Feeds = dict[str, npt.NDArray[Any]]

SAME = 1e-4
"""How far float32's rounding usually moves a row's outputs when others are beside it (relative, in L2)."""

EXACT = 1e-8
"""What float64's rounding can do."""

_AGAIN, _OTHERS = "an image run again, relative", "an image alone and among others, relative"


def check_rows(
    evaluate: Evaluate,
    feeds: Feeds,
    names: Collection[str],
    *,
    mixing: Callable[[Feeds], str] | None = None,
    exact: Callable[[], Evaluate] | None = None,
    bound: float = SAME,
) -> dict[str, float]:
    """ModelError if a row of `feeds` [n >= 4, ...] gets another result when it is run again, or run alone.

    Attributions would then depend on who else asks at the same time. names: the outputs that count. mixing:
    names the operator that mixes. bound: how far a row may move. exact: gives the graph in float64, which
    tells rounding from mixing beyond that. Returns how far what was compared is apart.
    """
    among, again = evaluate(feeds), evaluate(feeds)
    apart = {n: _apart(again[n], among[n]) for n in names}
    repeated = max(apart.values())
    if repeated > bound / 100:
        raise ModelError(
            "the model gives another result when it is run again on the same input: it draws random numbers, "
            "as a dropout does that is left on: export it in evaluation mode"
        )
    alone = evaluate(_only(0, feeds))
    for n in names:
        shape, wanted = np.shape(alone[n]), (1, *np.shape(among[n])[1:])
        if shape != wanted:
            raise ModelError(
                f"one image alone gives '{n}' of shape {list(shape)}, and among others {list(wanted)}: keep "
                "the batch as the first dimension, with squeeze(1) in place of squeeze() for one"
            )
    apart = _moved(evaluate, feeds, names, among)
    suspect = {n for n in names if apart[n] > bound}
    if suspect and exact is not None:
        wide = exact()
        moved = _moved(wide, feeds, suspect, wide(feeds))
        suspect = {n for n in suspect if moved[n] > EXACT}
    if suspect:
        where = "" if mixing is None else mixing(feeds)
        raise ModelError(
            f"the model mixes the images of a batch{where}: an image's result depends on the others, as with "
            "a batch normalisation without running statistics; make each image's independent"
        )
    return {_AGAIN: repeated, _OTHERS: max(apart.values())}


def check_graph(
    written: onnx.ModelProto, manifest: Manifest, output: str | None
) -> tuple[Evaluate, dict[str, float]]:
    """Runs a gradient graph whose results `check_rows` has let pass, and how far they were apart.

    output: the model's own that is explained, if it is not the first. Raises ModelError, or VerificationError
    where the graph cannot be run.
    """
    x = random_inputs(manifest, np.random.default_rng(20240229))
    feeds: dict[str, npt.NDArray[Any]] = {manifest.input: x, **fillers_for(manifest, len(x))}
    # Gradients of different targets do not hide what one row has of another.
    feeds[contract.TARGET] = np.arange(len(x)) % manifest.classes
    figures: dict[str, float] = {}
    with running("the gradient graph"):
        evaluate = evaluator(written)
        if manifest.precision == "float32":
            # Further outputs of the model may be what they like.
            counted = {contract.SCORE, contract.GRADIENT, contract.SCALE, output or manifest.outputs[0]}
            figures = check_rows(
                evaluate,
                feeds,
                counted & {v.name for v in written.graph.output},
                mixing=first_mixing(written),
                exact=lambda: in_float64(ir.from_proto(written)),
            )
    return evaluate, figures


def first_mixing(artifact: onnx.ModelProto) -> Callable[[Feeds], str]:
    """Names the first node whose rows depend on each other, as " in ..."; "" if none is found."""

    def find(feeds: Feeds) -> str:
        model = ir.from_proto(artifact)
        count = _count(feeds)
        values = [v for node in model.graph for v in node.outputs if v.name and v.shape is not None]
        known = {v.name for v in model.graph.outputs}
        model.graph.outputs.extend(v for v in values if v.name not in known and v.dtype is not None)
        names = [str(v.name) for v in values]
        try:
            run = runner(ir.to_proto(model).SerializeToString())
            among, alone = run(names, feeds), [run(names, _only(row, feeds)) for row in range(count)]
        except Exception:  # the node's name is a help, and nothing depends on it
            return ""
        for value, whole, *ones in zip(values, among, *alone, strict=True):
            if any(_mixed(whole, one, row, count) for row, one in enumerate(ones)):
                node = value.producer()
                assert node is not None
                return f" in {node.op_type} '{node.name or value.name}'"
        return ""

    return find


def _moved(evaluate: Evaluate, feeds: Feeds, names: Collection[str], among: Feeds) -> dict[str, float]:
    """How far the rows of each output are from those of an image alone, at most."""
    alone = [evaluate(_only(row, feeds)) for row in range(_count(feeds))]
    return {n: max(_apart(one[n], among[n][row : row + 1]) for row, one in enumerate(alone)) for n in names}


def _count(feeds: Feeds) -> int:
    return len(next(iter(feeds.values())))


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
