"""Random damage to gradient graphs; run as a script, it opens sealed damaged files in its own process.

    python mutations.py FILE KIND FIRST LAST

prints one JSON object a mutation: its seed and what became of it. The last line before a crash says which.
"""

from __future__ import annotations

import json
import random
import sys
import tempfile
from pathlib import Path

from artifacts import fields_of, resealed

from fluxpath.errors import FluxpathError
from fluxpath.seal import seal

DEEP = "deep"
VALUES = [
    *(None, True, False, 0, 1, -1, 2, 7, 1.5, 1e-300, 1e300, float("inf"), float("-inf"), float("nan")),
    *(
        2**31,
        2**63,
        2**64,
        10**400,
        -(10**400),
        "",
        "image",
        "target",
        "gradient",
        "x" * 5000,
        "\ud800",
        "\0",
    ),
    *([], [1], [1, 6, 6], [None], [None, None, None], [1, 6, 10**400], ["a"] * 1000, {}, {"a": 1}, DEEP),
]


def damaged(data: bytes, seed: int) -> bytes:
    """`data` with one to three random changes of its bytes; never `data` itself."""
    rng = random.Random(seed)
    made = data
    while made == data:
        for _ in range(rng.choice((1, 1, 2, 3))):
            made = rng.choice(CHANGES)(rng, made) if made else made
    return made


def _truncate(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _flip(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << rng.randrange(8)]) + data[place + 1 :]


def _swap(rng: random.Random, data: bytes) -> bytes:
    changed = bytearray(data)
    a, b = rng.randrange(len(data)), rng.randrange(len(data))
    changed[a], changed[b] = changed[b], changed[a]
    return bytes(changed)


def _insert(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data) + 1)
    return data[:place] + rng.randbytes(rng.randrange(1, 20)) + data[place:]


def _delete(rng: random.Random, data: bytes) -> bytes:
    place = rng.randrange(len(data))
    return data[:place] + data[place + rng.randrange(1, 20) :]


def _edit_manifest(rng: random.Random, data: bytes) -> bytes:
    """A change within the manifest's text, its digest included."""
    start = data.index(b'{"input"') if b'{"input"' in data else 0
    end = data.find(b"}", start) + 1 or len(data)
    place = rng.randrange(start, end) if end > start else start
    return data[:place] + bytes([rng.choice(b'0123456789abcdef",: nulltrue{}[]')]) + data[place + 1 :]


CHANGES = [_truncate, _flip, _swap, _insert, _delete, _edit_manifest]


def sealed_bytes(data: bytes, seed: int) -> bytes:
    """Random bytes changed (no truncation: that is cheap to refuse), under a good seal."""
    rng = random.Random(seed)
    for _ in range(rng.choice((1, 1, 2, 3))):
        data = rng.choice((_flip, _swap, _insert, _delete))(rng, data)
    return seal(data)


def sealed_manifest(data: bytes, seed: int) -> bytes:
    """One or two fields of the manifest replaced, dropped or added, under a good seal."""
    import onnx

    rng = random.Random(seed)
    proto = onnx.load_model_from_string(data)
    fields = fields_of(proto)
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice([k for k in fields if k != "digest"] + ["unknown"])
        fields[name] = rng.choice(VALUES)
        if rng.random() < 0.05:
            del fields[name]
    text = json.dumps(fields).replace(f'"{DEEP}"', "[" * 100_000)
    return resealed(proto, text)


KINDS = {"bytes": sealed_bytes, "manifest": sealed_manifest}


def outcome(data: bytes, folder: Path) -> str:
    """What opening and using the file comes to: "ok", or the class of the error."""
    import numpy as np

    from fluxpath.runtime import Explainer

    file = folder / "damaged.grad.onnx"
    file.write_bytes(data)
    try:
        with Explainer(file, threads=1, slots=2) as explainer:
            low, high = explainer.manifest.low, explainer.manifest.high
            middle = 0.5 if low is None or high is None else (low + high) / 2
            images = np.full((2, *explainer.shape), middle, np.float32)
            explainer.submit(images, explainer.manifest.classes - 1).result(60)
        return "ok"
    except FluxpathError as error:
        return type(error).__name__
    except Exception as error:
        return f"not fluxpath's own: {type(error).__name__}: {error}"[:300]


def main(path: str, kind: str, first: str, last: str) -> None:
    """Open each mutation of the file in turn."""
    data = Path(path).read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(int(first), int(last)):
            print(json.dumps({"seed": seed}), flush=True)
            try:
                made = KINDS[kind](data, seed)
            except FluxpathError as error:  # the seal's own place was hit
                result = type(error).__name__
            else:
                result = outcome(made, Path(folder))
            print(json.dumps({"seed": seed, "outcome": result}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
