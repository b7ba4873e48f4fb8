"""ROAR and DiffROAR: what a network can still learn once the most, or the least, important pixels are gone.

    python -m benchmarks.roar [--data digits] [--seeds 8] [--model PATH] [--images PATH] [--out JSON]

ROAR (Hooker, Erhan, Kindermans, Kim: "A Benchmark for Interpretability Methods in Deep Neural Networks",
NeurIPS 2019) takes the most important pixels of every image, of training and of test, replaces them by the
mean pixel of the training images, trains a new network and reports its accuracy: the lower, the more of the
evidence was named. DiffROAR (Shah, Jain, Netrapalli: "Do Input Gradients Highlight Discriminative Features?",
NeurIPS 2021) keeps a share of the pixels: the accuracy with the most important ones kept, less that with the
least important ones. Beside them stands a control: the accuracy of a network that is shown only which pixels
ROAR took, and nothing of the image. Where it is high, ROAR's networks can read the class off the gaps.

A pixel's importance is the sum of its channels' attributions; of equal ones the first comes first. Explained
is the predicted class, since the true one would tell the new network the answer. The new networks are
perceptrons with one hidden layer. In one seed all methods have the same split, the same explained network,
and new networks that begin alike and see their batches in the same order: methods are compared in pairs, and
the 95% intervals are of means over the seeds (Student's t).

digits: scikit-learn's 1797 digits of 8 x 8 pixels, a third of them for the test; in each seed a perceptron is
trained and explained. cifar10: the 400 images beside the project, a quarter for the test, explained by its
ResNet-20.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from scipy import stats
from torch import Tensor
from torch.nn import functional

from benchmarks.report import DATA, arguments, head, write
from fluxpath.export import gradient_from_onnx
from fluxpath.progress import Progress
from fluxpath.runtime import (
    MFABA,
    Explainer,
    InputXGradient,
    IntegratedGradients,
    Method,
    NeFLAG,
    Saliency,
    SmoothGrad,
)

Floats = npt.NDArray[np.float64]

SHARES = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the pixels, those that are taken away."""

HIDDEN, EPOCHS, BATCH, RATE = 64, 40, 64, 3e-3
RANDOM = "random"


@dataclass(frozen=True)
class Pictures:
    """images: float32 [n, c, h, w] in [0, 1]. labels: int64 [n]."""

    images: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int64]

    def __getitem__(self, rows: npt.NDArray[np.int64]) -> Pictures:
        return Pictures(self.images[rows], self.labels[rows])

    def __len__(self) -> int:
        return len(self.labels)


def methods() -> dict[str, Method]:
    """What is compared, beside random numbers."""
    return {
        "mfaba-sharp": MFABA(),
        "mfaba-smooth": MFABA(ascent="smooth"),
        "neflag-10": NeFLAG(n=10),
        "integrated-gradients": IntegratedGradients(steps=20),
        "saliency": Saliency(),
        "input-x-gradient": InputXGradient(),
        "smoothgrad": SmoothGrad(n=20),
    }


@dataclass(frozen=True)
class Perceptrons:
    """Several of the same form, trained at once.

    weights: [k, d, hidden], [k, 1, hidden], [k, hidden, classes], [k, 1, classes].
    """

    weights: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> Tensor:
        """Logits [k, n, classes] of inputs [k, n, d]."""
        a, b, c, d = self.weights
        return torch.baddbmm(d, torch.baddbmm(b, x, a).relu(), c)


def trained(inputs: Tensor, labels: Tensor, classes: int, seed: int, epochs: int = EPOCHS) -> Perceptrons:
    """One perceptron for each of k versions of the inputs, [k, n, d]; all begin alike."""
    generator = torch.Generator().manual_seed(seed)
    count, n, size = inputs.shape
    shapes = ((size, HIDDEN), (1, HIDDEN), (HIDDEN, classes), (1, classes))
    scales = ((2 / size) ** 0.5, 0.0, (2 / HIDDEN) ** 0.5, 0.0)
    net = Perceptrons(
        tuple(
            (scale * torch.randn(1, *shape, generator=generator)).repeat(count, 1, 1).requires_grad_()
            for shape, scale in zip(shapes, scales, strict=True)
        )
    )
    optimizer = torch.optim.Adam(net.weights, lr=RATE)
    for _ in range(epochs):
        for rows in torch.randperm(n, generator=generator).split(BATCH):
            logits = net(inputs[:, rows])
            loss = functional.cross_entropy(
                logits.flatten(0, 1), labels[rows].repeat(count), reduction="sum"
            ) / len(rows)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return net


def without(images: npt.NDArray[np.float32], order: npt.NDArray[np.int64], taken: int, mean: Any) -> Any:
    """The images with the first `taken` pixels of each one's order at the mean pixel [c]."""
    n, channels = images.shape[:2]
    mask = np.zeros((n, images[0, 0].size), bool)
    np.put_along_axis(mask, order[:, :taken], True, axis=1)
    return np.where(mask[:, None], np.reshape(mean, (1, channels, 1)), images.reshape(n, channels, -1))


