"""ROAR and DiffROAR on images of which the telling pixels are known."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from benchmarks import roar  # noqa: E402

FAST = 12


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the benchmark: the arrays are too small for more, which wait for one another on busy cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data() -> roar.Pictures:
    """Noise of 6 x 6 pixels, three of which are bright where the class is 1."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    images = rng.random((300, 1, 6, 6)).astype(np.float32) * 0.6
    images[labels == 1, 0, 2, 2:5] += 0.4
    return roar.Pictures(images, labels)


@pytest.fixture(scope="module")
def parts(data: roar.Pictures) -> tuple[np.ndarray, np.ndarray]:
    return roar.split(data, 0, 1 / 3)


def found(data: roar.Pictures, values: np.ndarray, parts: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    return roar.accuracies(data, np.broadcast_to(values, data.images.shape), *parts, seed=1, epochs=FAST)


def test_the_truth_the_opposite_and_noise(data: roar.Pictures, parts: tuple[np.ndarray, np.ndarray]) -> None:
    truth = np.zeros((1, 1, 6, 6))
    truth[0, 0, 2, 2:5] = 1
    right, wrong = found(data, truth, parts), found(data, -truth, parts)
    noise = found(data, np.random.default_rng(2).random(data.images.shape), parts)
    assert right[0].max() < 0.65  # once the three are gone nothing can be learnt
    assert right[1].min() > 0.95 and wrong[0].min() > 0.95
    of = {
        name: roar.scores(each[None]) for name, each in (("right", right), ("wrong", wrong), ("noise", noise))
    }
    assert of["right"]["diffroar"][0] > 0.3 and of["wrong"]["diffroar"][0] < -0.3
    assert abs(of["noise"]["diffroar"][0]) < 0.15
    assert of["right"]["roar"][0] < of["noise"]["roar"][0] < of["wrong"]["roar"][0]


def test_gaps_that_spell_the_class_are_seen(
    data: roar.Pictures, parts: tuple[np.ndarray, np.ndarray]
) -> None:
    """Where they are the same for every image, or random, they say nothing."""
    spelled = np.zeros(data.images.shape)
    spelled[data.labels == 1, :, 0], spelled[data.labels == 0, :, 5] = 1, 1
    assert found(data, spelled, parts)[2][0] > 0.95
    assert found(data, np.arange(36).reshape(1, 1, 6, 6), parts)[2].max() < 0.65


def test_networks_trained_together_are_those_trained_alone(data: roar.Pictures) -> None:
    both = torch.from_numpy(np.stack([data.images.reshape(300, -1), data.images.reshape(300, -1) ** 2]))
    labels = torch.from_numpy(data.labels)
    together = roar.trained(both, labels, 2, seed=3, epochs=2)
    for i in range(2):
        alone = roar.trained(both[i : i + 1], labels, 2, seed=3, epochs=2)
        for many, one in zip(together.weights, alone.weights, strict=True):
            torch.testing.assert_close(many[i], one[0], rtol=1e-4, atol=1e-5)


def test_intervals_and_words() -> None:
    rng = np.random.default_rng(0)
    results = {
        "good": np.stack([np.full((6, 5), 0.5), np.full((6, 5), 0.9), np.full((6, 5), 0.1)], axis=1),
        "same": np.stack([np.full((6, 5), 0.5), np.full((6, 5), 0.9), np.full((6, 5), 0.1)], axis=1),
        roar.RANDOM: np.stack([np.full((6, 5), 0.8), np.full((6, 5), 0.8), np.full((6, 5), 0.1)], axis=1),
    }
    results = {name: values + 0.01 * rng.standard_normal((6, 3, 5)) for name, values in results.items()}
    said = " ".join(roar.words("digits", results, 6, 100))
    assert (
        "ROAR: of 2 methods 2 are better than random numbers beyond noise and 0 worse; 0 of 1 pairs" in said
    )
    assert "The gaps alone, without the image, give an accuracy of " in said
    mean, low, high = roar.interval(np.array([1.0, 2.0, 3.0]))
    assert (mean, round(low, 3), round(high, 3)) == (2.0, -0.484, 4.484)
    assert roar.table(results)["good"]["roar below random"][1] > 0.2
