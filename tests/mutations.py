"""Random damage to gradient graphs; run as a script, it opens sealed damaged files in its own process.

    python mutations.py FILE KIND FIRST LAST

prints one JSON object a mutation: its seed and what became of it. The last line before a crash says which.
KIND is bytes, manifest, graph or forged for an .onnx file, script for a .pt file; and source for a model,
which is damaged and exported.
"""

from __future__ import annotations

import functools
import json
import random
import resource
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


def sealed_graph(data: bytes, seed: int) -> bytes:
    """Nodes, tensors and types altered, under a good seal."""
    import onnx
    from graph_mutations import altered

    proto = onnx.load_model_from_string(data)
    text = json.dumps(fields_of(proto))
    return resealed(altered(proto, random.Random(seed)), text)


def forged(data: bytes, seed: int) -> bytes:
    """The forged graph of this number."""
    import onnx
    from forgeries import FORGERIES

    names = list(FORGERIES)
    proto = onnx.load_model_from_string(data)
    fields = fields_of(proto)
    FORGERIES[names[seed % len(names)]](proto, fields)
    return resealed(proto, json.dumps(fields))


def sealed_script(data: bytes, seed: int) -> bytes:
    """Code, pickles and entries altered, under a good seal."""
    from script_mutations import altered_script

    return altered_script(data, random.Random(seed))


def damaged_source(data: bytes, seed: int) -> bytes:
    """A model with altered bytes, or with altered nodes, tensors and types."""
    import onnx
    from graph_mutations import altered

    rng = random.Random(seed)
    if seed % 3 == 0:
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = rng.choice((_flip, _swap, _insert, _delete))(rng, data)
        return data
    return altered(onnx.load_model_from_string(data), rng).SerializeToString()


KINDS = {
    "bytes": sealed_bytes,
    "manifest": sealed_manifest,
    "graph": sealed_graph,
    "forged": forged,
    "script": sealed_script,
    "source": damaged_source,
}
MEMORY = 2**33
"""What a damaged file may ask for, so that the machine lives and the process is told."""


def exported(data: bytes, folder: Path) -> str:
    """What exporting the model comes to: "ok", or the class of the error; FluxpathErrors alone are right."""
    from fluxpath.export import gradient_from_onnx

    (folder / "model.onnx").write_bytes(data)
    try:
        gradient_from_onnx(folder / "model.onnx", folder / "model.grad.onnx")
        return "ok"
    except FluxpathError as error:
        return type(error).__name__
    except Exception as error:
        return f"not fluxpath's own: {type(error).__name__}: {error}"[:300]


def outcome(data: bytes, folder: Path, suffix: str = ".onnx") -> str:
    """What opening and using the file comes to: "ok", or the class of the error."""
    import numpy as np

    from fluxpath.runtime import Explainer

    file = folder / f"damaged{suffix}"
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
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(int(first), int(last)):
            print(json.dumps({"seed": seed}), flush=True)
            try:
                made = KINDS[kind](data, seed)
            except FluxpathError as error:  # the seal's own place was hit
                result = type(error).__name__
            else:
                run = exported if kind == "source" else functools.partial(outcome, suffix=Path(path).suffix)
                result = run(made, Path(folder))
            print(json.dumps({"seed": seed, "outcome": result}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
