"""The sealed archive of TorchScript files; torch is not needed."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from fluxpath import archive
from fluxpath.errors import ArtifactError
from fluxpath.manifest import Manifest

MANIFEST = Manifest("image", (3,), 2, "softmax", None, "none", "logits", outputs=("score",), error=1e-6)
ENTRIES = {
    "archive/data.pkl": b"\x80\x02.",
    "archive/code/a.py": b"def forward(x): return x\n" * 9,
    "archive/constants/0": np.random.default_rng(0).bytes(300),
    "archive/version": b"3\n",
}


def test_what_was_sealed_comes_back() -> None:
    entries, manifest = archive.unseal(archive.seal(ENTRIES, MANIFEST))
    assert manifest == MANIFEST
    assert {k: v for k, v in entries.items() if "fluxpath" not in k} == ENTRIES
    assert next(iter(entries)) == "archive/extra/fluxpath.json"


def test_contents_are_aligned_and_undated() -> None:
    data = archive.seal(ENTRIES, MANIFEST)
    for info in zipfile.ZipFile(io.BytesIO(data)).infolist():
        start = data.index(ENTRIES[info.filename]) if info.filename in ENTRIES else 0
        assert start % 64 == 0 and info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.compress_type == zipfile.ZIP_STORED
    assert archive.seal(ENTRIES, MANIFEST) == data


def test_every_truncation_is_found() -> None:
    data = archive.seal(ENTRIES, MANIFEST)
    for size in [*range(0, len(data), 41), len(data) - 1]:
        with pytest.raises(ArtifactError):
            archive.unseal(data[:size])


def test_every_altered_byte_is_found_or_without_effect() -> None:
    """Padding and dates may change; what torch is given afterwards may not."""
    data = archive.seal(ENTRIES, MANIFEST)
    whole = archive.unseal(data)
    found = 0
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 0x21
        try:
            assert archive.unseal(bytes(altered)) == whole
        except ArtifactError:
            found += 1
    contents = sum(map(len, ENTRIES.values())) + len(MANIFEST.to_json())
    assert found > contents


@pytest.mark.parametrize("change", ["add", "drop", "rename", "swap", "manifest"])
def test_altered_entries_are_found(change: str) -> None:
    entries, _ = archive.unseal(archive.seal(ENTRIES, MANIFEST))
    if change == "add":
        entries["archive/extra/more"] = b""
    elif change == "drop":
        del entries["archive/version"]
    elif change == "rename":
        entries["archive/code/b.py"] = entries.pop("archive/code/a.py")
    elif change == "swap":
        a, b = "archive/data.pkl", "archive/version"
        entries[a], entries[b] = entries[b], entries[a]
    else:
        name = "archive/extra/fluxpath.json"
        entries[name] = entries[name].replace(b'"high": 1.0', b'"high": 2.0')
    with pytest.raises(ArtifactError, match="truncated or was altered"):
        archive.unseal(archive.pack(entries))


def test_a_name_that_occurs_twice_is_found() -> None:
    """Or torch might read the one that was not checked."""
    data = archive.seal(ENTRIES, MANIFEST)
    buffer = io.BytesIO(data)
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(buffer, "a") as file:
        file.writestr("archive/version", b"3\n")
    with pytest.raises(ArtifactError, match="truncated or was altered"):
        archive.unseal(buffer.getvalue())


def test_entries_that_unpack_to_more_than_the_file() -> None:
    """Compressed ones, and ones that share their bytes: neither is unpacked, whatever the seal says."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in {**ENTRIES, "archive/extra/fluxpath.json": b"{}"}.items():
            file.writestr(name, content)
    data = archive.pack({f"archive/{i}": bytes(5000) for i in range(9)})
    with zipfile.ZipFile(shared := io.BytesIO(data), "a") as file:
        for info in file.filelist:
            info.header_offset = file.filelist[0].header_offset
        file._didModify = True  # type: ignore[attr-defined]
    shorter = shared.getvalue()[:5200] + shared.getvalue()[len(data) - 700 :]
    for given in (packed.getvalue(), shared.getvalue(), shorter):
        with pytest.raises(ArtifactError, match="no intact TorchScript gradient graph"):
            archive.unseal(given)


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all", archive.pack({"a/b": b"c"})])
def test_foreign_files(data: bytes) -> None:
    with pytest.raises(ArtifactError, match="no intact TorchScript gradient graph: write one with"):
        archive.unseal(data)
