"""What `fluxpath info --cost` and `--profile` print: a file's cost, and what of the ideal is reached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fluxpath.cli._common import need_export, table
from fluxpath.errors import InputError
from fluxpath.manifest import Manifest

if TYPE_CHECKING:
    from fluxpath.export.accounting.rates import Rates
    from fluxpath.export.cost import Cost
    from fluxpath.export.profile import Explained

BATCHES = (1, 8)
Rows = list[Sequence[str]]

SHOWN = 10
"""Nodes of a profile in the table; JSON has all of them."""


def check(manifest: Manifest) -> None:
    """Raise InputError where the file's cost cannot be told, ModelError where onnx is missing."""
    need_export()
    if manifest.opset is None:
        raise InputError(
            "the file is TorchScript, and the cost is told of ONNX files: export the model as .onnx"
        )
    if manifest.method is not None:
        raise InputError(
            "the file holds a whole method, whose loop repeats as the image asks: ask for the cost of the "
            "gradient graph of the same model"
        )
    from fluxpath.runtime.profiling import sized

    sized(manifest)


def cost_of(path: Path, evaluations: int, threads: int | None) -> dict[str, Any]:
    """The section "cost" of the JSON: see docs/performance.md."""
    from fluxpath.export.accounting.rates import measured
    from fluxpath.export.cost import estimate
    from fluxpath.runtime.profiling import timed

    costs = {batch: estimate(path, batch) for batch in BATCHES}
    rates = measured(threads)
    seconds = timed(path, BATCHES, threads)
    rates = rates.better(measured(threads))
    return {
        "machine": {
            "matrix_flops_per_second": rates.flops,
            "copy_bytes_per_second": [{"bytes": n, "rate": rate} for n, rate in rates.copies],
            "threads": threads,
        },
        "evaluations": evaluations,
        "batches": [_batch(costs[b], rates, seconds[b], evaluations) for b in BATCHES],
    }


def _batch(cost: Cost, rates: Rates, seconds: float, evaluations: int) -> dict[str, Any]:
    ideals = {
        part: sum(
            rates.ideal(n.flops or 0, n.bytes) for n in cost.nodes if n.backward == (part == "backward")
        )
        for part in ("forward", "backward")
    }
    ideal = sum(ideals.values())
    return {
        "batch": cost.batch,
        "incomplete": cost.incomplete,
        "operators": [
            {
                "part": part,
                "operator": kind.op_type,
                "nodes": int(kind.name),
                "flops": kind.flops,
                "read": kind.read,
                "written": kind.written,
            }
            for part in ideals
            for kind in cost.by_kind(backward=part == "backward")
        ],
        "flops": cost.flops,
        "bytes": sum(n.bytes for n in cost.nodes),
        "ideal_seconds": ideals,
        "seconds": seconds,
        "share_of_ideal": ideal / seconds,
        "all_evaluations": {
            "flops": evaluations * cost.flops,
            "bytes": evaluations * sum(n.bytes for n in cost.nodes),
            "ideal_seconds": evaluations * ideal,
            "seconds": evaluations * seconds,
        },
    }


def cost_lines(cost: dict[str, Any]) -> Iterator[str]:
    """The same as text: operators at batch 1, the machine, and the share of the ideal at each batch."""
    kinds: Rows = [("part", "operator", "nodes", "MFLOP", "MB read", "MB written")]
    for kind in _large(cost["batches"][0]):
        moved = [f"{kind[name] / 1e6:.2f}" for name in ("flops", "read", "written")]
        kinds.append((kind["part"], kind["operator"], str(kind["nodes"]), *moved))
    yield from ("", "one evaluation, one sample", table(kinds), "")
    machine = cost["machine"]
    copies = ", ".join(
        f"{entry['rate'] / 1e9:.1f} GB/s at {entry['bytes'] / 2**20:.0f} MiB"
        for entry in machine["copy_bytes_per_second"]
    )
    product = machine["matrix_flops_per_second"] / 1e9
    yield f"this machine    {product:.1f} GFLOP/s in a matrix product; copies {copies}"
    times = cost["evaluations"]
    rows: Rows = [
        ("batch", "evaluations", "GFLOP", "GB", "ideal forward", "ideal backward", "takes", "of the ideal")
    ]
    for entry in cost["batches"]:
        every = entry["all_evaluations"]
        ideals = [f"{1e3 * times * s:.2f} ms" for s in entry["ideal_seconds"].values()]
        work = [f"{every['flops'] / 1e9:.2f}", f"{every['bytes'] / 1e9:.2f}"]
        taken = [f"{1e3 * every['seconds']:.2f} ms", f"{entry['share_of_ideal']:.0%}"]
        rows.append((str(entry["batch"]), str(times), *work, *ideals, *taken))
    yield from ("", table(rows))
    if any(entry["incomplete"] for entry in cost["batches"]):
        yield "at least: a shape is unknown, or how much an operator computes"


