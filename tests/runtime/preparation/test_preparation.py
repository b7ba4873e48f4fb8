"""One photo in every form that people have: always the same input, bit for bit."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sessions import LinearSession

from fluxpath.errors import InputError
from fluxpath.preprocessing import Preprocessing
from fluxpath.runtime import MFABA, Explainer

SHAPE = (3, 6, 8)
METHOD = MFABA(step_size=0.05, max_steps=3)
RNG = np.random.default_rng(3)
PHOTO = RNG.integers(0, 256, (20, 31, 3), np.uint8)
OTHER = RNG.integers(0, 256, (17, 12, 3), np.uint8)
GREY = RNG.integers(0, 256, (15, 16), np.uint8)


class Coloured(LinearSession):
    """The linear model on pictures, whose file says how photos become inputs."""

    def __init__(self, shape: tuple[int, ...] = SHAPE, **fields: Any) -> None:
        super().__init__(int(np.prod(shape)))
        chosen = {"low": -1.0, "high": 1.0, "preprocessing": Preprocessing(9, (6, 8), "bicubic"), **fields}
        self.manifest = dataclasses.replace(self.manifest, shape=shape, **chosen)


@pytest.fixture(scope="module")
def explainer():
    with Explainer.from_session(Coloured(), slots=2) as opened:
        yield opened


def by_hand(levels: np.ndarray) -> np.ndarray:
    """The photo with shorter side 9, its centre of 6 x 8, and black at -1: Pillow's own operations."""
    image = Image.fromarray(levels).convert("RGB")
    w, h = image.size
    size = (9, int(9 * h / w)) if w < h else (int(9 * w / h), 9)
    small = image.resize(size, Image.Resampling.BICUBIC)
    left, top = round((size[0] - 8) / 2), round((size[1] - 6) / 2)
    pixels = np.asarray(small)[top : top + 6, left : left + 8].transpose(2, 0, 1) / 255
    return (-1.0 * (1 - pixels) + 1.0 * pixels).astype(np.float32)


def encoded(levels: np.ndarray, form: str = "PNG", **options: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(levels).save(stream, form, **options)
    return stream.getvalue()


def stored(folder: Path, levels: np.ndarray = PHOTO, name: str = "a.png") -> Path:
    (folder / name).write_bytes(encoded(levels))
    return folder / name


def read_out() -> io.BytesIO:
    """An open file that was read to its end."""
    stream = io.BytesIO(encoded(PHOTO))
    stream.read()
    return stream


def turned() -> bytes:
    """Stored lying on its side, with the EXIF orientation that sets it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(np.rot90(PHOTO), exif=exif)


class Packed:
    """A tensor of another library: DLPack alone, in the host's memory."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __dlpack__(self, **options: Any) -> Any:
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self) -> tuple[int, int]:
        return (1, 0)


class OnGpu(Packed):
    """As CuPy's: a device of its own, an `__array__` that refuses, and a copy by `get`."""

    def __array__(self, *given: Any, **named: Any) -> Any:
        raise TypeError("implicit conversion to a NumPy array is not allowed")

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def get(self) -> np.ndarray:
        return self._array


