"""The manifest: what goes in comes out, and what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from fluxpath.errors import ArtifactError
from fluxpath.manifest import FORMAT, LONGEST, Companion, Manifest, Weights
from fluxpath.preprocessing import Preprocessing

PLAIN = Manifest(
    input="x", shape=(3, None, 8), classes=10, objective="softmax", opset=20, source="sha256:0", logits="z"
)
FULL = dataclasses.replace(
    PLAIN,
    low=-1.5,
    high=2,
    mean=(0.25, 0.5, 1e-3),
    std=(1.0, 2.0, 3.0),
    preprocessing=Preprocessing(256, (224, 8), "bicubic"),
    class_names=("ant", 'b"ee', "cät", "", '"digest": "0"', "\u2028\U0001f41d", "7", "8", "9", "10"),
    precision="float16",
    gradient="float16",
    factored=False,
    error=3.25e-7,
    companions=(Companion("mask", "bool", (None, 4)), Companion("age", "float32", ())),
    outputs=("y", "score", "label", "gradient", "scale"),
    weights=Weights("model.weights", "0" * 64),
    producer="somebody",
)
METHOD = dataclasses.replace(FULL, method="mfaba", settings={"max_steps": 50, "ascent": "sharp", "eta": None})


def altered(manifest: Manifest = FULL, **fields: Any) -> str:
    return json.dumps({**json.loads(manifest.to_json()), **fields})


# ---- round trip


@pytest.mark.parametrize("manifest", [PLAIN, FULL, METHOD], ids=["plain", "full", "method"])
def test_round_trip(manifest: Manifest) -> None:
    text = manifest.to_json()
    assert text.isascii()
    found = Manifest.from_json(text, whole_method=None)
    assert found == manifest
    assert found.to_json() == text
    assert type(found.shape) is type(found.companions) is type(found.outputs) is tuple


def test_a_file_of_the_other_kind() -> None:
    assert Manifest.from_json(FULL.to_json(), whole_method=False) == FULL
    assert Manifest.from_json(METHOD.to_json(), whole_method=True) == METHOD
    with pytest.raises(ArtifactError, match="not a gradient graph but the whole method 'mfaba'"):
        Manifest.from_json(METHOD.to_json())
    with pytest.raises(ArtifactError, match="a gradient graph, not a whole method"):
        Manifest.from_json(FULL.to_json(), whole_method=True)
    for half in (altered(METHOD, settings=None), altered(METHOD, method=None)):
        with pytest.raises(ArtifactError, match="a method without settings, or settings without a method"):
            Manifest.from_json(half, whole_method=None)


# ---- fields

INF, NAN = float("inf"), float("nan")
NO_TEXT = [None, "", 3, True, ["x"], {}]
NO_COUNT = [0, -1, 2.0, "3", True, [3]]
NO_NUMBER = ["0", True, [0.5], {}, INF, -INF, NAN]
NO_NUMBERS = [0.5, "0.5", [None], ["0.5"], [True], [NAN], {}]
WRONG: dict[str, list[Any]] = {
    "input": NO_TEXT,
    "shape": [None, 3, "3", [0], [-1], [3.0], ["h"], [True], {}],
    "classes": [None, *NO_COUNT],
    "objective": NO_TEXT,
    "opset": NO_COUNT,
    "source": NO_TEXT,
    "logits": NO_TEXT,
    "low": NO_NUMBER,
    "high": NO_NUMBER,
    "mean": NO_NUMBERS,
    "std": NO_NUMBERS,
    "preprocessing": [
        0,
        "bicubic",
        [],
        {"resize": 0},
        {"resize": 2.5},
        {"resize": True},
        {"resize": 2**14 + 1},
        {"resize": 10**400},
        {"crop": 0},
        {"crop": [8]},
        {"crop": [8, -8]},
        {"crop": [8, 8, 8]},
        {"crop": [[8], 8]},
        {"crop": "88"},
        {"crop": {}},
        {"resize": 7, "crop": 8},
        {"interpolation": "cubic"},
        {"interpolation": None},
        {"interpolation": ["bicubic"]},
        {"pad": 1},
        {"pad": None},
        {"pad": True, "crop": 8},
        {"pad": True, "resize": 8},
        {"more": 1},
    ],
    "class_names": ["ant", [1], [None], {}, 3],
    "precision": NO_TEXT,
    "gradient": [None, "", "float64", 1, ["float32"]],
    "rules": [None, "", "lrp", 1],
    "baseline": ["", 1, []],
    "factored": [None, 0, 1, "true", []],
    "error": NO_NUMBER,
    "verified": [3, "rows", [], {"rows": None}, {"rows": "0"}, {"rows": NAN}],
    "companions": [
        None,
        {},
        ["mask"],
        [{}],
        [{"name": "m", "dtype": "bool"}],
        [{"name": "", "dtype": "bool", "shape": []}],
        [{"name": "m", "dtype": "complex64", "shape": []}],
        [{"name": "m", "dtype": ["bool"], "shape": []}],
        [{"name": "m", "dtype": "bool", "shape": [0]}],
        [{"name": "m", "dtype": "bool", "shape": [], "more": 1}],
    ],
    "outputs": [None, "y", [1], [None], {}],
    "method": ["", 3, True, []],
    "settings": [3, "steps", [], {"a": []}, {"a": {}}],
    "weights": [
        3,
        "w.bin",
        [],
        {"file": "w.bin"},
        {"file": "", "sha256": "0"},
        {"file": 3, "sha256": "0"},
        {"file": "../w.bin", "sha256": "0"},
        {"file": "a\\b", "sha256": "0"},
        {"file": "w.bin", "sha256": 0},
        {"file": "w.bin", "sha256": "0", "more": 1},
    ],
    "format": [True, 1.0],
    "producer": NO_TEXT,
}


def test_every_field_has_its_wrong_values() -> None:
    assert set(WRONG) == {f.name for f in dataclasses.fields(Manifest)}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_field_is_named(name: str) -> None:
    for value in WRONG[name]:
        with pytest.raises(ArtifactError, match=f"the manifest's field '{name}' is .*, it must be .") as e:
            Manifest.from_json(altered(METHOD, **{name: value}), whole_method=None)
        assert "\n" not in str(e.value)


def test_files_from_before_preprocessing_load() -> None:
    """And files without it have no such field, so that earlier releases read them."""
    fields = json.loads(PLAIN.to_json())
    assert "preprocessing" not in fields
    assert Manifest.from_json(json.dumps(fields)).preprocessing is None
    assert Manifest.from_json(json.dumps({**fields, "preprocessing": None})) == PLAIN


@pytest.mark.parametrize("name", sorted(set(WRONG) - {"format", "preprocessing"}))
def test_a_missing_field_is_named(name: str) -> None:
    fields = json.loads(FULL.to_json())
    del fields[name]
    with pytest.raises(ArtifactError, match=f"the manifest's field '{name}' is None|'{name}'"):
        Manifest.from_json(json.dumps(fields))


@pytest.mark.parametrize(
    "fields",
    [
        {"low": 1, "high": 0},
        {"low": 0.5, "high": 0.5},
        {"classes": 9},
        {"class_names": ["a"]},
        {"mean": None},
        {"companions": [{"name": FULL.input, "dtype": "bool", "shape": []}]},
        {"companions": [{"name": "target", "dtype": "bool", "shape": []}]},
        {"companions": [{"name": "m", "dtype": "bool", "shape": [2**20, 2**20]}]},
        {"input": "target"},
        {"shape": [2**16, 2**16]},
        {"outputs": ["y", "y"]},
        {"preprocessing": {"crop": [224, 9]}},
        {"shape": [3, 224, 300]},
        {"shape": [4, None, 8]},
        {"shape": [8]},
    ],
)
def test_a_manifest_that_contradicts_itself(fields: dict[str, Any]) -> None:
    with pytest.raises(ArtifactError, match=r"the manifest's .* do not fit"):
        Manifest.from_json(altered(**fields))


def test_a_manifest_that_asks_for_too_much() -> None:
    with pytest.raises(ArtifactError, match="characters, and the most is"):
        Manifest.from_json(altered(source="s" * LONGEST))
    with pytest.raises(ArtifactError, match="characters, and the most is"):
        dataclasses.replace(FULL, source="s" * LONGEST).to_json()
    with pytest.raises(ArtifactError, match="field 'classes'"):
        Manifest.from_json(altered(classes=10**7 + 1, class_names=None))


def test_an_unknown_field_is_named() -> None:
    with pytest.raises(ArtifactError, match="the unknown field 'colour'"):
        Manifest.from_json(altered(colour="red"))


@pytest.mark.parametrize("version", [None, 0, FORMAT + 1, "1", [], -1])
def test_another_format_version(version: object) -> None:
    """Said first: the fields of another version are another matter."""
    with pytest.raises(ArtifactError, match=f"gradient-graph format .*, this release reads {FORMAT}"):
        Manifest.from_json(json.dumps({"format": version}))


@pytest.mark.parametrize("text", ["", "{", "nonsense", "{'a': 1}", "\x00", "[" * 100000, '{"a":' * 100000])
def test_what_is_not_json(text: str) -> None:
    with pytest.raises(ArtifactError, match="the manifest is not JSON"):
        Manifest.from_json(text)


@pytest.mark.parametrize("text", ["[]", "3", "null", '"x"', "true"])
def test_what_is_no_object(text: str) -> None:
    with pytest.raises(ArtifactError, match="the manifest is not a JSON object"):
        Manifest.from_json(text)
