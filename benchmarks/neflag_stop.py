"""Which stop suits NeFLAG: insertion and deletion scores of both, beside MFABA.

    python -m benchmarks.neflag_stop [--model PATH] [--data PATH] [--images 200]

Scores as in the NeFLAG paper's appendix A.2 (after Petsiuk et al., 2018): pixels are inserted into, or
deleted towards, a black and a blurred image in the order of their attribution; the score is the mean
probability of the explained class over the curve, averaged over both backgrounds. Higher is better for
insertion and for the difference, lower for deletion. The numbers are the same on every run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime
from PIL import Image, ImageFilter

from benchmarks.report import arguments, cifar_images, write
from fluxpath.export import gradient_from_onnx
from fluxpath.progress import Progress
from fluxpath.runtime import MFABA, Explainer, Method, NeFLAG

POINTS = 17
Floats = npt.NDArray[np.float32]


def probability(
    session: onnxruntime.InferenceSession, images: Floats, target: npt.NDArray[np.int64]
) -> Floats:
    """Softmax probability of each image's target."""
    logits = session.run(None, {session.get_inputs()[0].name: images})[0].astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers[np.arange(len(images)), target] / powers.sum(axis=1)


def blurred(images: Floats, sigma: float) -> Floats:
    """Gaussian blur by Pillow, in 8 bits."""
    pictures = [Image.fromarray(np.rint(255 * i.transpose(1, 2, 0)).astype(np.uint8)) for i in images]
    soft = np.stack([np.asarray(p.filter(ImageFilter.GaussianBlur(sigma))) for p in pictures])
    return soft.transpose(0, 3, 1, 2).astype(np.float32) / 255


def scores(
    session: onnxruntime.InferenceSession, images: Floats, values: Floats, target: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Insertion and deletion score over all images."""
    n, _, h, w = images.shape
    order = np.argsort(-values.sum(axis=1).reshape(n, -1), axis=1, kind="stable")
    inserted, deleted = [], []
    # The paper blurs 224-pixel images with sigma 20; this is the same share of a 32-pixel one.
    for ground in (np.zeros_like(images), blurred(images, 20 * h / 224)):
        for count in np.linspace(0, h * w, POINTS).astype(int):
            mask = np.zeros((n, h * w), bool)
            np.put_along_axis(mask, order[:, :count], True, axis=1)
            mask = mask.reshape(n, 1, h, w)
            inserted.append(probability(session, np.where(mask, images, ground), target).mean())
            deleted.append(probability(session, np.where(mask, ground, images), target).mean())
    return float(np.mean(inserted)), float(np.mean(deleted))


def contenders() -> dict[str, Method]:
    """What is compared."""
    methods: dict[str, Method] = {
        f"mfaba-{ascent}": MFABA(ascent, step_size=None) for ascent in ("sharp", "smooth")
    }
    for n in (1, 10, 20):
        for radius in (0.05, 0.1, 0.2):
            for stop in ("flux", "label"):
                methods[f"neflag-{n} radius {radius} {stop}"] = NeFLAG(n=n, radius=radius, stop=stop)
    return methods


def main() -> None:
    """Measure and print a table."""
    parser = arguments("neflag_stop", __doc__)
    parser.add_argument("--images", type=int, default=200)
    options = parser.parse_args()
    images = cifar_images(options.data)[: options.images]
    session = onnxruntime.InferenceSession(options.model, providers=["CPUExecutionProvider"])
    table = {}
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.grad.onnx"
        gradient_from_onnx(options.model, graph)
        with Explainer(graph) as explainer, Progress(len(contenders()), "method", alike=False) as progress:
            for name, method in contenders().items():
                progress.doing(name)
                result = explainer.attribute(images, method=method)
                insertion, deletion = scores(session, images, result.values, result.target)
                table[name] = {
                    "insertion": round(insertion, 4),
                    "deletion": round(deletion, 4),
                    "difference": round(insertion - deletion, 4),
                    "steps per lane": round(float(result.steps.mean()) / method.lanes, 2),
                }
                progress.update()
    for name, row in table.items():
        print(f"{name:28}", "  ".join(f"{key} {value:.4f}" for key, value in row.items()))
    write({"images": len(images), "scores": table}, options.out)


if __name__ == "__main__":
    main()
