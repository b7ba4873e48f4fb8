"""The sealed archive of a TorchScript gradient graph: a zip that torch reads, with the manifest in it.

This is the contract between `fluxpath.export`, which writes it, and `fluxpath.runtime`, which reads it. It
needs only the standard library, so that a file is known to be intact before torch sees it.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping

from fluxpath.errors import ArtifactError
from fluxpath.manifest import LONGEST, UNSEALED, Manifest

SUFFIX = ".pt"
"""The suffix of files that hold a TorchScript gradient graph."""

MANIFEST = "fluxpath.json"
"""The manifest's name among the extra files of a TorchScript archive."""

_EXTRA = f"extra/{MANIFEST}"
_ALIGNMENT = 64


def seal(entries: Mapping[str, bytes], manifest: Manifest) -> bytes:
    """An archive of `entries` (bytes by name in the archive) and of the manifest with their digest."""
    root = _root(entries)
    blank = manifest.to_json()
    digest = _digest({**entries, f"{root}/{_EXTRA}": blank.encode()})
    return pack({f"{root}/{_EXTRA}": blank.replace(UNSEALED, digest).encode(), **entries})


def unseal(data: bytes) -> tuple[dict[str, bytes], Manifest]:
    """The entries and the manifest of an archive; ArtifactError unless they equal what `seal` was given."""
    try:
        entries = _stored(data)
        root = _root(entries)
        text = entries[f"{root}/{_EXTRA}"].decode()
        if len(text) > LONGEST:
            raise ValueError("a manifest without an end")
        digest = json.loads(text)["digest"]
        blank = text.replace(digest, UNSEALED).encode()
    except ArtifactError:
        raise
    except Exception as error:  # on a damaged archive zipfile can raise anything
        raise ArtifactError(
            "the file is no intact TorchScript gradient graph: write one with "
            "'fluxpath export MODULE:FACTORY -o NAME.grad.pt'"
        ) from error
    if digest != _digest({**entries, f"{root}/{_EXTRA}": blank}):
        raise ArtifactError("the file is truncated or was altered after export: export the model again")
    return entries, Manifest.from_json(text)


def _stored(data: bytes) -> dict[str, bytes]:
    """The entries of a zip, uncompressed and none twice, so that they take no more memory than the file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = archive.infolist()
        plain = all(i.compress_type == zipfile.ZIP_STORED and i.compress_size == i.file_size for i in infos)
        if not plain or sum(i.file_size for i in infos) > len(data):
            raise ValueError("entries that unpack to more than the file")
        if len({i.filename for i in infos}) != len(infos):
            raise ArtifactError(
                "the file is truncated or was altered after export: two entries have one name"
            )
        return {i.filename: archive.read(i) for i in infos}


def pack(entries: Mapping[str, bytes]) -> bytes:
    """A zip of `entries`, uncompressed and aligned as torch's are, without times or traces of a machine."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            # The content begins after a header of 30 bytes, the name and the extra field.
            ahead = buffer.tell() + 30 + len(name.encode()) + 4
            padding = -ahead % _ALIGNMENT
            info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
            archive.writestr(info, content)
    return buffer.getvalue()


def _root(entries: Mapping[str, bytes]) -> str:
    """The single folder in the archive that holds all of torch's entries."""
    (root,) = {name.split("/")[0] for name in entries}
    return root


def _digest(entries: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(entries.items()):
        for part in (name.encode(), content):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()
