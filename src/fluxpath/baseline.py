"""DeepLIFT's baseline as text in the manifest, so that the file is self-contained."""

from __future__ import annotations

import base64
import zlib

import numpy as np
import numpy.typing as npt

from fluxpath.errors import ArtifactError


def pack_baseline(values: npt.NDArray[np.float32]) -> str:
    """The values as zlib-compressed base64."""
    return base64.b64encode(zlib.compress(values.astype("<f4").tobytes())).decode()


def unpack_baseline(text: str, features: int) -> npt.NDArray[np.float32]:
    """The values, float32 [features]; ArtifactError unless there are `features` of them, all finite."""
    try:
        # The output is bounded, so that a small text cannot unpack into gigabytes.
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), 4 * features + 1)
    except (ValueError, zlib.error) as error:
        raise ArtifactError("the manifest's baseline cannot be read: export the model again") from error
    if len(data) != 4 * features:
        raise ArtifactError(f"the manifest's baseline must have {features} values: export the model again")
    values = np.frombuffer(data, "<f4").astype(np.float32)
    if not np.isfinite(values).all():
        raise ArtifactError("the manifest's baseline is not finite: export the model again")
    return values
