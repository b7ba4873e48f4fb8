"""The seal: no altered file passes it."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest

from fluxpath.errors import ArtifactError
from fluxpath.manifest import UNSEALED, Manifest, Weights
from fluxpath.seal import check_seal, precision_of, seal, weights_of

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
DATA = RNG.bytes(700) + FULL.to_json().encode() + RNG.bytes(700)
"""A file in miniature: the manifest between other bytes."""


def test_a_sealed_file_passes() -> None:
    sealed = seal(DATA)
    check_seal(sealed)
    assert len(sealed) == len(DATA)
    assert sealed.replace(hashlib.sha256(DATA).hexdigest().encode(), UNSEALED.encode()) == DATA


def test_sealing_again_changes_nothing() -> None:
    assert seal(seal(DATA)) == seal(DATA)


def test_the_seal_does_not_change_the_manifest() -> None:
    sealed = seal(FULL.to_json().encode())
    assert sealed != FULL.to_json().encode()
    assert Manifest.from_json(sealed.decode()) == FULL


def test_an_unsealed_file_does_not_pass() -> None:
    with pytest.raises(ArtifactError, match="truncated or was altered after export"):
        check_seal(DATA)


def test_every_single_bit_counts() -> None:
    """At every third byte, and at every byte of the digest and of what is around it."""
    sealed = seal(DATA)
    middle = sealed.index(b'"digest"')
    for place in {*range(0, len(sealed), 3), *range(middle - 5, middle + 85)}:
        flipped = bytearray(sealed)
        flipped[place] ^= 1 << int(RNG.integers(8))
        with pytest.raises(ArtifactError):
            check_seal(bytes(flipped))


def test_every_truncation_is_noticed() -> None:
    sealed = seal(DATA)
    for length in {*range(0, len(sealed), 7), len(sealed) - 1, len(sealed) - 2}:
        with pytest.raises(ArtifactError):
            check_seal(sealed[:length])
        with pytest.raises(ArtifactError):
            check_seal(sealed[len(sealed) - length :])


def test_additions_and_exchanges_are_noticed() -> None:
    sealed = seal(DATA)
    swapped = sealed[:100] + sealed[101:102] + sealed[100:101] + sealed[102:]
    other = seal(DATA + b"!")
    digest = sealed.index(b'"digest"') + 11
    borrowed = sealed[:digest] + other[digest : digest + 64] + sealed[digest + 64 :]
    for spoiled in (sealed + b"\0", b"\0" + sealed, sealed + sealed, swapped, borrowed):
        assert spoiled != sealed
        with pytest.raises(ArtifactError):
            check_seal(spoiled)


def test_files_without_a_seal_and_with_two() -> None:
    for data in (b"", b"\x08\x0a plain model", FULL.to_json().replace("digest", "Digest").encode()):
        for function in (seal, check_seal):
            with pytest.raises(ArtifactError, match="no intact gradient graph of fluxpath"):
                function(data)
    for function in (seal, check_seal):
        with pytest.raises(ArtifactError, match="more than one seal"):
            function(DATA + FULL.to_json().encode())


def test_a_class_name_cannot_pass_for_a_seal() -> None:
    """Its quotes are escaped, so that the file still has one seal."""
    named = dataclasses.replace(FULL, class_names=(f'"digest": "{UNSEALED}"',) * 10)
    sealed = seal(named.to_json().encode())
    check_seal(sealed)
    assert Manifest.from_json(sealed.decode()) == named


def test_what_is_known_before_a_file_is_opened() -> None:
    assert weights_of(seal(DATA)) == FULL.weights
    assert precision_of(seal(DATA)) == "float16"
    plain = dataclasses.replace(FULL, weights=None, precision="float32", gradient="float32")
    sealed = seal(plain.to_json().encode())
    assert weights_of(sealed) is None
    assert precision_of(sealed) == "float32"
