"""A report's files: all of them or none, nobody else's replaced, and texts that stay in their cells."""

from __future__ import annotations

import json
import xml.etree.ElementTree as Tree
from pathlib import Path
from typing import Any

import pytest

from fluxpath.bench import report as reports
from fluxpath.bench.words import OWN_HEADER, disagreeing, markdown, notes, own_rows, table_rows
from fluxpath.errors import InputError

RATIO = {"median": 2.0, "quartile_1": 1.5, "quartile_3": 2.5}
TIMES = {"p50": 0.01, "p99": 0.02, "images_per_second": 100.0, "turns": 5, "seconds": [0.01] * 5}
AGREEMENT = {"agrees": True, "words": "1e-06 apart"}


def made(**sides: Any) -> dict[str, Any]:
    machine = dict.fromkeys(reports.PACKAGES, "1.0") | {"cpu": "a CPU", "cores": 2, "threads": 2}
    row = {
        "method": "mfaba-sharp",
        "settings": {},
        "batch": 1,
        "images": 1,
        "evaluations_per_image": 3.0,
        "outside_graph": 0.1,
        "cold_start": None,
        "sides": {"fluxpath": TIMES} | sides,
    }
    return {
        "fluxpath_bench": reports.FORMAT,
        "command": "fluxpath bench `x` | y",
        "device": "cpu",
        "machine": machine
        | {"python": "3", "date": "today", "others_share_of_cores": 0.5, "packages": list(reports.PACKAGES)},
        "model": {
            "file": "a|b<c>.onnx",
            "shape": [3],
            "classes": 2,
            "objective": "softmax",
            "precision": "float32",
        },
        "images": {"distinct": 8, "source": "seeded noise", "noise": True},
        "left_out": {"captum": "captum is not installed"},
        "rows": [row],
    }


FOUND = made(
    best=TIMES | {"ratio": RATIO, "agreement": AGREEMENT},
    captum={"has_no": "Captum has no such thing"},
    compiled={"left_out": "no memory", "agreement": AGREEMENT},
    published={"agreement": {"agrees": False, "words": "1 apart"}},
)


def test_the_files_can_be_read(tmp_path: Path) -> None:
    reports.need_folder(tmp_path)
    written = reports.write(FOUND, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in written)
    assert json.loads((tmp_path / "bench.json").read_text()) == FOUND
    texts = [e.text for e in Tree.parse(tmp_path / "bench.svg").iter("{http://www.w3.org/2000/svg}text")]
    assert "best" in texts and "2.00" in texts and "published" not in texts
    lines = [line for line in (tmp_path / "bench.md").read_text().splitlines() if line.startswith("|")]
    assert len({line.replace("\\|", "").count("|") for line in lines[:6]}) == 1
    reports.need_folder(tmp_path)
    reports.write(FOUND, tmp_path)  # what it wrote it replaces


def test_nothing_is_written_if_one_of_them_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {**FOUND, "rows": [{**FOUND["rows"][0], "outside_graph": float("nan")}]}
    with pytest.raises(ValueError, match="JSON"):
        reports.write(broken, tmp_path)
    write = Path.write_text

    def full(path: Path, text: str, **options: Any) -> int:
        if text.startswith("<svg"):
            raise OSError(28, "no space left")
        return write(path, text, **options)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        reports.write(FOUND, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", reports.NAMES)
def test_what_others_wrote_is_not_replaced(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=f"{name}' would be replaced"):
        reports.need_folder(tmp_path)
    with pytest.raises(InputError, match="which is a file"):
        reports.need_folder(tmp_path / name)


def test_names_of_others_end_no_cell_and_open_no_tag() -> None:
    text = markdown(FOUND)
    assert "a\\|b&lt;c>.onnx" in text and "`fluxpath bench 'x' \\| y`" in text


def test_the_table_says_what_was_not_timed_and_why() -> None:
    lines = {line[2]: line for line in table_rows(FOUND)}
    assert lines["best"][3:7] == ("10.00", "20.00", "100.0", "2.00 (1.50-2.50)")
    assert lines["compiled"][-1] == "left out: no memory"
    assert lines["published"][-1] == "DISAGREES: 1 apart"
    assert "captum" not in lines
    assert [line[0] for line in table_rows(FOUND)] == ["mfaba-sharp", "", "", ""]


def test_what_fluxpath_tells_of_itself() -> None:
    cold = {"total": 0.5, "import": 0.3, "load": 0.1, "first evaluation": 0.05, "rest": 0.04}
    row = FOUND["rows"][0] | {"cold_start": cold | {"peak_bytes": 2**26}}
    head, line = own_rows({**FOUND, "rows": [row]})
    assert head is OWN_HEADER and len(line) == len(head)
    assert line[4:] == ("0.50 s", "import 0.30, load 0.10, first evaluation 0.05, rest 0.04", "64 MiB")


def test_remarks_are_told_once() -> None:
    remark = "runs 1 of 2 batch normalisations, which could not be folded"
    rows = made(best=TIMES | {"ratio": RATIO, "remark": remark})["rows"]
    assert [note for note in notes({**FOUND, "rows": 2 * rows}) if "runs" in note] == [f"best {remark}."]


def test_the_notes_say_what_a_reader_must_know() -> None:
    text = "\n".join(notes(FOUND))
    assert "seeded noise" in text and "Noise has no meaning" in text
    assert "captum is left out: captum is not installed" in text
    assert "captum has no mfaba-sharp" in text and "published computes something else" in text
    assert "50.0% of the cores" in text and "not worth quoting" in text
    assert disagreeing(FOUND) and not disagreeing(made())
    wrong = {"agreement": {"agrees": False, "words": "1 apart"}}
    both = "\n".join(notes({**FOUND, "rows": made(best=wrong, published=wrong)["rows"]}))
    assert "published compute something else" in both
    hint = "must be the one that was exported, without the normalisation"
    normalising = {**FOUND, "model": {**FOUND["model"], "normalises": True}}
    assert hint not in text and "\n".join(notes(normalising)).count(hint) == 1
    assert hint not in "\n".join(notes({**normalising, "rows": made(openvino=wrong)["rows"]}))
    alone = "\n".join(notes({**FOUND, "rows": made(best={"left_out": "no memory"})["rows"]}))
    assert "50.0% of the cores" in alone and "ratios" not in alone
