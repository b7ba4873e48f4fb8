"""The seal: no altered file passes it."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from onnx import helper

from fluxpath.errors import ArtifactError
from fluxpath.manifest import KEY, UNSEALED, Manifest, Weights
from fluxpath.seal import seal, unseal

FULL = Manifest(
    input="x",
    shape=(3, None, 8),
    classes=10,
    objective="softmax",
    opset=20,
    source="sha256:0",
    logits="z",
    class_names=('"digest": "0"', *"bcdefghij"),
    precision="float16",
    gradient="float16",
    weights=Weights("model.weights", "0" * 64),
)

RNG = np.random.default_rng(0)


def file(*texts: str) -> bytes:
    """A serialized model with these manifests between its graph and its weights' many bytes."""
    graph = helper.make_graph([], RNG.bytes(350).hex(), [], [])
    model = helper.make_model(graph, producer_name="fluxpath", functions=[])
    for text in texts:
        entry = model.metadata_props.add()
        entry.key, entry.value = KEY, text
    model.metadata_props.add(key="another", value='"digest": "' + "1" * 64 + '"')
    return model.SerializeToString()


DATA = file(FULL.to_json())


def test_a_sealed_file_passes() -> None:
    sealed = seal(DATA)
    unseal(sealed)
    assert len(sealed) == len(DATA)
    assert sealed.replace(hashlib.sha256(DATA).hexdigest().encode(), UNSEALED.encode()) == DATA


def test_sealing_again_changes_nothing() -> None:
    assert seal(seal(DATA)) == seal(DATA)


def test_the_seal_does_not_change_the_manifest() -> None:
    sealed = unseal(seal(DATA))
    assert sealed.manifest == FULL
    assert sealed.sha256 == hashlib.sha256(seal(DATA)).hexdigest()


def test_an_unsealed_file_does_not_pass() -> None:
    with pytest.raises(ArtifactError, match="truncated or was altered after export"):
        unseal(DATA)


def test_every_single_bit_counts() -> None:
    """At every third byte, and at every byte of the digest and of what is around it."""
    sealed = seal(DATA)
    middle = sealed.index(b'"digest"')
    for place in {*range(0, len(sealed), 3), *range(middle - 5, middle + 85)}:
        flipped = bytearray(sealed)
        flipped[place] ^= 1 << int(RNG.integers(8))
        with pytest.raises(ArtifactError):
            unseal(bytes(flipped))


def test_every_truncation_is_noticed() -> None:
    sealed = seal(DATA)
    for length in {*range(0, len(sealed), 7), len(sealed) - 1, len(sealed) - 2}:
        with pytest.raises(ArtifactError):
            unseal(sealed[:length])
        with pytest.raises(ArtifactError):
            unseal(sealed[len(sealed) - length :])


def test_additions_and_exchanges_are_noticed() -> None:
    sealed = seal(DATA)
    swapped = sealed[:100] + sealed[101:102] + sealed[100:101] + sealed[102:]
    other = seal(file(FULL.to_json()))
    digest = sealed.index(b'"digest"') + 11
    borrowed = sealed[:digest] + other[digest : digest + 64] + sealed[digest + 64 :]
    for spoiled in (sealed + b"\0", b"\0" + sealed, sealed + sealed, swapped, borrowed):
        assert spoiled != sealed
        with pytest.raises(ArtifactError):
            unseal(spoiled)


def test_files_without_a_seal_and_with_two() -> None:
    for data in (b"", b"\x08\x0a plain model", file(FULL.to_json().replace("digest", "Digest"))):
        for function in (seal, unseal):
            with pytest.raises(ArtifactError, match="no intact gradient graph of fluxpath"):
                function(data)
    for function in (seal, unseal):
        with pytest.raises(ArtifactError, match="more than one seal"):
            function(file(FULL.to_json(), FULL.to_json()))


def test_a_class_name_cannot_pass_for_a_seal() -> None:
    """Its quotes are escaped, so that the file still has one seal."""
    named = dataclasses.replace(FULL, class_names=(f'"digest": "{UNSEALED}"',) * 10)
    assert unseal(seal(file(named.to_json()))).manifest == named


def test_what_is_no_protobuf_message_is_no_graph() -> None:
    """Wire types that there are not, lengths beyond the file, numbers without an end."""
    for data in (b"\x0f", b"\x72\xff\x01x", b"\x80" * 20, b"\x72\x02\x0a\x05", b"\x09\0", b"\x0d"):
        with pytest.raises(ArtifactError, match="no intact gradient graph"):
            unseal(data)


def test_a_whole_method_is_told_from_a_gradient_graph() -> None:
    whole = dataclasses.replace(FULL, method="neflag", settings={"n": 3})
    data = seal(file(whole.to_json()))
    assert unseal(data, whole_method=None).manifest == unseal(data, whole_method=True).manifest == whole
    with pytest.raises(ArtifactError, match="whole method 'neflag'"):
        unseal(data)
