"""Do attributions lie where the relevant pixels are known to be?

    python -m benchmarks.known_relevance [--images 200] [--seed 0] [--out JSON]

Pictures of 24 x 24 grey pixels: one bright shape (a horizontal or a vertical bar, a cross, a ring) at a
random place on a dark, smooth texture. The class is the shape. The classifier is built by hand and not
trained: it looks only at what is brighter than 1/2, which the texture never is, compares that with the four
shapes at every place, and takes the best place of each. So the pixels of the shape are all that can matter,
and which they are is known: the mask.

For every method of the library, and for random numbers: the pointing game (does the largest attribution lie
in the mask?), relevance mass (the share of positive attribution in the mask) and the area under the curve of
precision and recall (average precision of the attributions as scores of the mask's pixels), each the mean
over the pictures with a 95% interval. Beside them stands what a random order of the pixels gives on
average.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from scipy.stats import binomtest
from sklearn.metrics import average_precision_score

from benchmarks.report import arguments, head, write
from fluxpath.export import gradient_from_onnx
from fluxpath.runtime import (
    AGI,
    BIG,
    LPI,
    MFABA,
    Attribution,
    DeepLIFT,
    ExpectedGradients,
    Explainer,
    GuidedIG,
    InputXGradient,
    IntegratedGradients,
    Method,
    NeFLAG,
    Saliency,
    SmoothGrad,
)
from fluxpath.runtime.metrics import Case, PointingGame, RelevanceMass, measure

Images = npt.NDArray[np.float32]
Masks = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]

SIDE, WINDOW = 24, 7
DARK, LIMIT, BRIGHT = 0.35, 0.5, (0.75, 1.0)
"""The texture's brightest, what the classifier sees from, and the range of the shape's pixels."""

GAIN = 16.0
"""Of the logits: the shape's class has a probability of about 95%."""

RANDOM = "random"
SCORES = ("pointing game", "relevance mass", "precision-recall area")


def shapes() -> Masks:
    """The four shapes, [4, 7, 7]."""
    made = np.zeros((4, WINDOW, WINDOW), np.bool_)
    middle, last = WINDOW // 2, WINDOW - 1
    made[0, middle - 1 : middle + 1] = True
    made[1, :, middle - 1 : middle + 1] = True
    made[2] = np.eye(WINDOW) + np.eye(WINDOW)[::-1] > 0
    made[3, [0, last]] = made[3, :, [0, last]] = True
    return made


def pictures(n: int, seed: int) -> tuple[Images, npt.NDArray[np.int64], Masks]:
    """Pictures [n, 1, 24, 24] in [0, 1], their classes [n], and their masks [n, 24, 24]."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, n)
    images, masks = textures(n, rng), np.zeros((n, SIDE, SIDE), np.bool_)
    for i, (y, x) in enumerate(rng.integers(0, SIDE - WINDOW + 1, (n, 2))):
        masks[i, y : y + WINDOW, x : x + WINDOW] = shapes()[labels[i]]
        images[i, 0][masks[i]] = rng.uniform(*BRIGHT, int(masks[i].sum()))
    return images, labels, masks


def textures(n: int, rng: np.random.Generator) -> Images:
    """Smooth noise in [0, 0.35], [n, 1, 24, 24]."""
    noise = rng.random((n, 1, SIDE, SIDE))
    for axis in (2, 3):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
    low, high = (f(noise, axis=(2, 3), keepdims=True) for f in (np.min, np.max))
    return (DARK * (noise - low) / (high - low)).astype(np.float32)


def classifier() -> onnx.ModelProto:
    """x -> 16 * max over places of (the mean brightness on the shape less that around it in its window)."""
    inside = shapes().astype(np.float32)
    filters = inside / inside.sum((1, 2), keepdims=True) - (1 - inside) / (1 - inside).sum(
        (1, 2), keepdims=True
    )
    # What is brighter than 1/2 by 1/2 * b is seen as b.
    weights = {"f": filters[:, None], "limit": np.float32(LIMIT), "gain": np.float32(2 * GAIN)}
    places = SIDE - WINDOW + 1
    graph = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20]> '
        f"shapes (float[n,1,{SIDE},{SIDE}] x) => (float[n,4] logits) {{ "
        "d = Sub(x, limit) b = Relu(d) c = Conv(b, f) "
        f"m = MaxPool<kernel_shape=[{places},{places}]>(c) v = Flatten(m) logits = Mul(v, gain) }}"
    )
    for name, value in weights.items():
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    return graph


def methods(seed: int) -> dict[str, Method]:
    """Every method of the library but DeepLIFT; references and backgrounds are textures without a shape.

    BIG gets two larger balls: no boundary of this classifier is within its default ones.
    """
    plain = textures(20, np.random.default_rng(seed + 1))
    return {
        "mfaba-sharp": MFABA(),
        "mfaba-smooth": MFABA(ascent="smooth"),
        "neflag": NeFLAG(),
        "saliency": Saliency(),
        "input-x-gradient": InputXGradient(),
        "integrated-gradients": IntegratedGradients(),
        "smoothgrad": SmoothGrad(),
        "expected-gradients": ExpectedGradients(background=plain),
        "lpi": LPI(references=plain, steps=5),
        "guided-ig": GuidedIG(),
        "agi": AGI(),
        "big": BIG(radii=(*BIG().radii, 2.0, 3.0)),
    }


def attributed(
    folder: Path, images: Images, labels: npt.NDArray[np.int64], seed: int
) -> Iterator[tuple[str, Explainer, Attribution]]:
    """Each method's attributions, and at last random ones."""
    onnx.save(classifier(), folder / "shapes.onnx")
    gradient_from_onnx(folder / "shapes.onnx", folder / "shapes.grad.onnx")
    options = {"objective": "logit", "rules": "deeplift", "baseline": 0.0}
    gradient_from_onnx(folder / "shapes.onnx", folder / "shapes.deeplift.onnx", **options)
    with Explainer(folder / "shapes.grad.onnx") as explainer:
        for name, method in methods(seed).items():
            result = explainer.attribute(images, labels, method)
            yield name, explainer, result
        noise = np.random.default_rng(seed + 2).standard_normal(images.shape).astype(np.float32)
        yield RANDOM, explainer, dataclasses.replace(result, values=noise)
    with Explainer(folder / "shapes.deeplift.onnx") as explainer:
        yield "deeplift", explainer, explainer.attribute(images, labels, DeepLIFT())


