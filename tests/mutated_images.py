"""Random damage to images of every format; run as a script, it loads them and counts what becomes of them.

    python tests/mutated_images.py [--seed 0] [--count 19000] [--seconds 20]

Each is loaded from the file <seed>.<format> in an empty folder, which is printed: if the process dies, the
file that is left there says of which. The exit code is 1 if any raised another error than InputError, took
longer than --seconds, or gave what is no picture.
"""

from __future__ import annotations

import argparse
import io
import random
import signal
import sys
import tempfile
import time
import warnings
import zlib
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
from mutations import damaged
from PIL import Image

from fluxpath.errors import InputError
from fluxpath.runtime.pictures import load_image

SIDE = 16
PNG_START = 8
SIZES = (0, 1, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFF)


def originals() -> list[tuple[str, bytes]]:
    """Formats and files: each mode, compression and kind of animation that Pillow can write."""
    levels = np.random.default_rng(3).integers(0, 256, (24, 31, 4), np.uint8)
    modes = {
        mode: Image.fromarray(levels).convert(mode) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
    }
    modes["I;16"] = Image.fromarray(levels[..., 0].astype(np.uint16) * 257)
    upright = Image.Exif()
    upright[0x0112] = 6
    frames: dict[str, Any] = {"save_all": True, "append_images": [modes["RGB"].rotate(90)]}
    plain = {
        "png": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
        "jpeg": ("L", "RGB", "CMYK"),
        "bmp": ("1", "L", "P", "RGB", "RGBA"),
        "gif": ("1", "L", "P", "RGB"),
        "webp": ("RGB", "RGBA"),
        "tiff": ("1", "L", "P", "RGB", "RGBA", "CMYK", "I;16"),
    }
    kinds: list[tuple[str, str, dict[str, Any]]] = [
        (f, m, {}) for f, several in plain.items() for m in several
    ]
    kinds += [(f, "RGB", frames) for f in ("png", "gif", "webp", "tiff")]
    kinds += [(f, "RGB", {"exif": upright}) for f in ("png", "jpeg", "webp", "tiff")]
    kinds += [("jpeg", "RGB", {"progressive": True}), ("webp", "RGBA", {"lossless": True})]
    kinds += [("tiff", "RGB", {"compression": c}) for c in ("tiff_lzw", "tiff_deflate", "packbits", "jpeg")]
    return [(form, _saved(modes[mode], form, options)) for form, mode, options in kinds]


def _saved(image: Image.Image, form: str, options: dict[str, Any]) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def mutated(data: bytes, form: str, seed: int) -> bytes:
    """Bytes changed anywhere, or a number written over some; half of the PNG files with good checksums."""
    rng = random.Random(seed)
    if rng.random() < 0.4:
        place = rng.randrange(min(len(data), 300) if rng.random() < 0.7 else len(data))
        order = rng.choice(("little", "big"))
        width = rng.choice((2, 4))
        number = (rng.choice(SIZES) & (1 << 8 * width) - 1).to_bytes(width, order)
        data = data[:place] + number + data[place + width :]
    else:
        data = damaged(data, seed)
    return _checked(data) if form == "png" and rng.random() < 0.5 else data


def _checked(data: bytes) -> bytes:
    """The PNG file with right checksums, as far as its chunks can be followed."""
    made, at = bytearray(data), PNG_START
    while at + 12 <= len(made):
        end = at + 8 + int.from_bytes(made[at : at + 4], "big")
        if end + 4 > len(made):
            break
        made[end : end + 4] = zlib.crc32(made[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(made)


def outcome(path: Path) -> str:
    """What loading the file comes to: "ok", "InputError", or what must not be."""
    try:
        image = load_image(path, (3, SIDE, SIDE))
    except InputError as error:
        named = str(error).startswith(f"{path}: ") and str(error).isprintable() and len(str(error)) < 1000
        return "InputError" if named else f"bad sentence {str(error)[:200]!r}"
    except Exception as error:
        return f"not fluxpath's own: {type(error).__name__}: {error}"[:300]
    right = image.shape == (3, SIDE, SIDE) and image.dtype == np.float32
    return "ok" if right and 0 <= image.min() <= image.max() <= 1 else "no picture"


class TooSlow(BaseException):
    """Raised by the alarm."""


def _alarm(number: int, frame: FrameType | None) -> None:
    raise TooSlow


def run(seed: int, count: int, seconds: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of the mutations seed .. seed + count, and a line for each that must not be."""
    counted: Counter[str] = Counter()
    bad: list[str] = []
    files = originals()
    signal.signal(signal.SIGALRM, _alarm)
    for number in range(seed, seed + count):
        form, data = files[number % len(files)]
        path = folder / f"{number}.{form}"
        path.write_bytes(mutated(data, form, number))
        signal.alarm(seconds)
        try:
            result = outcome(path)
        except TooSlow:
            result = f"longer than {seconds} s"
        signal.alarm(0)
        path.unlink()
        counted[result if result in ("ok", "InputError") else "bad"] += 1
        if result not in ("ok", "InputError"):
            bad.append(f"seed {number}, {form}: {result}")
    return counted, bad


def _most_memory() -> float:
    """This process's peak in MB. What getrusage tells begins with the parent's."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if "VmHWM" in line) / 1024


def main() -> int:
    """Run what the command line asks for, and print the counts and the most memory that was used."""

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=19_000)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # Pillow's, of damaged metadata
    folder = Path(tempfile.mkdtemp())
    print(f"in {folder}", flush=True)
    begin = time.monotonic()
    counted, bad = run(options.seed, options.count, options.seconds, folder)
    print(*bad, sep="\n", end="\n" if bad else "")
    most = _most_memory()
    print(f"{dict(counted)} in {time.monotonic() - begin:.0f} s, at most {most:.0f} MB")
    folder.rmdir()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