def accuracies(data: Pictures, values: Any, train: Any, test: Any, seed: int, epochs: int = EPOCHS) -> Floats:
    """After training [3, shares]: the most important pixels gone, the least, the gaps of the first alone."""
    n, channels = data.images.shape[:2]
    order = np.argsort(-values.reshape(n, channels, -1).sum(axis=1), axis=1, kind="stable")
    mean = data.images[train].mean(axis=(0, 2, 3))
    spread = float(data.images[train].std())
    pixels = order.shape[1]
    counts = [round(share * pixels) for share in SHARES]
    versions = [
        (without(data.images, o, count, mean) - mean[:, None]) / spread
        for o in (order, order[:, ::-1])
        for count in counts
    ]
    blank = np.zeros_like(data.images)
    versions += [without(blank, order, count, np.ones(channels)) for count in counts]
    stack = torch.from_numpy(np.stack(versions).reshape(len(versions), n, -1).astype(np.float32))
    labels, classes = torch.from_numpy(data.labels), int(data.labels.max()) + 1
    net = trained(stack[:, train], labels[train], classes, seed, epochs)
    with torch.no_grad():
        right = (net(stack[:, test]).argmax(2) == labels[test]).float().mean(1)
    return right.numpy().astype(np.float64).reshape(3, len(SHARES))


def digits() -> Pictures:
    """Scikit-learn's."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return Pictures((found.images[:, None] / 16).astype(np.float32), found.target.astype(np.int64))


def cifar10(path: Path) -> Pictures:
    """The 400 images beside the project."""
    with np.load(path) as file:
        return Pictures(file["images"].astype(np.float32) / 255, file["labels"].astype(np.int64))


def perceptron(data: Pictures, train: Any, seed: int, path: Path) -> Path:
    """Train a perceptron on whole images and write it as ONNX."""
    flat = torch.from_numpy(data.images.reshape(1, len(data), -1))
    labels, classes = torch.from_numpy(data.labels), int(data.labels.max()) + 1
    net = trained(flat[:, train], labels[train], classes, seed)
    sizes = ",".join(map(str, data.images.shape[1:]))
    model = onnx.parser.parse_model(
        f'<ir_version: 10, opset_import: ["": 20]> perceptron (float[n,{sizes}] x) => (float[n,{classes}] z) '
        "{ f = Flatten(x) m = MatMul(f, a) h = Add(m, b) r = Relu(h) o = MatMul(r, c) z = Add(o, d) }"
    )
    for name, weight in zip("abcd", net.weights, strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(weight[0].detach().numpy(), name))
    onnx.save(model, path)
    return path


def split(data: Pictures, seed: int, test: float) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Numbers of the images for training and for the test."""
    order = np.random.default_rng(seed).permutation(len(data))
    cut = round(test * len(data))
    return np.sort(order[cut:]), np.sort(order[:cut])


def explained(model: Path, images: npt.NDArray[np.float32]) -> dict[str, Any]:
    """The predicted classes, as "model", and each method's attributions."""
    with tempfile.TemporaryDirectory() as folder:
        gradient_from_onnx(model, Path(folder) / "model.grad.onnx")
        with Explainer(Path(folder) / "model.grad.onnx", slots=128) as explainer:
            found: dict[str, Any] = {"model": explainer.predict(images, top=1).classes[:, 0]}
            for name, method in methods().items():
                found[name] = explainer.attribute(images, None, method).values
    return found


def of_a_seed(data: Pictures, values: dict[str, Any], train: Any, test: Any, seed: int) -> Iterator[Any]:
    """(name, accuracies [3, shares]) of every method and of random numbers; of "model" its accuracy."""
    yield "model", float((values["model"][test] == data.labels[test]).mean())
    for name in methods():
        yield name, accuracies(data, values[name], train, test, seed)
    noise = np.random.default_rng(1000 + seed).standard_normal(data.images.shape)
    yield RANDOM, accuracies(data, noise, train, test, seed)


def interval(values: Floats, share: float = 0.95) -> tuple[float, float, float]:
    """The mean over seeds, and the ends of Student's interval."""
    half = stats.sem(values) * stats.t.ppf((1 + share) / 2, len(values) - 1)
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def scores(found: Floats) -> dict[str, Floats]:
    """Of accuracies [seeds, 3, shares], the two scores of each seed: means over the shares."""
    return {"roar": found[:, 0].mean(axis=1), "diffroar": (found[:, 1] - found[:, 0]).mean(axis=1)}


def told_apart(by_method: dict[str, Floats]) -> tuple[int, int]:
    """How many pairs of methods differ beyond noise (paired, for all pairs at once), and how many are."""
    names = [name for name in by_method if name != RANDOM]
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    ends = [interval(by_method[a] - by_method[b], 1 - 0.05 / len(pairs))[1:] for a, b in pairs]
    return sum(low > 0 or high < 0 for low, high in ends), len(pairs)


