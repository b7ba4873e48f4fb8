"""A report in words: the table on the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fluxpath.bench.machine import BUSY
from fluxpath.bench.sides import MEANINGS, TORCH
from fluxpath.text import counted, visible

HEADER = (
    "method", "batch", "side", "p50 ms", "p99 ms", "images/s", "time over fluxpath's", "attributions",
)  # fmt: skip

OWN_HEADER = ("method", "batch", "evaluations", "outside graph", "cold start", "of it", "peak memory")

Report = dict[str, Any]


def table_rows(report: Report) -> list[tuple[str, ...]]:
    """A line for each side of each row that has the method; those that were timed come first."""
    return [line for row in report["rows"] for line in _lines(row)]


def _lines(row: Report) -> Iterator[tuple[str, ...]]:
    first = (row["method"], str(row["batch"]))
    for side, found in sorted(row["sides"].items(), key=lambda item: "p50" not in item[1]):
        apart = found.get("agreement", {})
        if "has_no" in found:
            continue
        if "p50" in found:
            cells = (
                f"{1e3 * found['p50']:.2f}",
                f"{1e3 * found['p99']:.2f}",
                f"{found['images_per_second']:.1f}",
            )
            yield *first, side, *cells, _ratio(found), apart.get("words", "")
        else:
            why = f"left out: {found['left_out']}" if "left_out" in found else f"DISAGREES: {apart['words']}"
            yield *first, side, "", "", "", "", why
        first = ("", "")


def _ratio(found: Report) -> str:
    ratio = found.get("ratio")
    if ratio is None:
        return ""
    return f"{ratio['median']:.2f} ({ratio['quartile_1']:.2f}-{ratio['quartile_3']:.2f})"


def own_rows(report: Report) -> list[tuple[str, ...]]:
    """What fluxpath tells of itself: evaluations, its own share of the time, cold starts."""
    rows: list[tuple[str, ...]] = [OWN_HEADER]
    for row in report["rows"]:
        outside, cold = row["outside_graph"], row["cold_start"]
        rows.append(
            (
                row["method"],
                str(row["batch"]),
                f"{row['evaluations_per_image']:.1f} per image",
                "" if outside is None else f"{outside:.1%}",
                "" if cold is None else f"{cold['total']:.2f} s",
                "" if cold is None else _split(cold),
                "" if cold is None or cold["peak_bytes"] is None else f"{cold['peak_bytes'] / 2**20:.0f} MiB",
            )
        )
    return rows


def _split(cold: Report) -> str:
    parts = ("import", "load", "first evaluation", "rest")
    return ", ".join(f"{name} {cold[name]:.2f}" for name in parts)


def notes(report: Report) -> list[str]:
    """What a reader must know beside the table."""
    images, machine = report["images"], report["machine"]
    found = [f"{counted(images['distinct'], 'image')}, {images['source']}."]
    if images["noise"]:
        found.append(
            "Noise has no meaning to a model: the work of a step is as on photos, but where walks end says "
            "nothing of yours. Give photos with --data."
        )
    found += [f"{side} is left out: {reason}." for side, reason in report["left_out"].items()]
    for side, reasons in _nothing(report).items():
        found += [f"{side} has no {', '.join(names)}: {reason}." for reason, names in reasons.items()]
    found += [f"{side} {remark}." for side, remark in _remarks(report)]
    for row in report["rows"]:
        if wrong := _wrong_of(row):
            compute = "computes" if len(wrong) == 1 else "compute"
            found.append(
                f"{row['method']}, batch {row['batch']}: {', '.join(wrong)} {compute} something else."
            )
    if report["model"].get("normalises") and _wrong(report) & set(TORCH):
        found.append(
            "The module of --torch must be the one that was exported, without the normalisation "
            "(--mean, --std) that the file has."
        )
    share = machine["others_share_of_cores"]
    if share is not None:
        found.append(f"Other processes took {share:.1%} of the cores.")
        if share > BUSY and any("ratio" in of for row in report["rows"] for of in row["sides"].values()):
            found.append(
                "Threads that wait for each other suffer most, so these ratios are not worth quoting."
            )
    return found


def _wrong_of(row: Report) -> list[str]:
    """The sides of a row that compute something else."""
    return [side for side, of in row["sides"].items() if not of.get("agreement", {}).get("agrees", True)]


def _wrong(report: Report) -> set[str]:
    return {side for row in report["rows"] for side in _wrong_of(row)}


def _remarks(report: Report) -> list[tuple[str, str]]:
    """What sides say of themselves, once each."""
    told = [(side, of) for row in report["rows"] for side, of in row["sides"].items()]
    return list(dict.fromkeys((side, of["remark"]) for side, of in told if "remark" in of))


def _nothing(report: Report) -> dict[str, dict[str, list[str]]]:
    """The methods that sides do not have, by side and reason."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in report["rows"]:
        for side, of in row["sides"].items():
            if "has_no" in of:
                names = found.setdefault(side, {}).setdefault(of["has_no"], [])
                names += [row["method"]] if row["method"] not in names else []
    return found


def machine_words(report: Report) -> str:
    """The machine in a line."""
    m = report["machine"]
    versions = ", ".join(f"{name} {m[name]}" for name in m["packages"] if m[name] != "not installed")
    device = "" if report["device"] == "cpu" else f", device {report['device']}"
    return (
        f"{m['cpu'] or m['system']}, {m['cores']} cores, {m['threads']} threads{device}; "
        f"Python {m['python']}, {versions}"
    )


def markdown(report: Report) -> str:
    """The report as a page."""
    model = report["model"]
    sides = [side for side in MEANINGS if any(side in row["sides"] for row in report["rows"])]
    lines = [
        "# fluxpath bench",
        "",
        f"{_cell(model['file'])}: input {model['shape']}, {model['classes']} classes, objective "
        f"{_cell(model['objective'])}, {model['precision']}.",
        "",
        f"{_cell(machine_words(report))}; {report['machine']['date']}.",
        "",
        *_grid([HEADER, *table_rows(report)]),
        "",
        "The last two columns: the side's time over fluxpath's, pair by pair, median and quartiles (above 1, "
        "fluxpath is faster); how far its attributions are from fluxpath's, at the median.",
        "",
        *_grid(own_rows(report)),
        "",
        "Cold start: a new process until its first attribution, in seconds, and its parts, medians each, so "
        "that they need not add up; the peak is that process's.",
        "",
        *(f"- {_cell(note)}" for note in notes(report)),
        "",
        *(f"- **{side}**: {MEANINGS[side]}" for side in sides),
        "",
        f"`{_cell(report['command'])}`",
        "",
    ]
    return "\n".join(lines)


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    lines.insert(1, f"|{'---|' * len(rows[0])}")
    return lines


def _cell(text: object) -> str:
    """Text that ends no cell, no code and opens no tag."""
    shown = visible(text).replace("|", "\\|").replace("`", "'")
    return shown.replace("<", "&lt;")


def disagreeing(report: Report) -> bool:
    """Whether any side computes something else."""
    return bool(_wrong(report))
