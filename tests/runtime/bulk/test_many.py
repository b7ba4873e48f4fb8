"""Many images in constant memory: the window, the order, failures alone; with the model in numpy."""

from __future__ import annotations

import io
import threading
import weakref
from pathlib import Path

import numpy as np
import pytest
from sessions import CLASSES, FEATURES, LinearSession, some_images

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, DeepLIFT, Explainer, NeFLAG
from fluxpath.runtime.bulk.many import WINDOW

SHORT = MFABA("sharp", step_size=0.05, max_steps=3)
SLOTS = 4


class Memory:
    """A sink that keeps everything, or nothing, and may break."""

    def __init__(self, done=(), breaks_at: int | None = None, keep: bool = True) -> None:
        self.before, self.breaks_at, self.keep = set(done), breaks_at, keep
        self.names: list[str] = []
        self.results: list = []
        self.images: list = []
        self.ends: list[str] = []

    def done(self, name):
        return name in self.before

    def write(self, name, image, result):
        if len(self.names) == self.breaks_at:
            raise OSError("the disk is full")
        self.names.append(name)
        if self.keep:
            self.results.append(result)
            self.images.append(image)

    def close(self):
        self.ends.append("closed")

    def abandon(self):
        self.ends.append("abandoned")


@pytest.fixture
def explainer():
    with Explainer.from_session(LinearSession(), slots=SLOTS) as opened:
        yield opened


@pytest.mark.parametrize("method", [SHORT, NeFLAG(n=3, max_steps=2)], ids=["mfaba", "neflag"])
def test_each_result_is_that_of_attribute_and_in_order(explainer, method):
    images, sink = some_images(50), Memory()
    summary = explainer.attribute_many(images, sink, method=method)
    assert (summary.written, summary.skipped, summary.failures) == (50, 0, {})
    assert sink.names == [f"{i:06d}" for i in range(50)]
    assert sink.ends == ["closed"]
    expected = explainer.attribute(images, method=method)
    np.testing.assert_array_equal(np.concatenate([r.values for r in sink.results]), expected.values)
    np.testing.assert_array_equal(np.concatenate([r.steps for r in sink.results]), expected.steps)
    np.testing.assert_array_equal(sink.images, images)


def test_names_and_targets_of_items(explainer):
    images, sink = some_images(4), Memory()
    items = [("x", images[0], 2), ("y", images[1]), images[2], ("z", images[3].astype(np.float64), None)]
    explainer.attribute_many(iter(items), sink, target=1, method=SHORT)
    assert sink.names == ["x", "y", "000002", "z"]
    assert [int(r.target[0]) for r in sink.results] == [2, 1, 1, 1]


def test_ten_thousand_from_a_generator_in_a_bounded_window(explainer):
    """No more source arrays live at a time than fit the window, and no more requests are out."""
    alive = peak = out = most_out = 0

    def gone():
        nonlocal alive
        alive -= 1

    def source():
        nonlocal alive, peak
        rng = np.random.default_rng(0)
        for _ in range(10_000):
            array = rng.random(FEATURES, dtype=np.float32)
            alive += 1
            peak = max(peak, alive)
            weakref.finalize(array, gone)
            yield array

    class Counting(Memory):
        def write(self, name, image, result):
            nonlocal out
            out -= 1
            super().write(name, image, result)

    submit = explainer.submit

    def counted(*arguments, **named):
        nonlocal out, most_out
        out += 1
        most_out = max(most_out, out)
        return submit(*arguments, **named)

    explainer.submit = counted
    sink = Counting(keep=False)
    summary = explainer.attribute_many(source(), sink, method=SHORT)
    assert summary.written == 10_000
    assert sink.names == sorted(sink.names)
    assert most_out <= WINDOW * SLOTS
    assert peak <= WINDOW * SLOTS + 3  # the generator's own and the loop's


def test_the_engine_is_kept_busy():
    """A window of one image would leave all slots but one empty."""
    session = LinearSession()
    with Explainer.from_session(session, slots=SLOTS) as explainer:
        explainer.attribute_many(some_images(200), Memory(), method=SHORT)
    assert np.median(session.counts) >= SLOTS - 1


def test_a_damaged_item_fails_alone(explainer, tmp_path):
    images, sink = some_images(8), Memory()
    nan = images[0].copy()
    nan[3] = np.nan
    items = [
        images[0],
        ("nan", nan),
        ("wide", np.zeros(FEATURES + 1, np.float32)),
        ("two", images[:2]),
        ("bytes", np.zeros(FEATURES, np.uint8)),
        ("class", images[1], CLASSES),
        ("bright", images[1].astype(np.float64) + 1e39),
        ("ragged", [[1.0], [1.0, 2.0]]),
        ("photo", tmp_path / "none.png"),
        (1, 2, 3, 4),
        ("again", images[2]),
        ("again", images[3]),
        images[4],
    ]
    summary = explainer.attribute_many(items, sink, method=SHORT)
    assert sink.names == ["000000", "again", "000012"]
    said = summary.failures
    assert list(said) == [
        "nan", "wide", "two", "bytes", "class", "bright", "ragged", "photo", "000009", "again"
    ]  # fmt: skip
    assert "NaN" in said["nan"]
    assert f"shape [{FEATURES + 1}], and must have [{FEATURES}]" in said["wide"]
    assert "not a class of the model" in said["class"]
    assert "divide bytes by 255" in said["bytes"]
    assert "one array" in said["ragged"]
    assert "(name, image, target)" in said["000009"]
    assert "distinct" in said["again"]
    assert str(summary) == "3 written, 10 failed"