def table(results: dict[str, Floats]) -> dict[str, Any]:
    """What is written of each method: scores and differences to random numbers with intervals; accuracies."""
    chance, rows = scores(results[RANDOM]), {}
    for name, found in results.items():
        own = scores(found)
        means = dict(
            zip(("most important", "least important", "gaps alone"), found.mean(axis=0), strict=True)
        )
        rows[name] = {
            **{score: interval(own[score]) for score in own},
            "roar below random": interval(chance["roar"] - own["roar"]),
            "accuracies by share": {
                what: dict(zip(SHARES, by_share.tolist(), strict=True)) for what, by_share in means.items()
            },
        }
    return rows


def words(name: str, results: dict[str, Floats], seeds: int, tested: int) -> list[str]:
    """What these figures show and what they cannot, in sentences."""
    own = {method: scores(found) for method, found in results.items()}
    said = []
    for score, title in (("roar", "ROAR"), ("diffroar", "DiffROAR")):
        apart, pairs = told_apart({method: of[score] for method, of in own.items()})
        sign = 1 if score == "diffroar" else -1
        chance = own[RANDOM][score]
        against = [interval(sign * (own[m][score] - chance))[1:] for m in own if m != RANDOM]
        better, worse = sum(low > 0 for low, _ in against), sum(high < 0 for _, high in against)
        said.append(
            f"{title}: of {len(against)} methods {better} are better than random numbers beyond noise and "
            f"{worse} worse; {apart} of {pairs} pairs of methods can be told apart."
        )
    gaps = {method: float(found[:, 2].mean()) for method, found in results.items()}
    others = [gap for method, gap in gaps.items() if method != RANDOM]
    said.append(
        f"The gaps alone, without the image, give an accuracy of {min(others):.0%} to {max(others):.0%}, "
        f"random ones {gaps[RANDOM]:.0%}: as far as that goes, ROAR and DiffROAR measure how clearly the "
        "gaps spell the class, not what the image lost (Rong et al., ICML 2022)."
    )
    widest = max(interval(of["roar"])[2] - interval(of["roar"])[0] for of in own.values())
    said.append(
        f"An accuracy here is of {tested} test images and {seeds} seeds: a method's mean is known to "
        f"+-{100 * widest / 2:.1f} percent points at worst."
    )
    said.append(
        "Digits of 8 x 8 pixels lie centred, and a perceptron reads them from few pixels. This ranks methods "
        "on such networks only, and says nothing about photos or deep networks."
        if name == "digits"
        else "Three hundred photos teach a new network little even when nothing is missing. This could find "
        "an attribution that is wrong throughout, and cannot rank methods: the papers train on whole data "
        "sets."
    )
    return said


def main() -> None:
    """Train, print a table and what it can show, and write both."""
    parser = arguments("roar", __doc__, cifar=False)
    parser.add_argument("--data", choices=("digits", "cifar10"), default="digits")
    parser.add_argument("--model", type=Path, default=DATA / "resnet20.onnx")
    parser.add_argument("--images", type=Path, default=DATA / "images.npz")
    parser.add_argument("--seeds", type=int, default=8)
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds must be 2 or more: intervals are over them")
    torch.set_num_threads(1)  # the arrays are too small for more
    small = options.data == "digits"
    data = digits() if small else cifar10(options.images)
    values = {} if small else explained(options.model, data.images)
    found: dict[str, list[Any]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress(options.seeds * (len(methods()) + 2), "training", alike=False) as progress,
    ):
        for seed in range(options.seeds):
            train, test = split(data, seed, 1 / 3 if small else 1 / 4)
            if small:
                values = explained(perceptron(data, train, seed, Path(folder) / "p.onnx"), data.images)
            for name, value in of_a_seed(data, values, train, test, seed):
                progress.doing(f"seed {seed}, {name}")
                found.setdefault(name, []).append(value)
                progress.update()
    accuracy = float(np.mean(found.pop("model")))
    results = {name: np.stack(values) for name, values in found.items()}
    print(f"{options.data}: the explained model is right on {accuracy:.1%} of the test images")
    titles = f"{'ROAR (lower is better)':>24}{'DiffROAR (higher)':>26}{'gaps alone':>12}"
    print(f"{'':22}{titles}   ROAR's accuracies")
    print(f"{'':87}" + "".join(f"{-share:>7.0%}" for share in SHARES))
    for name, of in sorted(results.items(), key=lambda item: scores(item[1])["roar"].mean()):
        cells = [f"{m:.3f} [{low:.3f}, {high:.3f}]" for m, low, high in map(interval, scores(of).values())]
        row = "".join(f"{a:>7.3f}" for a in of[:, 0].mean(0))
        print(f"{name:22}{cells[0]:>24}{cells[1]:>26}{of[:, 2].mean():>12.3f}   {row}")
    said = words(options.data, results, options.seeds, len(test))
    print("", *said, sep="\n")
    write(
        {
            **head("roar", threads=1),
            "data": options.data,
            "seeds": options.seeds,
            "model's accuracy": accuracy,
            "methods": table(results),
            "words": said,
        },
        options.out,
    )


if __name__ == "__main__":
    main()