class OnlyDlpackOnGpu(Packed):
    """Copies to the host where DLPack asks it to."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return (2, 0)

    def __dlpack__(self, **options: Any) -> Any:
        assert options["dl_device"] == (1, 0)
        return self._array.__dlpack__(**{k: v for k, v in options.items() if k != "dl_device"})


def tensor(array: np.ndarray, grad: bool = False) -> Any:
    torch = pytest.importorskip("torch")
    return torch.from_numpy(array.copy()).requires_grad_(grad)


class TensorOnGpu:
    """What torch's tensors on a GPU have and do."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def detach(self) -> TensorOnGpu:
        return self

    def cpu(self) -> Any:
        return tensor(self._array)

    def __array__(self, *given: Any, **named: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


OPENED: list[Any] = []


@pytest.fixture(autouse=True)
def closed():
    """Closes what a form of a photo opened."""
    yield
    while OPENED:
        OPENED.pop().close()


def opened(path: Path) -> Any:
    OPENED.append(path.open("rb"))
    return OPENED[-1]


FIRST = np.moveaxis(PHOTO, 2, 0)
PREPARED = by_hand(PHOTO)
FORMS: dict[str, Callable[[Path], Any]] = {
    "path": stored,
    "text": lambda folder: str(stored(folder)),
    "folder": lambda folder: stored(folder).parent,
    "bytes": lambda _: encoded(PHOTO),
    "bytearray": lambda _: bytearray(encoded(PHOTO)),
    "memoryview": lambda _: memoryview(encoded(PHOTO)),
    "open file": lambda folder: opened(stored(folder)),
    "file in memory": lambda _: io.BytesIO(encoded(PHOTO)),
    "file turned by EXIF": lambda _: turned(),
    "TIFF": lambda _: encoded(PHOTO, "TIFF"),
    "PIL image": lambda _: Image.fromarray(PHOTO),
    "PIL image, opened": lambda folder: Image.open(stored(folder)),
    "PIL image, turned by EXIF": lambda _: Image.open(io.BytesIO(turned())),
    "PIL image, opaque alpha": lambda _: Image.fromarray(PHOTO).convert("RGBA"),
    "[h, w, c]": lambda _: PHOTO,
    "[c, h, w]": lambda _: FIRST,
    "[n, h, w, c]": lambda _: PHOTO[None],
    "[n, c, h, w]": lambda _: FIRST[None],
    "a view": lambda _: PHOTO[:, ::-1][:, ::-1],
    "torch [h, w, c]": lambda _: tensor(PHOTO),
    "torch [n, c, h, w]": lambda _: tensor(FIRST[None]),
    "torch on a GPU": lambda _: TensorOnGpu(FIRST),
    "DLPack": lambda _: Packed(PHOTO),
    "CuPy": lambda _: OnGpu(PHOTO),
    "DLPack on a GPU": lambda _: OnlyDlpackOnGpu(PHOTO),
    "list of a path": lambda folder: [stored(folder)],
    "list of bytes": lambda _: [encoded(PHOTO)],
    "tuple of a PIL image": lambda _: (Image.fromarray(PHOTO),),
    "list of an array": lambda _: [PHOTO],
    "list of a tensor": lambda _: [tensor(FIRST)],
    "list of an input": lambda _: [PREPARED],
    "list of an input with a batch": lambda _: [tensor(PREPARED[None])],
    "input": lambda _: PREPARED,
    "input, a batch": lambda _: PREPARED[None],
    "input in float64": lambda _: PREPARED.astype(np.float64),
    "input written out": lambda _: PREPARED.tolist(),
    "input in torch, with a gradient": lambda _: tensor(PREPARED, grad=True),
    "input on a GPU": lambda _: OnGpu(PREPARED),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_photo_gives_the_same(explainer: Explainer, tmp_path: Path, form: str) -> None:
    made = FORMS[form]
    prepared = explainer.prepare(made(tmp_path))
    assert prepared.dtype == np.float32 and prepared.shape == (1, *SHAPE)
    np.testing.assert_array_equal(prepared[0], PREPARED)
    expected = explainer.attribute(PREPARED[None], method=METHOD).values
    for result in (
        explainer.attribute(made(tmp_path), method=METHOD),
        explainer.submit(made(tmp_path), method=METHOD).result(20),
    ):
        np.testing.assert_array_equal(result.values, expected)


@pytest.mark.parametrize("form", sorted(set(FORMS) - {"folder"}))
def test_a_bulk_run_takes_them_too(explainer: Explainer, tmp_path: Path, form: str) -> None:
    given = FORMS[form](tmp_path)
    if form.startswith(("list", "tuple")):
        given = given[0]
    if getattr(given, "shape", ())[:1] == (1,):  # a batch is several images
        given = given[0]
    summary = explainer.attribute_many([("x", given)], tmp_path / "out.npz", method=METHOD)
    assert summary.failures == {}
    with np.load(tmp_path / "out.npz") as file:
        np.testing.assert_array_equal(file["values"], explainer.attribute(PREPARED, method=METHOD).values)


def test_lists_hold_any_forms_and_sizes(explainer: Explainer, tmp_path: Path) -> None:
    given = [PHOTO, stored(tmp_path, OTHER), Image.fromarray(GREY), encoded(GREY), tensor(OTHER), PREPARED]
    expected = [by_hand(photo) for photo in (PHOTO, OTHER, GREY, GREY, OTHER, PHOTO)]
    np.testing.assert_array_equal(explainer.prepare(given), expected)
    np.testing.assert_array_equal(explainer.prepare([PHOTO, OTHER]), [by_hand(p) for p in (PHOTO, OTHER)])


def test_arrays_of_several_and_folders(explainer: Explainer, tmp_path: Path) -> None:
    both = np.stack([PHOTO, 255 - PHOTO])
    for several in (both, np.moveaxis(both, 3, 1), tensor(both)):
        np.testing.assert_array_equal(explainer.prepare(several), [by_hand(photo) for photo in both])
    greys = np.stack([GREY, 255 - GREY])
    np.testing.assert_array_equal(explainer.prepare(greys), [by_hand(photo) for photo in greys])
    stored(tmp_path, both[1], "b.png")
    stored(tmp_path, both[0], "a.png")
    np.testing.assert_array_equal(explainer.prepare(tmp_path), [by_hand(photo) for photo in both])
    np.testing.assert_array_equal(explainer.prepare(f"{tmp_path}/b.png"), [by_hand(both[1])])


@pytest.mark.parametrize("low", [0.0, None])
def test_a_grey_model(low: float | None) -> None:
    """Its file says nothing of photos, as files from before; without a range black is 0 and white 1."""
    session = Coloured((1, 15, 16), low=low, high=1.0 if low is not None else None, preprocessing=None)
    with Explainer.from_session(session) as explainer:
        for form in (GREY, GREY[..., None], GREY[None], GREY[None, None], encoded(GREY)):
            np.testing.assert_array_equal(explainer.prepare(form)[0, 0], (GREY / 255).astype(np.float32))
        colour = np.stack([GREY] * 3, 2)  # its luma is the grey again
        np.testing.assert_array_equal(explainer.prepare(colour)[0, 0], (GREY / 255).astype(np.float32))


def test_what_the_caller_has_stays_as_it_is(explainer: Explainer) -> None:
    image, stream = Image.open(io.BytesIO(turned())), io.BytesIO(encoded(PHOTO))
    size = image.size
    explainer.prepare([image, stream])
    assert image.size == size and image.getexif()[0x0112] == 6 and not stream.closed
    np.testing.assert_array_equal(explainer.prepare(image)[0], PREPARED)


class Broken:
    """An open file of text, one that fails, and one that gives something else."""

    def __init__(self, content: Any) -> None:
        self._content = content

    def read(self, size: int) -> Any:
        if isinstance(self._content, Exception):
            raise self._content
        return self._content


REFUSED: dict[str, tuple[Any, str]] = {
    "empty list": ([], "images are empty: pass at least one"),
    "empty bytes": (b"", "the photo: this is not an image in a format that is read"),
    "no image": (b"hello", "the photo: this is not an image"),
    "cut": (encoded(PHOTO)[:200], "the photo: cannot be read"),
    "one of several cut": ([PHOTO, encoded(PHOTO)[:200]], "image 1: cannot be read"),
    "no file": ("none.png", "there is no image or folder 'none.png'"),
    "empty path": ("", r"the path is empty: name a photo or a folder"),
    "paths in an array": (
        np.array(["a.png", "b.png"]),
        "dtype <U5, .*: pass a list of paths",
    ),
    "one of several no file": ([PHOTO, "none.png"], "none.png: cannot be read: No such file"),
    "text file": (Broken("text"), "it gives no bytes: open it in binary mode"),
    "file that fails": (Broken(OSError(5, "Input/output error")), "cannot be read: Input/output error"),
    "read to its end": (read_out(), "nothing is left of it: it is empty, or was read to its end"),
    "text file of text": (io.StringIO("a"), "it gives no bytes: open it in binary mode"),
    "no width": (Image.new("RGB", (0, 5)), "of 0 x 5, it has no pixels"),
    "no height": (Image.new("RGB", (5, 0)), "of 5 x 0, it has no pixels"),
    "no size": (Image.new("L", (0, 0)), "of 0 x 0, it has no pixels"),
    "8 bits in 32": (
        Image.fromarray(GREY.astype(np.int32)),
        "could be levels of 8 bits or of 16: pass uint8",
    ),
    "folder in a list": ([str(Path(__file__).parent)], "it is a folder: pass a folder alone, not in a list"),
    "float pixels": (Image.new("F", (9, 9)), r"float pixels \(mode F\) have no known white"),
    "4 channels": (np.zeros((20, 30, 4), np.uint8), "take the first three channels"),
    "either layout": (np.zeros((3, 30, 3), np.uint8), r"could be \[h, w, c\] or \[c, h, w\]"),
    "4 channels, in a list": ([np.zeros((20, 30, 4), np.uint8)], r"image 0 in bytes have shape"),
    "batch in a list": ([PHOTO, np.stack([PHOTO, PHOTO])], r"image 1 has shape .*, which is 2 photos"),
    "objects": (np.array([PHOTO, OTHER], object), "pass a list of photos or of arrays"),
    "a dict": ({"image": PHOTO}, "dtype object"),
    "None in a list": ([PHOTO, None], "image 1 has dtype object, and must be float32, or uint8"),
    "int32": (PHOTO.astype(np.int32), "or uint8, a photo's levels from 0 to 255"),
    "bool": (PHOTO > 0, "dtype bool, and must be float32"),
    "levels in float": (
        255 * np.abs(PREPARED),
        r"range from .*: levels from 0 to 255 are scaled",
    ),
    "channels last in float": (
        np.moveaxis(PREPARED, 0, 2),
        "so move them with np.moveaxis",
    ),
    "sizes of inputs": (
        [PREPARED, PREPARED[:, :4]],
        r"image 1 has shape \[3, 4, 8\], and must have \[3, 6, 8\]",
    ),
    "masked": (np.ma.masked_equal(PHOTO, PHOTO[0, 0, 0]), "images: masked elements have no value"),
    "masked in a list": ([np.ma.masked_less(PHOTO, 9), OTHER], "image 0: masked elements have no value"),
    "long and narrow": (np.zeros((2, 2**23), np.uint8), r"it would be resized to 9 x 37748736, and at most"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused(explainer: Explainer, case: str) -> None:
    given, said = REFUSED[case]
    with pytest.raises(InputError, match=said) as caught:
        explainer.prepare(given)
    assert "\n" not in str(caught.value)


def test_half_precision_of_torch_is_refused_in_a_sentence(explainer: Explainer) -> None:
    torch = pytest.importorskip("torch")
    for kind, said in ((torch.float16, "must be float32"), (torch.bfloat16, "so pass float32")):
        with pytest.raises(InputError, match=f"images .*{said}"):
            explainer.prepare(tensor(PREPARED).to(kind))


def test_a_model_of_numbers_takes_no_photos() -> None:
    with Explainer.from_session(LinearSession()) as explainer:
        with pytest.raises(
            InputError, match=r"takes inputs of shape \[6\], and photos need \[1 or 3, h, w\]"
        ):
            explainer.prepare(encoded(PHOTO))
        with pytest.raises(InputError, match="must be float32: divide bytes by 255 first"):
            explainer.prepare(np.zeros(6, np.uint8))


def test_where_sizes_are_open_the_crop_fixes_them() -> None:
    session = Coloured()
    session.manifest = dataclasses.replace(session.manifest, shape=(3, None, None))
    with Explainer.from_session(session) as explainer:
        assert explainer.shape == SHAPE
        np.testing.assert_array_equal(explainer.prepare(PHOTO)[0], PREPARED)


def test_a_text_file_on_disk_is_refused_as_such(explainer: Explainer, tmp_path: Path) -> None:
    with open(stored(tmp_path), encoding="utf-8") as file, pytest.raises(InputError, match="in binary mode"):
        explainer.prepare(file)


def test_grey_of_16_bits_in_32_is_read(explainer: Explainer) -> None:
    wide = GREY.astype(np.int32) * 257
    np.testing.assert_array_equal(explainer.prepare(Image.fromarray(wide)), explainer.prepare(GREY))


def test_threads_can_share_an_image_that_was_not_read_yet(explainer: Explainer, tmp_path: Path) -> None:
    levels = RNG.integers(0, 256, (600, 700, 3), np.uint8)
    path, expected = stored(tmp_path, levels), explainer.prepare(levels)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(5):
            with Image.open(path) as lazy:
                for found in threads.map(explainer.prepare, [lazy] * 4):
                    np.testing.assert_array_equal(found, expected)
