"""Forms and texts."""

from __future__ import annotations

import pytest

from fluxpath.errors import InputError
from fluxpath.runtime.serve.http.uploads import MOST_FIELDS, uploaded, value
from fluxpath.runtime.serve.protocol.errors import UnsupportedError

KIND = "multipart/form-data; boundary=xyz"


def part(name, data, more=""):
    return f'--xyz\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + data + b"\r\n"


def test_a_form():
    data = part("image", b"\xff\r\n--xy\0", '; filename="a.png"') + part("n", b"3") + b"--xyz--\r\n"
    assert uploaded(KIND, data) == (b"\xff\r\n--xy\0", {"n": "3"})


def test_a_body_that_is_the_photo():
    assert uploaded("image/png", b"abc") == (b"abc", {})
    assert uploaded("", b"abc") == (b"abc", {})


@pytest.mark.parametrize(
    "data",
    [
        b"", b"--xyz", part("image", b"a"), part("n", b"a") + b"--xyz--",
        part("image", b"a") * 2 + b"--xyz--",
        part("image", b"") + part("n", b"\xff") + b"--xyz--", b"\0" * 1000,
        b"".join(part(f"f{i}", b"") for i in range(MOST_FIELDS + 2)) + b"--xyz--",
        b"--xyz\r\nA: b\r\n\r\nx\r\n--xyz--",
    ],
)  # fmt: skip
def test_forms_that_are_none(data):
    with pytest.raises(InputError):
        uploaded(KIND, data)


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded"])
def test_other_types(kind):
    with pytest.raises(UnsupportedError):
        uploaded(kind, b"a=b")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("3", 3), ("0.5", 0.5), ("1e-3", 1e-3), ("true", True), ("None", None), ("both", "both"),
     ("[1, 2]", [1, 2]), ("a.npy", "a.npy"), ("", "")],
)  # fmt: skip
def test_texts_are_what_they_look_like(text, meant):
    assert value(text) == meant and type(value(text)) is type(meant)
