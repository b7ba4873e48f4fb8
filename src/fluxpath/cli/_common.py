"""Helpers that several subcommands share."""

from __future__ import annotations

import argparse
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import numpy as np
import numpy.typing as npt

from fluxpath.errors import FluxpathError, InputError, ModelError, first_line
from fluxpath.files import naming, regular
from fluxpath.methods import NAMES
from fluxpath.progress import Progress
from fluxpath.text import visible

if TYPE_CHECKING:
    from fluxpath.export import Exported
    from fluxpath.runtime import Method

Commands = argparse._SubParsersAction  # the return type of add_subparsers has no public name


def named_path(text: str) -> Path:
    """The path in an option, which must not be empty: Path("") would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty: name a file or a folder (. is the current one)")
    return Path(text)


def say(text: object, file: TextIO | None = None) -> None:
    """Print one line; names in it are shown as in `visible`."""
    show(visible(text), file)


def show(text: str = "", file: TextIO | None = None) -> None:
    """Print text as it is; an error of standard output names it."""
    with naming("standard output" if file is None else "standard error"):
        print(text, file=file)


def export_with_progress(
    run: Callable[[Callable[[str], None]], Exported],
) -> Exported:
    """Run an export that reports its stages, and say on stderr which it is at."""
    begun: list[str] = []
    with Progress(3, "stage", "reading the model", alike=False) as shown:

        def stage(name: str) -> None:
            shown.doing(name)
            shown.reach(len(begun))
            begun.append(name)

        return run(stage)


def need_export() -> Any:
    """The module `fluxpath.export`; ModelError, which says what to install, if it cannot be imported."""
    try:
        import fluxpath.export
    except ImportError as error:
        if (error.name or "").split(".")[0] not in ("onnx", "onnx_ir"):
            raise
        raise ModelError('this command needs onnx and onnx-ir: pip install "fluxpath[export]"') from error
    return fluxpath.export


def add_method(parser: argparse.ArgumentParser) -> None:
    """Add the options --method and --set, of which `method_from` makes a method."""
    parser.add_argument("--method", default="mfaba-sharp", metavar="NAME",
                        help=f"{', '.join(NAMES)}, or one's own as package.module:Class (default "
                        "mfaba-sharp)")  # fmt: skip
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE",
                        help="a setting of the method, as in n=20; arrays are .npy files, photos or folders "
                        "of photos; lengths (steps, radii, sigma) are in units of the width of the model's "
                        "range")  # fmt: skip


def method_from(
    name: str, assignments: Sequence[str], prepare: Callable[[str], npt.NDArray[np.float32]] | None = None
) -> Method:
    """The method `name` with settings given as "key=value"; InputError for an unknown or missing setting.

    prepare: makes inputs of a folder of photos, or of one, where such a path is an array's value.
    """
    from fluxpath.runtime.methods.named import class_named, method_named

    with current_folder():
        made = class_named(name)[0]
    settings = settings_from(name, made, assignments, prepare)
    with current_folder():
        return method_named(name, **settings)


def settings_from(
    name: str,
    made: type[Any],
    assignments: Sequence[str],
    prepare: Callable[[str], npt.NDArray[np.float32]] | None = None,
) -> dict[str, Any]:
    """The settings of a class, called `name`, of texts "key=value"; InputError for an unknown one.

    Where a setting can be several values, as a metric's substrates, "+" joins them.
    """
    from fluxpath.making import settings_of
    from fluxpath.runtime.pictures import SUFFIXES

    fields = settings_of(made)
    settings: dict[str, Any] = {}
    for assignment in assignments:
        key, separator, text = assignment.partition("=")
        if not separator and key in fields:
            raise InputError(f"--set {assignment} has no value: write --set {assignment}=VALUE")
        if key not in fields:
            raise InputError(
                f"{name} has no setting '{assignment}', it has {', '.join(sorted(fields)) or 'none'}"
            )
        settings[key] = parsed(text)
        kind = str(fields[key].annotation)
        if "tuple" in kind and "+" in text:
            settings[key] = tuple(parsed(part) for part in text.split("+"))
        if prepare is not None and isinstance(settings[key], str) and "Array" in kind:
            if Path(text).is_dir():
                settings[key] = prepare(text)
            elif text.lower().endswith(SUFFIXES):
                settings[key] = prepare(text)[0]
    return settings


def own_code(error: BaseException, named: Sequence[str]) -> str | None:
    """Where an error was raised in the module of a method of one's own, file and line; None if it was not.

    named: texts of the options that name methods, with commas between several.
    """
    names = ",".join(named).split(",")
    modules = {name.partition(":")[0].strip() for name in names if ":" in name}
    found = [
        f"{frame.f_code.co_filename}, line {line}"
        for frame, line in traceback.walk_tb(error.__traceback__)
        if frame.f_globals.get("__name__") in modules
    ]
    return found[-1] if found else None


@contextmanager
def current_folder() -> Iterator[None]:
    """Let modules in the current folder be imported, as with `python -m`."""
    sys.path.insert(0, str(Path.cwd()))
    try:
        yield
    finally:
        sys.path.remove(str(Path.cwd()))


def parsed(text: str) -> Any:
    """A setting's text as a number, None, a bool, the array in a .npy file, or else the text itself."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    if text.lower().endswith(".npy"):
        return array_in(text)
    return {"none": None, "true": True, "false": False}.get(text.lower(), text)


def array_in(path: str) -> npt.NDArray[Any]:
    """The array in a .npy file; InputError if there is none."""
    try:
        with open(path, "rb", opener=regular):
            # Mapped, so that what a header claims must be in the file before memory is taken for it.
            array = np.load(path, mmap_mode="r", allow_pickle=False)
        if isinstance(array, np.lib.npyio.NpzFile):
            array.close()
    except Exception as error:  # on a damaged file numpy can raise anything, MemoryError included
        raise InputError(f"cannot read an array from '{path}': {first_line(error)}") from error
    if not isinstance(array, np.ndarray):
        raise InputError(f"cannot read an array from '{path}': it is an archive, and must be a .npy file")
    return array


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add the option --trust, for commands that run a file."""
    parser.add_argument("--trust", action="store_true",
                        help="run the code of a .pt file without checking that it only computes: for "
                        "files whose maker you trust")  # fmt: skip


def read_names(path: Path | None) -> list[str] | None:
    """Class names from a file with one per line, or None without a file; InputError if it cannot be read."""
    if path is None:
        return None
    try:
        return [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read class names from '{path}': {error}") from error


def make_folder(path: Path) -> Path:
    """The folder `path`, created if needed; FluxpathError if it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FluxpathError(f"cannot make the folder '{path}': {error.strerror}") from error
    return path


_SAID_BESIDE = re.compile(r"\b\w+= \(on the command line, ([^)]*)\)")
_KEYWORDS = {"input=": "--input NAME", "output=": "--logits NAME", "shape=": "--shape SIZE ..."}


def in_options(message: str) -> str:
    """An error's message with this command's options in the place of the Python functions' keywords."""
    message = _SAID_BESIDE.sub(r"\1", message)
    for keyword, option in _KEYWORDS.items():
        message = re.sub(rf"\bwith {keyword}(?!\S)", f"with {option}", message)
    return message


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of text as aligned columns, shown as in `visible`; the first row is the header."""
    rows = [[visible(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)
