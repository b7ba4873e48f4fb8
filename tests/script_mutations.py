"""Alters a sealed TorchScript file: its code, its pickles, its entries."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from fluxpath import archive
from fluxpath.script_operators import OPERATORS

Entries = dict[str, bytes]

NUMBERS = (
    "-9223372036854775808",
    "-1",
    "0",
    "1",
    "2",
    "7",
    "1000000000",
    "4611686018427387904",
    "None",
    "1.5",
    "True",
)
LINES = (
    'y9 = torch.from_file("/etc/passwd", False, 32)', 'torch.save(x, "/tmp/x")', "y9 = torch.empty([9])",
    "import os", "y9 = ops.aten.from_file(x)", "while True: pass", "y9 = x.storage()", "return x",
)  # fmt: skip


def altered_script(data: bytes, rng: random.Random) -> bytes:
    """The file with one to three changes, under a good seal."""
    entries, manifest = archive.unseal(data)
    entries = {name: content for name, content in entries.items() if "/extra/" not in name}
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice(CHANGES)(entries, rng)
    return archive.seal(entries, manifest)


def _code(entries: Entries, change: Callable[[str], str]) -> None:
    for name in [n for n in entries if n.endswith(".py")]:
        entries[name] = change(entries[name].decode("latin-1")).encode("latin-1")


def _replaced(text: str, pattern: str, made: Callable[[str], str], rng: random.Random) -> str:
    found = list(re.finditer(pattern, text))
    if not found:
        return text
    place = rng.choice(found)
    return text[: place.start()] + made(place.group()) + text[place.end() :]


def _operator(entries: Entries, rng: random.Random) -> None:
    names = sorted(OPERATORS)
    _code(entries, lambda t: _replaced(t, r"(?<=torch\.)\w+", lambda _: rng.choice(names), rng))


def _number(entries: Entries, rng: random.Random) -> None:
    _code(entries, lambda t: _replaced(t, r"(?<=[\[ (])-?\d+(?=[\],)])", lambda _: rng.choice(NUMBERS), rng))


def _value(entries: Entries, rng: random.Random) -> None:
    def change(text: str) -> str:
        names = re.findall(r"(?m)^    (\w+) =", text) or ["x"]
        return _replaced(text, r"(?<=[(\[ ])[a-z_]\w*(?=[,)\]])", lambda _: rng.choice(names), rng)

    _code(entries, change)


def _line(entries: Entries, rng: random.Random) -> None:
    def change(text: str) -> str:
        lines = text.split("\n")
        at = rng.randrange(len(lines))
        lines[at : at + rng.randrange(2)] = rng.choice(
            ([], ["    " + rng.choice(LINES)], [rng.choice(lines)])
        )
        return "\n".join(lines)

    _code(entries, change)


def _byte(entries: Entries, rng: random.Random) -> None:
    name = rng.choice([n for n in entries if entries[n] and "/constants/" not in n])
    data = bytearray(entries[name])
    data[rng.randrange(len(data))] = rng.randrange(256)
    entries[name] = bytes(data)


def _size(entries: Entries, rng: random.Random) -> None:
    name = rng.choice(sorted(entries))
    entries[name] = rng.choice((entries[name][:-1], entries[name] + b"\0", b"", entries[name] * 2))


def _name(entries: Entries, rng: random.Random) -> None:
    name = rng.choice(sorted(entries))
    folder = name.split("/")[0]
    entries[
        rng.choice((f"{folder}/constants/9", f"{folder}/bytecode.pkl", f"{folder}/code/x.py", f"{folder}/x"))
    ] = entries[name]
    if rng.random() < 0.5:
        del entries[name]


CHANGES = (_operator, _operator, _number, _number, _value, _value, _line, _byte, _byte, _size, _name)