def scores(explainer: Explainer, images: Images, masks: Masks, result: Attribution) -> dict[str, Values]:
    """Each score of every picture, [n]; those of `SCORES`."""
    cases = [Case(images[i], result[i], seed=i, mask=masks[i]) for i in range(len(images))]
    game, mass = PointingGame(), RelevanceMass()
    found = list(measure(explainer, cases, [game, mass]))
    areas = [
        average_precision_score(mask.reshape(-1), values.reshape(-1))
        for mask, values in zip(masks, result.values, strict=True)
    ]
    by = [[f[metric].value for f in found] for metric in (game, mass)]
    return dict(zip(SCORES, (np.array(v, np.float64) for v in (*by, areas)), strict=True))


def at_chance(masks: Masks) -> dict[str, float]:
    """What a random order of the pixels scores on average, over the pictures."""
    n = masks[0].size
    harmonic = float((1 / np.arange(1, n + 1)).sum())
    counts = masks.reshape(len(masks), -1).sum(axis=1)
    # The first pixel of the mask stands alone at its rank, and each other one meets a random share before it.
    areas = (harmonic + (counts - 1) / (n - 1) * (n - harmonic)) / n
    return dict(zip(SCORES, (float(masks.mean()), float(masks.mean()), float(areas.mean())), strict=True))


def interval(score: str, values: Values, share: float = 0.95, draws: int = 2000) -> tuple[float, float]:
    """The interval of a score's mean: of hits the exact one, else by bootstrap; NaN is left out."""
    known = values[np.isfinite(values)]
    if score == SCORES[0]:
        exact = binomtest(int(known.sum()), len(known)).proportion_ci(share, "exact")
        return float(exact.low), float(exact.high)
    means = known[np.random.default_rng(0).integers(0, len(known), (draws, len(known)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def compared(n: int, seed: int) -> tuple[dict[str, dict[str, Values]], Masks, int]:
    """Each method's scores of n pictures, the masks, and how many pictures the classifier has right."""
    images, labels, masks = pictures(n, seed)
    with tempfile.TemporaryDirectory() as folder:
        table = {}
        for name, explainer, result in attributed(Path(folder), images, labels, seed):
            table[name] = scores(explainer, images, masks, result)
            right = int((result.label == labels).sum())
    return table, masks, right


def main() -> None:
    """Measure, print and write a table."""
    parser = arguments("known_relevance", __doc__, cifar=False)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    table, masks, right = compared(options.images, options.seed)
    chance = at_chance(masks)
    print(f"{options.images} pictures, {right} classified right")
    print(f"{'':22}" + "".join(f"{score:>30}" for score in SCORES))
    print(f"{'at chance':22}" + "".join(f"{chance[score]:14.3f}{'':16}" for score in SCORES))
    rows: dict[str, Mapping[str, object]] = {}
    for name, by in table.items():
        rows[name] = {
            score: {
                "mean": round(float(np.nanmean(v)), 4),
                "interval": [round(x, 4) for x in interval(score, v)],
            }
            for score, v in by.items()
        }
        cells = [(np.nanmean(by[score]), *interval(score, by[score])) for score in SCORES]
        print(f"{name:22}" + "".join(f"{m:14.3f} [{low:.3f}, {high:.3f}]" for m, low, high in cells))
    write(
        {
            **head("known_relevance"),
            "images": options.images,
            "right": right,
            "chance": chance,
            "scores": rows,
        },
        options.out,
    )


if __name__ == "__main__":
    main()
