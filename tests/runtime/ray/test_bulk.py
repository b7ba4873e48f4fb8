"""A bulk run on a cluster: every image once, bit for bit as by one process, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
from importlib.util import find_spec

import clusters
import numpy as np
import pandas as pd
import pytest
from clusters import ALONE, METHOD, OPTIONS

from fluxpath.cli import main
from fluxpath.errors import InputError
from fluxpath.runtime.ray import explain
from fluxpath.runtime.records.rowlog import MANIFEST

# Ray warns of its own settings, and of sockets that it leaves open.
pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.skipif(find_spec("ray") is None, reason='Ray is not installed: pip install "fluxpath[ray]"'),
]


def parts_in(out):
    """The parts that the manifest lists."""
    path = out / MANIFEST
    lines = path.read_bytes().splitlines()[1:] if path.exists() else []
    return [json.loads(line) for line in lines]


def wait_for(parts, out, seconds=60):
    end = time.monotonic() + seconds
    while len(parts_in(out)) < parts:
        assert time.monotonic() < end
        time.sleep(0.01)


def check_equal(out, single):
    """All rows are there once, and nothing else is in the folder."""
    found = pd.read_parquet(out).sort_values("name", ignore_index=True)
    expected = pd.read_parquet(single).sort_values("name", ignore_index=True)
    pd.testing.assert_frame_equal(
        found.drop(columns=["values", "shape"]), expected.drop(columns=["values", "shape"])
    )
    assert np.stack(found["values"]).tobytes() == np.stack(expected["values"]).tobytes()
    listed = {part["name"] for part in parts_in(out)}
    assert {path.name for path in out.iterdir()} == {*listed, MANIFEST}
    assert sum(part["images"] for part in parts_in(out)) == len(expected)


def test_a_process_is_killed(cluster, photos, single, graph, tmp_path):
    address, process = cluster
    out, summaries = tmp_path / "out", []

    def run():
        summaries.append(
            explain(
                photos, graph("smooth"), out, address=address, method=METHOD, part=10, progress=False, **ALONE
            )
        )

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(3, out)
    workers = clusters.called(process, "ray::MapWorker")
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    thread.join(120)
    assert [str(summary) for summary in summaries] == ["300 written"]
    check_equal(out, single)


DRIVER = """
import sys
from fluxpath.runtime import NeFLAG
from fluxpath.runtime.ray import explain
explain(*sys.argv[2:], address=sys.argv[1], method=NeFLAG(n=5, seed=5), part=10, slots=1)
"""


def test_the_driver_is_killed(cluster, photos, single, graph, tmp_path, capsys):
    out, address = tmp_path / "out", cluster[0]
    command = [sys.executable, "-c", DRIVER, address, photos, graph("smooth"), out]
    driver = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    wait_for(5, out)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    before = len(parts_in(out))
    assert before < 30
    line = ["explain", str(graph("smooth")), str(photos), "--out", str(out), "--ray", address, *OPTIONS]
    assert main(line) == 1
    assert "continue it with --resume" in capsys.readouterr().err
    assert main([*line, "--resume", "--target", "1"]) == 1
    assert "without a target, and this run has 1" in capsys.readouterr().err
    settings = {"address": address, "method": METHOD, "part": 10, "progress": False, **ALONE}
    summary = explain(photos, graph("smooth"), out, **settings)
    assert (summary.written, summary.skipped) == (300 - 10 * before, 10 * before)
    check_equal(out, single)
    assert main([*line, "--resume"]) == 0
    assert "0 written, 300 skipped" in capsys.readouterr().out


def test_a_dataset_and_a_damaged_image_that_is_mended(cluster, photos, single, graph, tmp_path):
    import ray.data

    files = sorted(photos.rglob("*.png"))[:40]
    rows = [{"name": f.relative_to(photos).as_posix(), "image": f.read_bytes()} for f in files]
    given = [*rows[:7], {**rows[7], "image": b"no photo"}, *rows[8:]]
    ray.init(cluster[0], log_to_driver=False)
    try:
        out = tmp_path / "out"
        settings = {"method": METHOD, "part": 16, "progress": False, **ALONE}
        found = explain(ray.data.from_items(given), graph("smooth"), out, **settings)
        assert found.written == 39 and list(found.failures) == [rows[7]["name"]]
        # In another order, and in other parts.
        found = explain(ray.data.from_items(rows[::-1]), graph("smooth"), out, **{**settings, "part": 5})
        assert (found.written, found.skipped, found.failures) == (1, 39, {})
    finally:
        ray.shutdown()
    table = pd.read_parquet(out)
    expected = pd.read_parquet(single).set_index("name").loc[table["name"]]
    assert len(table) == 40 and table["name"].is_unique
    assert np.stack(table["values"]).tobytes() == np.stack(expected["values"]).tobytes()


def test_shards(cluster, photos, single, graph, tmp_path):
    """As by one process, which reads them too."""
    files = sorted(photos.rglob("*.png"))
    (tmp_path / "shards").mkdir()
    for k in range(2):
        with tarfile.open(tmp_path / "shards" / f"{k}.tar", "w") as archive:
            for file in files[k * 30 : k * 30 + 30]:
                archive.add(file, file.name)
    table = pd.DataFrame({"image": [f.read_bytes() for f in files[60:90]]})
    table.to_parquet(tmp_path / "shards" / "2.parquet", row_group_size=7)
    out = tmp_path / "out"
    settings = {"address": cluster[0], "method": METHOD, "progress": False, **ALONE}
    found = explain(tmp_path / "shards", graph("smooth"), out, part=8, **settings)
    assert str(found) == "90 written"
    values = pd.read_parquet(out).sort_values("name")["values"]
    expected = pd.read_parquet(single).sort_values("name")["values"][:90]
    assert np.stack(values).tobytes() == np.stack(expected).tobytes()
    assert str(explain(tmp_path / "shards", graph("smooth"), out, part=8, **settings)) == (
        "0 written, 90 skipped as already written"
    )
    with pytest.raises(InputError, match="was written with part 8"):
        explain(tmp_path / "shards", graph("smooth"), out, part=9, **settings)
    with tarfile.open(tmp_path / "empty.tar", "w"):
        pass
    with pytest.raises(InputError, match=r"there are no images in '.*empty\.tar'"):
        explain(tmp_path / "empty.tar", graph("smooth"), tmp_path / "none", **settings)
    assert not (tmp_path / "none").exists()


def test_an_out_that_holds_something_else(cluster, photos, graph, tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"holds something else \('notes.txt'\)"):
        explain(photos, graph("smooth"), tmp_path, address=cluster[0])
    with pytest.raises(InputError, match="is a file"):
        explain(photos, graph("smooth"), tmp_path / "notes.txt", address=cluster[0])
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