def test_what_is_done_is_skipped(explainer):
    sink = Memory(done=["000001", "000002"])
    summary = explainer.attribute_many(some_images(5), sink, method=SHORT)
    assert sink.names == ["000000", "000003", "000004"]
    assert (summary.written, summary.skipped) == (3, 2)
    assert "2 skipped" in str(summary)


def test_an_error_of_sink_source_or_model_ends_the_run(explainer):
    sink = Memory(breaks_at=3)
    with pytest.raises(OSError, match="disk is full"):
        explainer.attribute_many(some_images(20), sink, method=SHORT)
    assert (len(sink.names), sink.ends) == (3, ["abandoned"])

    def source():
        yield some_images(1)[0]
        raise RuntimeError("the source broke")

    sink = Memory()
    with pytest.raises(RuntimeError, match="the source broke"):
        explainer.attribute_many(source(), sink, method=SHORT)
    assert sink.ends == ["abandoned"]

    session = LinearSession()

    def broken():
        raise RuntimeError("the model broke")

    session.before_run = broken
    sink = Memory()
    with (
        Explainer.from_session(session) as other,
        pytest.raises(RuntimeError, match="the model broke"),
    ):
        other.attribute_many(some_images(3), sink, method=SHORT)
    assert sink.ends == ["abandoned"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"target": CLASSES}, "not a class of the model"),
        ({"method": "mfaba"}, "there is no method 'mfaba'"),
        ({"method": DeepLIFT()}, "exported with rules 'deeplift'"),
        ({"source": 3}, "a folder of images or an iterable"),
        ({"source": "none"}, "photos need"),
        ({"sink": "x.csv"}, "'x.csv/' for a folder"),
        ({"sink": "none/x.npz"}, "there is no folder"),
        ({"sink": "folder"}, "pictures need"),
    ],
)
def test_what_is_wrong_for_all_is_an_error(explainer, tmp_path, monkeypatch, change, sentence):
    monkeypatch.chdir(tmp_path)
    settings = {"source": some_images(2), "sink": "out.npz", "method": SHORT, "target": None, **change}
    source, sink = settings.pop("source"), settings.pop("sink")
    with pytest.raises(InputError, match=sentence.replace("(", r"\(")):
        explainer.attribute_many(source, sink, **settings)
    assert list(Path().iterdir()) == []


class Terminal(io.StringIO):
    def isatty(self):
        return True


def slowly(images, now):
    """The images, by a clock that says two seconds more at each."""
    for image in images:
        now[0] += 2
        yield image


@pytest.mark.parametrize(
    ("stream", "slow", "progress", "shown"),
    [
        (Terminal, True, True, True),
        (Terminal, False, True, False),
        (Terminal, True, False, False),
        (io.StringIO, True, True, False),
    ],
)
def test_a_bar_is_for_a_run_of_seconds_on_a_terminal(explainer, monkeypatch, stream, slow, progress, shown):
    out, now = stream(), [1000.0]
    monkeypatch.setattr("sys.stderr", out)
    monkeypatch.setattr("tqdm.std.time", lambda: now[0])
    images = slowly(some_images(5), now) if slow else some_images(5)
    explainer.attribute_many(images, Memory(), method=SHORT, progress=progress)
    assert ("image" in out.getvalue()) == shown


@pytest.mark.parametrize("most", [1, 2, 3, 2 * SLOTS])
def test_any_limit_of_images_that_wait_is_enough(most):
    images, sink = some_images(30), Memory()
    with Explainer.from_session(LinearSession(), slots=SLOTS, max_pending=most) as limited:
        assert limited.attribute_many(images, sink, method=SHORT).written == 30
    assert sink.names == [f"{i:06d}" for i in range(30)]


def test_a_run_waits_while_other_callers_take_all_the_room():
    session, gate = LinearSession(), threading.Event()
    session.before_run = lambda: gate.wait(20)
    with Explainer.from_session(session, slots=SLOTS, max_pending=2) as limited:
        other, sink = limited.submit(some_images(2), method=SHORT), Memory()

        def images():
            threading.Timer(0.05, gate.set).start()
            yield from some_images(5)

        assert limited.attribute_many(images(), sink, method=SHORT).written == 5
        assert len(other.result(20)) == 2


def test_a_run_lets_go_of_what_was_written():
    """A result holds its image; the run and the engine hold a few results, however many there are."""
    subjects, alive = [], []

    class Weak(Memory):
        def write(self, name, image, result):
            subjects.append(weakref.ref(result.subject))
            alive.append(sum(subject() is not None for subject in subjects))

    with Explainer.from_session(LinearSession(), slots=SLOTS) as explainer:
        assert explainer.attribute_many(some_images(600), Weak(), method=SHORT).written == 600
    assert max(alive) < 200


@pytest.mark.parametrize("sink", [None, 5, 1.5, [], object(), dict], ids=lambda sink: type(sink).__name__)
def test_a_sink_is_a_path_or_has_its_methods(sink):
    with (
        Explainer.from_session(LinearSession()) as explainer,
        pytest.raises(InputError, match=r"sink is .*, it must be the path"),
    ):
        explainer.attribute_many(some_images(2), sink)
