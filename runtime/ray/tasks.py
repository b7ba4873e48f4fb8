"""What becomes one part: photos of a folder, or a slice of a shard. It travels as text, without images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from fluxpath.runtime.bulk.shards import Slice, items_of, slices
from fluxpath.runtime.bulk.sources import Item, items
from fluxpath.runtime.preparation import Preparation
from fluxpath.runtime.ray.names import digest
from fluxpath.runtime.records.parts import PREFIX, SUFFIX


def part_named(*what: str) -> str:
    """The name of the file of a part that is about this: the same again in a later run."""
    return f"{PREFIX}{digest(what).hex()}{SUFFIX}"


@dataclass(frozen=True)
class Task:
    """A part to write. Either `photos`, names and paths, or `slice`."""

    part: str
    photos: Sequence[tuple[str, str]] = ()
    slice: Slice | None = None

    def __len__(self) -> int:
        return len(self.photos) if self.slice is None else self.slice.count

    def text(self) -> str:
        """The task as JSON, also with names that are not UTF-8."""
        return json.dumps(asdict(self))

    @classmethod
    def of(cls, text: str) -> Task:
        """The task in the text."""
        given = json.loads(text)
        part = None if given["slice"] is None else Slice(**given["slice"])
        return cls(given["part"], tuple((name, path) for name, path in given["photos"]), part)

    def items(self, photos: Preparation) -> Iterator[Item]:
        """Its images, read when they are loaded."""
        if self.slice is not None:
            return items_of(self.slice, photos)
        return items([(name, Path(path)) for name, path in self.photos], photos)[0]


def photo_tasks(photos: Iterable[tuple[str, Path]], most: int) -> Iterator[Task]:
    """Tasks of `most` photos each."""
    rest = [(name, str(path.resolve())) for name, path in photos]
    for i in range(0, len(rest), most):
        some = tuple(rest[i : i + most])
        yield Task(part_named(*(name for name, _ in some)), some)


def shard_tasks(path: Path, name: str, most: int) -> Iterator[Task]:
    """Tasks of `most` images of a shard each; what `slices` raises."""
    for part in slices(path.resolve(), name, most):
        yield Task(part_named(name, str(part.start), str(part.count)), slice=part)