def _large(batch: dict[str, Any]) -> list[dict[str, Any]]:
    """The kinds of operators that multiply or move a thousandth of all bytes; the others of a part as one."""
    shown: list[dict[str, Any]] = []
    for part in batch["ideal_seconds"]:
        others = {"part": part, "operator": "others", "nodes": 0, "flops": 0, "read": 0, "written": 0}
        for kind in (k for k in batch["operators"] if k["part"] == part):
            if kind["flops"] or 1000 * (kind["read"] + kind["written"]) >= batch["bytes"]:
                shown.append(kind)
                continue
            for figure in ("nodes", "flops", "read", "written"):
                others[figure] += kind[figure]
        shown += [others] if others["nodes"] else []
    return shown


def profile_of(path: Path, batch: int, threads: int | None) -> list[dict[str, Any]]:
    """The section "profile" of the JSON: every node that ran, the costliest first."""
    from fluxpath.export.accounting.rates import measured
    from fluxpath.export.cost import of_model, read
    from fluxpath.export.profile import explained
    from fluxpath.runtime.profiling import profiled

    model, logits = read(path)
    cost = of_model(model, logits, batch)
    rates = measured(threads)
    times = profiled(path, batch, threads)
    found = explained(times, model.graph, cost, rates.better(measured(threads)))
    return [_node(entry, batch) for entry in found]


def _node(entry: Explained, batch: int) -> dict[str, Any]:
    return {
        "node": entry.time.name,
        "operator": entry.time.op_type,
        "batch": batch,
        "part": {None: "runtime", False: "forward", True: "backward"}[entry.backward],
        "written_by": entry.writer,
        "seconds": entry.time.seconds,
        "share": entry.share,
        "shape": list(entry.time.shape),
        "flops": entry.flops,
        "bytes": entry.bytes,
        "bound_by": entry.bound,
    }


def profile_lines(nodes: list[dict[str, Any]]) -> Iterator[str]:
    """The costliest nodes as text, and what all of them add up to by what wrote them."""
    rows: Rows = [("node", "operator", "part", "written by", "ms", "share", "shape", "MFLOP", "MB", "bound")]
    for node in nodes[:SHOWN]:
        shape = "x".join(map(str, node["shape"]))
        figures = [f"{1e3 * node['seconds']:.2f}", f"{node['share']:.1%}", shape]
        work = [f"{node['flops'] / 1e6:.1f}", f"{node['bytes'] / 1e6:.2f}"]
        names = [node[key] for key in ("node", "operator", "part", "written_by")]
        rows.append((*names, *figures, *work, node["bound_by"]))
    yield from (
        "",
        f"the {len(rows) - 1} costliest of {len(nodes)} nodes, {nodes[0]['batch']} samples",
        table(rows),
    )
    sums: dict[tuple[str, str], list[float]] = {}
    for node in nodes:
        entry = sums.setdefault((node["part"], node["written_by"]), [0, 0.0, 0.0])
        for at, added in enumerate((1, node["seconds"], node["share"])):
            entry[at] += added
    dearest = sorted(sums.items(), key=lambda item: -item[1][1])[:SHOWN]
    rows = [("part", "written by", "nodes", "ms", "share")]
    for (part, writer), (count, seconds, share) in dearest:
        rows.append((part, writer, f"{count:.0f}", f"{1e3 * seconds:.2f}", f"{share:.1%}"))
    yield from ("", table(rows))
