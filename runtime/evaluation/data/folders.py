"""Folders of photos: in one heap, or a folder for each class."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from fluxpath.errors import InputError
from fluxpath.runtime.bulk.sources import photos_in
from fluxpath.runtime.evaluation.data.base import Data, Datum, Fitting, stamp_of
from fluxpath.runtime.evaluation.data.masks import Masks

SPLITS = {"train", "test", "validation", "valid", "val", "dev"}


def folder_data(folder: Path, fitting: Fitting, masks: Masks) -> Data:
    """The photos in a folder and its subfolders, sorted by path.

    Subfolders at the top are classes if every one that holds photos is named like one, by name or number;
    if none is, the photos have no labels. InputError for some that are and some that are not, and for the
    splits of a data set.
    """
    fitting.need_photos()
    files = photos_in(folder)
    inside = [file.relative_to(folder) for file in files]
    labels, note = _classes(
        {path.parts[0] for path in inside if len(path.parts) > 1}, inside, fitting, folder
    )

    def items() -> Iterator[Datum]:
        for file, path in zip(files, inside, strict=True):
            name = path.as_posix()
            yield Datum(
                name,
                lambda file=file: fitting.image(file, str(file)),  # type: ignore[misc]
                labels.get(path.parts[0]),
                masks.of(name),
                stamp_of(file, masks.file_of(name)),
            )

    return Data(items, len(files), str(folder.resolve()), bool(labels), note)


def _classes(
    names: set[str], inside: list[Path], fitting: Fitting, folder: Path
) -> tuple[dict[str, int | None], str]:
    """The classes that folders are named after, and a note if none is."""
    labels: dict[str, int | None] = {}
    strange: dict[str, str] = {}
    for name in sorted(names):
        try:
            labels[name] = fitting.label(name, f"the folder '{folder / name}'")
        except InputError as error:
            strange[name] = str(error)
    if names and names <= SPLITS and strange:
        raise InputError(
            f"'{folder}' holds the splits {', '.join(sorted(names))} of a data set: name one, as in "
            f"'{folder / min(names)}'"
        )
    if labels and (strange or any(len(path.parts) == 1 for path in inside)):
        beside = next(iter(strange.values()), None) or (
            f"photos lie in '{folder}' itself, beside folders named after classes"
        )
        raise InputError(f"{beside}; either every photo is in a folder named after its class, or none is")
    note = f"no folder in '{folder}' is named after a class, so the photos have no labels" if strange else ""
    return labels, note
