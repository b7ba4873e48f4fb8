"""The best classes of each photo, as a source for `Explainer.attribute_many`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from fluxpath.cli._common import say
from fluxpath.errors import InputError

if TYPE_CHECKING:
    import numpy.typing as npt

    from fluxpath.runtime import Explainer
    from fluxpath.runtime.bulk.sources import Item, Source


class TopClasses:
    """Each photo of a source `count` times, once for each of its best classes: cat-top1.jpg, cat-top2.jpg.

    A photo that cannot be read comes once, under its own name, and fails where it is loaded.
    """

    def __init__(self, explainer: Explainer, source: Source, count: int) -> None:
        from fluxpath.runtime.bulk.sources import items
        from fluxpath.runtime.preparation import Preparation

        preparation = Preparation.of(explainer.manifest, explainer.shape)
        self._items, self._photos = items(source, preparation)
        self._explainer = explainer
        self._count = min(count, explainer.manifest.classes)
        if self._count < count:
            said = f"fluxpath: --top is {count}, and the model has {self._count} classes: all of them"
            say(said, sys.stderr)

    def __len__(self) -> int:
        return (self._photos or 0) * self._count

    def __iter__(self) -> Iterator[Item]:
        from fluxpath.runtime.bulk.sources import Item

        for item in self._items:
            try:
                image = item.load()
            except InputError:
                yield item  # which fails again, where it is counted
                continue
            best = self._explainer.predict(image, top=self._count).classes[0]
            for k, label in enumerate(best, 1):
                yield Item(numbered(item.name, k), partial(_same, image), int(label))


def _same(image: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return image


def numbered(name: str, k: int) -> str:
    """The name of a photo's result for its k-th best class."""
    pure = PurePosixPath(name)
    return str(pure.with_name(f"{pure.stem}-top{k}{pure.suffix}")) if pure.name else f"{name}-top{k}"
