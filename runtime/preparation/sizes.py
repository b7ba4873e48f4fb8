"""The sizes of inputs, where a model leaves them open."""

from __future__ import annotations

from numbers import Integral

from fluxpath.errors import InputError
from fluxpath.manifest import Companion, Manifest
from fluxpath.runtime.lanes import Companions


def resolved_shape(manifest: Manifest, given: tuple[int, ...] | None) -> tuple[int, ...]:
    """The explained input's shape without the batch; InputError unless `given` fits and settles all sizes.

    given: what the caller wants, or None: then open sizes are those to which the file crops photos.
    """
    shape, how = manifest.shape, manifest.preprocessing
    if given is None:
        if how is not None and isinstance(how.crop, tuple):
            shape = (shape[0], *how.crop)
        fixed = tuple(d for d in shape if d is not None)
        if len(fixed) != len(shape):
            raise InputError(
                f"the model's input has shape {shape}, open where it says None: settle "
                "it by shape= (on the command line, an export with --crop or --shape)"
            )
        return fixed
    if not isinstance(given, tuple | list) or not all(isinstance(g, Integral) for g in given):
        raise InputError(f"shape is {given!r}, it must be the sizes of one input, such as (3, 224, 224)")
    if len(given) != len(shape) or any(d not in (None, g) for d, g in zip(shape, given, strict=True)):
        raise InputError(f"shape is {given}, and the model's input has shape {shape}")
    return tuple(int(g) for g in given)


def companion_shapes(manifest: Manifest, shape: tuple[int, ...]) -> Companions:
    """Shape and type of each further input, for an explained input of this shape."""
    return {c.name: (_companion_shape(c, manifest, shape), c.dtype) for c in manifest.companions}


def _companion_shape(companion: Companion, manifest: Manifest, shape: tuple[int, ...]) -> tuple[int, ...]:
    """A further input's shape; its open sizes equal the explained input's open size (a text's length)."""
    sizes = {g for d, g in zip(manifest.shape, shape, strict=True) if d is None}
    if None in companion.shape and len(sizes) != 1:
        raise InputError(
            f"input '{companion.name}' has shape {companion.shape}, open where it says None, and the "
            "explained input does not determine that size: export the model with a fixed one"
        )
    return tuple(next(iter(sizes)) if d is None else d for d in companion.shape)
